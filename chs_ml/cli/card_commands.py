"""Commands about handcrafted scores: ``validate --card``, ``learn-weights``, ``judge-history``."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from chs_ml.cli.data_commands import JSON
from chs_ml.cli.running import as_json, remark, say

if TYPE_CHECKING:
    import pandas as pd

    from chs_ml.dataset import Dataset
    from chs_ml.scorecard import Scorecard

CARD = typer.Option(
    None, "--card", help="Audit this scorecard: --card CARD RECIPE [DATA], or --card CARD TABLE --outcome ..."
)
_COLUMNS = ("outcome", "churned", "account", "value", "segment")


def with_card(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that judges scores the option ``--card``, which audits a handcrafted scorecard."""

    @wraps(command)
    def judged(*, card: Path | None = None, **given: Any) -> None:
        if card is None:
            command(**given)
        else:
            audit(card, given)

    signature = inspect.signature(command, eval_str=True)
    option = inspect.Parameter("card", inspect.Parameter.KEYWORD_ONLY, default=CARD, annotation=Path | None)
    extended = signature.replace(parameters=[*signature.parameters.values(), option])
    judged.__signature__ = extended  # type: ignore[attr-defined]
    types = {name: parameter.annotation for name, parameter in extended.parameters.items()}
    judged.__annotations__ = {**types, "return": None}
    return judged


def audit(path: Path, given: dict[str, Any]) -> None:
    """Judge a handcrafted scorecard by renewals, as a whole and line by line.

    Exit code 1 unless it predicts.
    """
    from chs_ml.card_audit import audit_card
    from chs_ml.scorecard import load_scorecard

    if given.get("scores") is not None or given.get("model") is None:
        raise typer.BadParameter("give --card CARD and a RECIPE or a table of metrics, and no --scores.")
    columns = {name: given[name] for name in _COLUMNS if given.get(name) is not None}
    card = load_scorecard(path)
    dataset = _dataset(card, given["model"], given.get("data"), columns)
    found = audit_card(card, dataset)
    say(as_json(found.to_dict()) if given.get("json") else found.to_text())
    raise typer.Exit(int(found.answer != "yes"))


def learn_weights(  # noqa: PLR0913, PLR0917 - one option per column
    card: Path = typer.Argument(help="Scorecard (TOML)."),
    source: Path = typer.Argument(help="Recipe (TOML), or a table of metrics with --outcome and --account."),
    data: Path | None = typer.Argument(None, help="Use this table instead of the recipe's."),
    ranges: bool = typer.Option(False, "--ranges", help="Learn the scoring ranges too."),
    per_segment: bool = typer.Option(
        False, "--per-segment", help="A card per segment, pooled; see --segment."
    ),
    out: Path | None = typer.Option(
        None, "--out", help="Write the learned card here (TOML); with --per-segment, a folder of cards."
    ),
    table: Path | None = typer.Option(None, "--table", help="Write the diff here (CSV)."),
    outcome: str | None = typer.Option(None, "--outcome", help="Column of outcomes, for a table."),
    churned: str | None = typer.Option(None, "--churned", help="The value that means churned."),
    account: str | None = typer.Option(None, "--account", help="Column of account ids, for a table."),
    segment: str | None = typer.Option(None, "--segment", help="Column of segments, for a table."),
    json: bool = JSON,
) -> None:
    """Learn a scorecard's weights from renewals, in the card's own form: a diff, and the card.

    Exit code 1 where there are too few churns to learn from.
    """
    from chs_ml.card_learning import learn_weights as learned
    from chs_ml.files import write_atomically
    from chs_ml.scorecard import load_scorecard
    from chs_ml.table import write_table

    columns = {"outcome": outcome, "churned": churned, "account": account, "segment": segment}
    spec = load_scorecard(card)
    dataset = _dataset(spec, source, data, {k: v for k, v in columns.items() if v is not None})
    if per_segment:
        if ranges or table is not None:
            raise typer.BadParameter("--per-segment learns weights only: leave --ranges and --table out.")
        _per_segment(spec, dataset, source, segment=segment, out=out, json=json)
        return
    found = learned(spec, dataset, ranges=ranges)
    say(as_json(found.to_dict()) if json else found.to_text())
    if out is not None:
        write_atomically(out, found.to_toml().encode())
        remark(f"Learned card: {out}")
    if table is not None:
        write_table(found.frame(), table)
        remark(f"Table: {table}")


