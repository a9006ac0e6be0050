"""Commands that judge scores by renewals: ``validate`` and ``compare``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from chs_ml.cli.data_commands import JSON
from chs_ml.cli.judging_options import (
    ACCOUNT,
    CHURNED,
    MARKDOWN,
    OUTCOME,
    PROBABILITY,
    RECIPE,
    SCORE,
    SEGMENT,
    SNAPSHOT_DATE,
    VALUE,
    number_pairs,
    pairs,
)
from chs_ml.cli.running import say

if TYPE_CHECKING:
    from chs_ml.validation import ValidationReport

FAILED = ("fail", "not enough data")


def validate(  # noqa: PLR0913 - one option per column that may be judged
    model: Path | None = typer.Argument(None, help="Saved model."),
    data: Path | None = typer.Argument(None, help="Table with outcomes, read as the model's recipe says."),
    *,
    scores: Path | None = typer.Option(
        None, "--scores", help="Instead of model and data: a table of any scores."
    ),
    recipe: Path | None = RECIPE,
    score: str = SCORE,
    outcome: str | None = OUTCOME,
    churned: str | None = CHURNED,
    probability: str | None = PROBABILITY,
    tier: str | None = typer.Option(
        None, "--tier", help="Column of tier labels; else the score is cut at 75 and 50."
    ),
    account: str | None = ACCOUNT,
    value: str | None = VALUE,
    segment: str | None = SEGMENT,
    snapshot_date: str | None = SNAPSHOT_DATE,
    capacity: int | None = typer.Option(None, min=1, help="Accounts that the team can call in a month."),
    customer_value: float | None = typer.Option(
        None, help="Value of a retained customer; without it each account's own."
    ),
    incentive: float | None = typer.Option(
        None,
        help="What a contacted account gets: an amount with --customer-value, else a share of its value.",
    ),
    contact: float | None = typer.Option(None, help="Cost of one contact."),
    treated: str | None = typer.Option(
        None, "--treated", help="Column: was the account worked on after the snapshot, yes or no?"
    ),
    randomised: bool = typer.Option(False, "--randomised", help="A random hold-out decided who was treated."),
    churn_date: str | None = typer.Option(
        None, "--churn-date", help="Column of the day an account left, blank where it did not."
    ),
    history: Path | None = typer.Option(
        None, "--history", help="Table of all snapshots: how the score moved, and what it said before churn."
    ),
    horizon_days: int | None = typer.Option(
        None, min=1, help="Days in which churn confirms an alarm; the recipe's, else 90."
    ),
    markdown: bool = MARKDOWN,
    json: bool = JSON,
) -> None:
    """Judge a score by what happened at renewals: a model's, or any column exported from elsewhere.

    chs-ml validate MODEL DATA, or chs-ml validate --scores FILE --outcome COLUMN [--score COLUMN ...].
    Exit code 1 where the verdict is fail or not enough data, or where a certified tier broke its promise.
    """
    from chs_ml.cli import judged as sources

    campaign = {"capacity": capacity, "customer_value": customer_value, "incentive": incentive}
    campaign["contact"] = contact
    said: dict[str, Any] = {"treated": treated, "randomised": randomised or None, "churn_date": churn_date}
    said["value"] = {name: amount for name, amount in campaign.items() if amount is not None}
    if scores is not None:
        if model is not None or outcome is None:
            raise typer.BadParameter("give --scores FILE and --outcome COLUMN, and no model.")
        columns = sources.Columns(
            score=score, outcome=outcome, churned=churned, probability=probability, tier=tier,
            account=account, value=value, segment=segment, snapshot_date=snapshot_date,
        )  # fmt: skip
        judged = sources.judged_scores(scores, columns, recipe, said)
    elif model is None or data is None:
        raise typer.BadParameter("give MODEL and DATA, or --scores FILE and --outcome COLUMN.")
    else:
        judged = sources.judged_model(model, data, recipe, said)
    for name in (treated, churn_date if history is None else None):
        if name is not None:
            judged.column(name)  # asked for: its absence is an error, not a remark
    found = judged.report(history, horizon_days=horizon_days)
    say(found.to_json() if json else found.to_markdown() if markdown else found.to_text())
    raise typer.Exit(int(not passes(found)))


def passes(report: "ValidationReport") -> bool:
    """Whether a report's verdict is neither fail nor not enough data, and no promise is broken."""
    broken = any(test.name == "tier_promise" and test.verdict.value == "fail" for test in report.tests)
    return report.verdict.value not in FAILED and not broken


def compare(  # noqa: PLR0913 - one option per column that may be judged
    scores: Path = typer.Argument(help="Table with outcomes and scores."),
    *,
    outcome: str = typer.Option(..., "--outcome", help="Column of outcomes, as for validate."),
    score: list[str] = typer.Option(
        ..., "--score", help="Column, larger = healthier; the first is the reference."
    ),
    probability: list[str] = typer.Option(
        [], "--probability", help="SCORE=COLUMN: churn probabilities of a score."
    ),
    metric: list[str] = typer.Option(
        [], "--metric", help="Column of numbers; the one that ranks best joins the comparison."
    ),
    base_rate: bool = typer.Option(
        False, "--base-rate", help="The base rate, the same for every account, joins."
    ),
    margin: list[str] = typer.Option(
        [], "--margin", help="STATISTIC=NUMBER: a difference that would not matter, such as auc=0.01."
    ),
    recipe: Path | None = typer.Option(None, "--recipe", help="Compare as [validation] of this recipe says."),
    churned: str | None = CHURNED,
    account: str | None = ACCOUNT,
    value: str | None = VALUE,
    segment: str | None = SEGMENT,
    markdown: bool = MARKDOWN,
    json: bool = JSON,
) -> None:
    """Compare scores on the same rows, by paired differences to the first."""
    from chs_ml import validation
    from chs_ml.cli.judged import column_of, outcomes_of, settings_of
    from chs_ml.table import read_table
    from chs_ml.tiers import Tiers

    chances = pairs(probability, "--probability", "SCORE=COLUMN")
    said = {"margins": number_pairs(margin, "--margin", "STATISTIC=NUMBER")}
    settings = settings_of({"data": {"outcome": outcome}}, recipe, said)
    table = read_table(scores)
    found = validation.compare(
        outcomes_of(table, outcome, churned),
        {name: column_of(table, name).to_numpy() for name in score},
        probabilities={name: column_of(table, column).to_numpy() for name, column in chances.items()},
        account=_column(table, account),
        value=_column(table, value),
        segment=_column(table, segment),
        metrics=_numeric(table, metric),
        base_rate=base_rate,
        tiers=None if recipe is None else Tiers.from_bounds(settings.tiers),
        **validation.Rules.of(settings.validation.model_dump()).of_many,
    )
    say(found.to_json() if json else found.to_markdown() if markdown else found.to_text())


def _column(table: Any, name: str | None) -> Any:
    """The named column's values; None where none is named."""
    from chs_ml.cli.judged import column_of

    return None if name is None else column_of(table, name).to_numpy()


def _numeric(table: Any, names: list[str]) -> Any:
    """The named columns as numbers; None where none is named."""
    import pandas as pd

    from chs_ml.cli.judged import column_of
    from chs_ml.validation.columns import numbers

    return pd.DataFrame({name: numbers(column_of(table, name), name) for name in names}) if names else None
