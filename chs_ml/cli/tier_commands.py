"""Commands that choose where tiers begin: ``certify`` and ``tiers``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from chs_ml.cli.data_commands import JSON
from chs_ml.cli.judging_options import (
    ACCOUNT,
    CHURNED,
    MODEL_DATA,
    OUTCOME,
    PROBABILITY,
    SCORE,
    SNAPSHOT_DATE,
    SOURCE,
    check_source,
)
from chs_ml.cli.running import as_json, remark, say

if TYPE_CHECKING:
    from chs_ml.cli.judged import Columns, Judged
    from chs_ml.tiers import Tiers


def certify(  # noqa: PLR0913 - one option per column
    source: Path = SOURCE,
    data: Path | None = MODEL_DATA,
    *,
    at_most: float = typer.Option(..., "--at-most", help="The promise: largest churn rate, such as 0.03."),
    confidence: float = typer.Option(0.95, "--confidence", help="Of the promise."),
    tier: str | None = typer.Option(
        None, "--tier", help="The healthiest tier; its name is known by default."
    ),
    score: str = SCORE,
    outcome: str | None = OUTCOME,
    churned: str | None = CHURNED,
    probability: str | None = PROBABILITY,
    account: str | None = ACCOUNT,
    seed: int = typer.Option(0, min=0, help="Of the draw of one row per account."),
    json: bool = JSON,
) -> None:
    """Certify the healthiest tier: "churn is at most 3 %, with 95 % confidence".

    chs-ml certify MODEL DATA --at-most 0.03, or chs-ml certify FILE --outcome COLUMN --at-most 0.03. Prints a
    block to paste into the recipe; validation then checks the promise again. One row per account counts,
    drawn at random by --seed. Rows that the model was fitted on are left out; of a table of scores, use
    rows on which nothing was fitted or chosen. Exit code 1 where the promise cannot be certified.
    """
    check_source(source, data, outcome)
    from chs_ml import validation
    from chs_ml.cli import judging_texts as texts
    from chs_ml.cli.judged import Columns
    from chs_ml.cli.provenance import unseen
    from chs_ml.validation.text import wrapped

    columns = Columns(score=score, outcome=outcome, churned=churned, probability=probability, account=account)
    judged = unseen(_judged(source, data, columns))
    tiers = _named_tiers(judged, tier)
    found = validation.certify(
        judged.outcomes, score=judged.score, probability=judged.probability, account=judged.account,
        at_most=at_most, confidence=confidence, tier=tiers.names[0], random_state=seed,
    )  # fmt: skip
    cut = found.tiers(tiers) if found.certified else None
    if json:
        bounds = None if cut is None else dict(zip(cut.names, cut.lower_bounds, strict=True))
        say(as_json({"certificate": found, "tiers": bounds}))
    else:
        say(f"{wrapped(found.sentence)}\n{wrapped(found.drawn)}")
        if cut is not None:
            say(f"\n{texts.tiers_block(cut)}\n{texts.promise_block(found.promise)}".rstrip())
    raise typer.Exit(int(not found.certified))


def tiers(  # noqa: PLR0913 - one option per column
    source: Path = SOURCE,
    data: Path | None = MODEL_DATA,
    *,
    capacity: list[int] = typer.Option(
        [],
        "--capacity",
        help="Accounts the team can serve in each tier but the healthiest, worst tier first.",
    ),
    healthy_at_most: float | None = typer.Option(None, help="Churn rate of the healthiest tier, at most."),
    critical_at_least: float | None = typer.Option(None, help="Churn rate of the worst tier, at least."),
    name: list[str] = typer.Option([], "--name", help="Names of the tiers, healthiest first."),
    score: str = SCORE,
    outcome: str | None = OUTCOME,
    churned: str | None = CHURNED,
    probability: str | None = PROBABILITY,
    snapshot_date: str | None = SNAPSHOT_DATE,
    json: bool = JSON,
) -> None:
    """Choose where tiers begin: for what the team can serve, or for churn rates.

    chs-ml tiers SOURCE [DATA] --capacity 50 --capacity 200, on the newest snapshot, or --healthy-at-most 0.05
    --critical-at-least 0.3, on rows with outcomes. Prints a [tiers] block to paste into the recipe.
    """
    rates = (healthy_at_most, critical_at_least)
    if bool(capacity) == any(rate is not None for rate in rates) or (not capacity and None in rates):
        raise typer.BadParameter("give --capacity, or both --healthy-at-most and --critical-at-least.")
    check_source(source, data, outcome or ("" if capacity else None))
    from chs_ml.cli import judging_texts as texts
    from chs_ml.cli.judged import Columns

    columns = Columns(
        score=score, outcome=outcome, churned=churned, probability=probability, snapshot_date=snapshot_date
    )
    judged = _judged(source, data, columns)
    names = tuple(name) or _named_tiers(judged, None).names
    if healthy_at_most is None or critical_at_least is None:
        judged = _newest(judged)
        cut = _for_capacity(judged, capacity, names)
    else:
        cut = _for_rates(judged, healthy_at_most, critical_at_least, names)
    rows = _rows(judged, cut)
    if json:
        say(as_json({"tiers": dict(zip(cut.names, cut.lower_bounds, strict=True)), "rows": rows}))
        return
    say(f"{texts.cut_text(rows, 'On the rows they were chosen on')}\n\n{texts.tiers_block(cut)}".rstrip())


def _judged(source: Path, data: Path | None, columns: "Columns") -> "Judged":
    from chs_ml.cli import judged

    return (
        judged.judged_scores(source, columns, None)
        if data is None
        else judged.judged_model(source, data, None)
    )


def _named_tiers(judged: "Judged", healthiest: str | None) -> "Tiers":
    """The tiers that are cut anew: a model's keep their names, those of a table of scores may be named."""
    from chs_ml.tiers import Tiers

    usual = judged.tiers or Tiers()
    if healthiest in (None, usual.names[0]):
        return usual
    if judged.tiers is not None or healthiest in usual.names:
        raise typer.BadParameter(
            f"only the healthiest tier can be certified, {usual.names[0]!r}; got --tier {healthiest!r}."
        )
    return Tiers((str(healthiest), *usual.names[1:]), usual.lower_bounds)


