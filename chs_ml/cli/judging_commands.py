"""Commands that judge scores by renewals: ``validate`` and ``compare``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from chs_ml.cli.data_commands import JSON
from chs_ml.cli.running import as_json, remark, say

if TYPE_CHECKING:
    import pandas as pd

    from chs_ml.dataset import Dataset
    from chs_ml.health_model import HealthModel
    from chs_ml.validation import ValidationReport

OUTCOME = typer.Option(
    None, "--outcome", help="Column: renewed, churned, contracted, open; or 0 and 1 with 1 = churned."
)
CHURNED = typer.Option(None, "--churned", help="The value of the outcome column that means churned.")
ACCOUNT = typer.Option(None, "--account", help="Column of account ids: rows of one account belong together.")
VALUE = typer.Option(None, "--value", help="Column of account values.")


def validate(  # noqa: PLR0913 - one option per column that may be judged
    model: Path | None = typer.Argument(None, help="Saved model."),
    data: Path | None = typer.Argument(None, help="Table with outcomes, read as the model's recipe says."),
    *,
    scores: Path | None = typer.Option(
        None, "--scores", help="Instead of model and data: a table of any scores."
    ),
    score: str = typer.Option("health_score", "--score", help="Column: larger = healthier."),
    outcome: str | None = OUTCOME,
    churned: str | None = CHURNED,
    probability: str | None = typer.Option(None, "--probability", help="Column of churn probabilities."),
    tier: str | None = typer.Option(
        None, "--tier", help="Column of tier labels; else the score is cut at 75 and 50."
    ),
    account: str | None = ACCOUNT,
    value: str | None = VALUE,
    segment: str | None = typer.Option(None, "--segment", help="Column of segments."),
    json: bool = JSON,
) -> None:
    """Judge a score by what happened at renewals: a model's, or any column exported from elsewhere.

    chs-ml validate MODEL DATA, or chs-ml validate --scores FILE --outcome COLUMN [--score COLUMN ...].
    Exit code 1 where the verdict is fail or not enough data.
    """
    if scores is not None:
        if model is not None or outcome is None:
            raise typer.BadParameter("give --scores FILE and --outcome COLUMN, and no model.")
        columns = {"score": score, "probability": probability, "tier": tier, "account": account,
                   "value": value, "segment": segment}  # fmt: skip
        report = _judged_columns(scores, outcome, churned, columns)
    elif model is None or data is None:
        raise typer.BadParameter("give MODEL and DATA, or --scores FILE and --outcome COLUMN.")
    else:
        report = _judged_model(model, data)
    say(as_json(report) if json else report.to_text())
    raise typer.Exit(int(report.verdict.value in ("fail", "not enough data")))


def compare(
    scores: Path = typer.Argument(help="Table with outcomes and two or more scores."),
    outcome: str = typer.Option(..., "--outcome", help="Column of outcomes, as for validate."),
    score: list[str] = typer.Option(
        ..., "--score", help="Column, larger = healthier; the first is the reference."
    ),
    probability: list[str] = typer.Option(
        [], "--probability", help="SCORE=COLUMN: churn probabilities of a score."
    ),
    churned: str | None = CHURNED,
    account: str | None = ACCOUNT,
    value: str | None = VALUE,
    json: bool = JSON,
) -> None:
    """Compare two or more scores on the same rows, by paired differences."""
    from chs_ml import validation
    from chs_ml.table import read_table

    pairs = dict(_pair(text) for text in probability)
    table = read_table(scores)
    found = validation.compare(
        _outcomes(table, outcome, churned),
        {name: _column(table, name) for name in score},
        probabilities={name: _column(table, column) for name, column in pairs.items()},
        account=None if account is None else _column(table, account),
        value=None if value is None else _column(table, value),
    )
    say(as_json(found) if json else found.to_text())


def _pair(text: str) -> tuple[str, str]:
    name, mark, column = text.partition("=")
    if not (name and mark and column):
        raise typer.BadParameter(f"--probability must be SCORE=COLUMN; got {text!r}.")
    return name, column


def _column(table: "pd.DataFrame", name: str) -> "pd.Series":
    from chs_ml.errors import TableError, first_few, nearest

    if name not in table.columns:
        hint = nearest(name, table.columns) or f" It has {first_few(table.columns)}."
        raise TableError(f"The table has no column {name!r}.{hint}")
    return table[name]


def _outcomes(table: "pd.DataFrame", name: str, churned: str | None) -> Any:
    from chs_ml.outcome import coded_by_value

    outcomes = _column(table, name)
    return outcomes if churned is None else coded_by_value(outcomes, churned=churned)


def _judged_columns(
    path: Path, outcome: str, churned: str | None, columns: dict[str, str | None]
) -> "ValidationReport":
    from chs_ml import validation
    from chs_ml.table import read_table

    table = read_table(path)
    given: dict[str, Any] = {p: _column(table, name) for p, name in columns.items() if name is not None}
    return validation.validate(_outcomes(table, outcome, churned), **given)


def _judged_model(path: Path, data: Path) -> "ValidationReport":
    from chs_ml import validation
    from chs_ml.bundle import load_model
    from chs_ml.dataset import build_dataset
    from chs_ml.recipe import load_recipe
    from chs_ml.table import read_table

    model, table = load_model(path), read_table(data)
    # without [metrics]: which columns are metrics is the model's business, the recipe is for the outcomes
    recipe = load_recipe({**model.facts["recipe"], "metrics": {}})
    dataset = build_dataset(recipe, table)
    scores = model.score(table)
    return validation.validate(
        dataset.churned,
        score=scores["health_score"].to_numpy(),
        probability=scores["churn_probability"].to_numpy(),
        tiers=model.tiers,
        value=dataset.value,
        account=dataset.account.to_numpy(),
        segment=None if dataset.segment is None else dataset.segment.to_numpy(),
        out_of_time=_out_of_time(model, dataset),
    )


def _out_of_time(model: "HealthModel", dataset: "Dataset") -> bool | None:
    """True where all rows come after the training data; else a remark that the model may know them."""
    import pandas as pd

    period = model.facts.get("snapshots")
    if period is None or dataset.snapshot_date is None:
        remark("Note: make sure that the model was not trained on these rows; nothing here can tell.")
        return None
    early = int((dataset.snapshot_date <= pd.Timestamp(period[1])).sum())
    if early:
        remark(
            f"Note: {early:,} of {dataset.n:,} rows are not later than the training data ({period[1]}); "
            "the model may have seen them."
        )
    return None if early else True
