"""Options that the judging commands share."""

from collections.abc import Iterable
from pathlib import Path

import typer

OUTCOME = typer.Option(
    None, "--outcome", help="Column: renewed, churned, contracted, open; or 0 and 1 with 1 = churned."
)
CHURNED = typer.Option(None, "--churned", help="The value of the outcome column that means churned.")
ACCOUNT = typer.Option(None, "--account", help="Column of account ids: rows of one account belong together.")
VALUE = typer.Option(None, "--value", help="Column of account values.")
SCORE = typer.Option("health_score", "--score", help="Column: larger = healthier.")
PROBABILITY = typer.Option(None, "--probability", help="Column of churn probabilities.")
SNAPSHOT_DATE = typer.Option(None, "--snapshot-date", help="Column of snapshot dates.")
SEGMENT = typer.Option(None, "--segment", help="Column of segments.")
MARKDOWN = typer.Option(False, "--markdown", help="Print Markdown.")
RECIPE = typer.Option(
    None, "--recipe", help="Judge by [validation] and [tiers] of this recipe, not by the model's."
)
SOURCE = typer.Argument(help="Saved model, or a table of scores.")
MODEL_DATA = typer.Argument(None, help="With a model: table with outcomes, read as the model's recipe says.")


def pairs(texts: Iterable[str], option: str, form: str) -> dict[str, str]:
    """Read NAME=VALUE options."""
    found = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not (name and mark and value):
            raise typer.BadParameter(f"{option} must be {form}; got {text!r}.")
        found[name] = value
    return found


def number_pairs(texts: Iterable[str], option: str, form: str) -> dict[str, float]:
    """Read NAME=NUMBER options."""
    return {name: as_number(value, option, form) for name, value in pairs(texts, option, form).items()}


def as_number(text: str, option: str, form: str) -> float:
    """Read a number."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{option} must be {form}; got {text!r}.") from None


def check_source(source: Path, data: Path | None, outcome: str | None) -> None:
    """A folder is a model and needs data; a table of scores needs its column of outcomes."""
    if data is None and source.is_dir():
        raise typer.BadParameter("a model needs DATA, a table with outcomes.")
    if data is None and outcome is None:
        raise typer.BadParameter("a table of scores needs --outcome COLUMN.")