def _newest(judged: "Judged") -> "Judged":
    """The rows of the newest snapshot: what a team serves is the book of one day."""
    if judged.snapshot_date is None:
        remark("Note: without snapshot dates all rows count as one day's book.")
        return judged
    newest = judged.snapshot_date.max()
    remark(f"Note: capacities are filled on the newest snapshot, {newest.date()}.")
    return judged.rows((judged.snapshot_date == newest).to_numpy(dtype=bool))


def _for_capacity(judged: "Judged", capacities: list[int], names: tuple[str, ...]) -> "Tiers":
    from chs_ml.validation import tiers_for_capacity

    return tiers_for_capacity(judged.score, capacities=capacities, names=names)


def _for_rates(
    judged: "Judged", healthy_at_most: float, critical_at_least: float, names: tuple[str, ...]
) -> "Tiers":
    from chs_ml.validation import tiers_for_rates
    from chs_ml.validation.columns import judged_columns

    found = judged_columns(judged.outcomes, score=judged.score, probability=judged.probability)
    return tiers_for_rates(
        found.churned, score=found.score, probability=found.probability, names=names,
        healthy_at_most=healthy_at_most, critical_at_least=critical_at_least,
    )  # fmt: skip


def _rows(judged: "Judged", cut: "Tiers") -> list[dict[str, Any]]:
    """Rows and churns per tier; open outcomes count as rows only."""
    import numpy as np

    codes = cut.codes(judged.score)
    scored = max(int((codes >= 0).sum()), 1)
    found = []
    for code, name in enumerate(cut.names):
        inside = judged.outcomes[codes == code]
        known, gone = int(np.isfinite(inside).sum()), int((inside == 1.0).sum())
        found.append({"tier": name, "lower_bound": cut.lower_bounds[code], "rows": len(inside),
                      "share": len(inside) / scored, "known_outcomes": known, "churned": gone,
                      "churn_rate": gone / known if known else float("nan")})  # fmt: skip
    return found
