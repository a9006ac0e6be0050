"""The command ``snapshot``."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from chs_ml.cli.data_commands import JSON
from chs_ml.cli.running import as_json, say

if TYPE_CHECKING:
    from chs_ml.raw import SnapshotTable


def snapshot(
    recipe: Path = typer.Argument(help="Recipe (TOML) with [tables]."),
    output: Path = typer.Argument(help="Where to write: csv, csv.gz or parquet, by its ending."),
    data: Path | None = typer.Option(None, "--data", help="Folder of the raw tables, not the recipe's."),
    as_of: str | None = typer.Option(
        None, "--as-of", help="One snapshot of all customers at the end of this day, such as 2024-07-31."
    ),
    json: bool = JSON,
) -> None:
    """Build the table of metrics from raw tables: as training sees it, or as of a day, to be scored.

    With --as-of nothing after that day is used and all outcomes are open. Rows put aside by
    on_invalid = "reject" are written beside the table. Exit code 2 where a table cannot be used.
    """
    from chs_ml.raw import build_snapshots
    from chs_ml.recipe import load_recipe

    spec = load_recipe(recipe)
    spec = spec if data is None else spec.with_data(data)
    spec = spec if as_of is None else spec.as_of(_day(as_of))
    table = build_snapshots(spec)
    files = table.write(output)
    if json:
        rows = {"rows": len(table.frame), "metrics": _metrics(table), "renewals": table.renewals}
        say(as_json({**rows, "files": [str(path) for path in files], "findings": list(table.findings)}))
    else:
        say(_text(table, files))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--as-of must be a day such as 2024-07-31; got {text!r}.") from None


def _metrics(table: "SnapshotTable") -> int:
    """Number of columns that are neither key nor outcome."""
    return len(table.frame.columns.difference(["account_id", "snapshot_date", "outcome"]))


def _text(table: "SnapshotTable", files: list[Path]) -> str:
    from chs_ml.cli.texts import counted, findings_text
    from chs_ml.validation.text import section

    frame = table.frame
    rows = f"{counted(len(frame), 'row')} of {counted(frame['account_id'].nunique(), 'account')}"
    lines = [f"{rows}, {counted(_metrics(table), 'metric')} each{_period(table)}."]
    outcomes = frame["outcome"].value_counts()
    lines.append("Outcomes: " + ", ".join(f"{n:,} {word}" for word, n in outcomes.items()) + ".")
    written = [f"  {path}" for path in files]
    return "\n\n".join([findings_text(table.findings), section("Snapshots", *lines), "\n".join(written)])


def _period(table: "SnapshotTable") -> str:
    if "snapshot_date" not in table.frame.columns:
        return ""
    first, last = table.frame["snapshot_date"].min().date(), table.frame["snapshot_date"].max().date()
    return f", as of {first}" if first == last else f", from {first} to {last}"