def _per_segment(
    card: "Scorecard", dataset: "Dataset", source: Path, *, segment: str | None, out: Path | None, json: bool
) -> None:
    from chs_ml.card_learning import learn_segment_weights
    from chs_ml.files import write_atomically
    from chs_ml.recipe import load_recipe

    found = learn_segment_weights(card, dataset)
    say(as_json(found.to_dict()) if json else found.to_text())
    if out is not None:
        column = segment or load_recipe(source).data.segment
        if column is None:
            raise typer.BadParameter("--out needs the name of the segment column.")
        out.mkdir(parents=True, exist_ok=True)
        for name, text in found.files(column).items():
            write_atomically(out / name, text.encode())
        remark(f"Cards and their resolver: {out / 'cards.toml'}")


def judge_history(
    scores: Path = typer.Argument(help="Table of scores over time: account, date, score."),
    renewals: Path = typer.Argument(help="Table of renewals: account, renewal_date, outcome."),
    lead_days: int = typer.Option(30, "--lead-days", min=0, help="Days between the score and the renewal."),
    max_age_days: int = typer.Option(45, "--max-age-days", min=0, help="How much older the score may be."),
    json: bool = JSON,
) -> None:
    """Judge a history of scores exported from elsewhere: each renewal by the score known a lead time before.

    Scores that turn green after churn judge nothing, and are named. Exit code 1 where the verdict is fail or
    not enough data.
    """
    from chs_ml.card_audit import join_history
    from chs_ml.errors import first_few
    from chs_ml.table import read_table
    from chs_ml.validation import validate

    found = join_history(
        read_table(scores), read_table(renewals), lead_days=lead_days, max_age_days=max_age_days
    )
    rows = found.renewals
    report = validate(rows["churned"], score=rows["score"], account=rows["account"])
    if json:
        healed = found.healed.astype({"churn_date": "str", "snapshot_date": "str"}).to_dict("records")
        say(as_json({"report": report, "after_churn": found.after_churn, "healed": healed}))
    else:
        say(report.to_text())
        named = f": {first_few(found.healed['account'])}" if len(found.healed) else ""
        say(f"\n{found.after_churn:,} scores are dated after churn and judge nothing.")
        say(f"{len(found.healed):,} accounts turned green after churn{named}.")
    raise typer.Exit(int(report.verdict.value in ("fail", "not enough data")))


def _dataset(card: "Scorecard", source: Path, data: Path | None, columns: dict[str, str]) -> "Dataset":
    """The dataset that a recipe describes, or a table with named columns."""
    from chs_ml.dataset import build_dataset
    from chs_ml.recipe import load_recipe
    from chs_ml.table import read_table

    if source.suffix == ".toml":
        if columns:
            raise typer.BadParameter("a recipe names the columns itself: leave --outcome and the others out.")
        recipe = load_recipe(source)
    else:
        if data is not None or not {"outcome", "account"} <= set(columns):
            raise typer.BadParameter("a table needs --outcome and --account, and stands alone.")
        recipe = load_recipe({"data": {"path": str(source.absolute()), **columns}})
    recipe = recipe if data is None else recipe.with_data(data)
    if recipe.tables:
        return build_dataset(recipe)
    table = read_table(recipe.data_path)
    return _with_lost_columns(build_dataset(recipe, table), card, table)


def _with_lost_columns(dataset: "Dataset", card: "Scorecard", table: "pd.DataFrame") -> "Dataset":
    """Carry columns of the card that the checks dropped: one that is constant is still a measure."""
    from dataclasses import replace

    import pandas as pd

    held = {*dataset.frame.columns, *dataset.keep.columns}
    lost = [name for name in card.schema.inputs if name in table.columns and name not in held]
    if not lost or len(table) != dataset.n:
        return dataset
    return replace(dataset, keep=pd.concat([dataset.keep, table[lost].reset_index(drop=True)], axis=1))
