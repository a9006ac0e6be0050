"""Commands that use a model: ``score`` and ``explain``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from chs_ml.cli.data_commands import JSON
from chs_ml.cli.running import as_json, progress_bars, say

if TYPE_CHECKING:
    import pandas as pd

    from chs_ml.health_model import HealthModel

MODEL = typer.Argument(help="Saved model.")
TABLE = typer.Argument(help="Table of metrics: csv, csv.gz or parquet.")
SHOWN = 10


def score(
    model: Path = MODEL,
    table: Path = typer.Argument(help="Table of metrics (csv, csv.gz or parquet), or a folder of them."),
    output: Path = typer.Argument(
        help="Where to write: csv, csv.gz or parquet, by its ending; of a folder a folder."
    ),
    reasons: int = typer.Option(0, min=0, help="Columns of reasons per row; slow on large tables."),
    below: str | None = typer.Option(
        None, "--reasons-below", help="Tier; only accounts in a less healthy one get reasons."
    ),
    resume: bool = typer.Option(
        False, "--resume", help="Go on after a kill; do nothing where all is done. Always so for folders."
    ),
    stamp: bool = typer.Option(
        False, "--stamp", help="Add columns model_version and input_fingerprint; as --resume."
    ),
    json: bool = JSON,
) -> None:
    """Score a table, row for row, and sum up what is at risk; or run a batch of tables."""
    from chs_ml.batch import score_file
    from chs_ml.bundle import fingerprint_of, load_model

    loaded = load_model(model)
    if resume or stamp or table.is_dir():
        from chs_ml.batch_run import Options, run_batch

        options = Options(version=fingerprint_of(model), reasons=reasons, below=below, stamp=stamp)
        with progress_bars() as show:
            run = run_batch(
                loaded, table, output, options=options, progress=lambda done: show("scoring rows", done, 0)
            )
        say(as_json({"output": str(output), **run}) if json else _run_text(run, output))
        return
    with progress_bars() as show:
        summary = score_file(
            loaded,
            table,
            output,
            reasons=reasons,
            below=below,
            progress=lambda done: show("scoring rows", done, 0),
        )
    say(as_json({"output": str(output), **summary.to_dict()}) if json else f"{summary}\n\nScores: {output}")


def _run_text(run: dict[str, Any], output: Path) -> str:
    counts = ", ".join(f"{count:,} {name}" for name, count in {**run["tiers"], **run["statuses"]}.items())
    files = len(run["files"])
    return (
        f"{run['rows']:,} rows of {files:,} {'table' if files == 1 else 'tables'}: {counts}\nScores: {output}"
    )


def explain(
    model: Path = MODEL,
    table: Path = TABLE,
    account: str | None = typer.Option(None, "--account", help="Account id; without it, the first rows."),
    n: int = typer.Option(3, "-n", min=1, help="Reasons per account, for and against."),
    json: bool = JSON,
) -> None:
    """Explain scores in their own points."""
    from chs_ml import explanation
    from chs_ml.batch import cell_texts
    from chs_ml.bundle import load_model
    from chs_ml.cli.texts import explanation_text

    loaded = load_model(model)
    frame = _rows(loaded, table, account)
    found, scores = explanation.explain(loaded, frame), loaded.score(frame)
    ids = cell_texts(frame, loaded.carried.account)
    days = cell_texts(frame, loaded.carried.snapshot_date)
    if json:
        keys = [{"account": name, "snapshot_date": day[:10]} for name, day in zip(ids, days, strict=True)]
        records = [key | record for key, record in zip(keys, found.to_records(n), strict=True)]
        say(as_json(records))
        return
    names = [
        f"{name or f'row {row + 1}'} {day[:10]}".strip()
        for row, name, day in zip(frame.index, ids, days, strict=True)
    ]
    say(explanation_text(found, names, scores, n))


def _rows(model: "HealthModel", path: Path, account: str | None) -> "pd.DataFrame":
    """The rows of an account, or the first rows; the table is streamed."""
    import pandas as pd

    from chs_ml.batch import cell_texts
    from chs_ml.errors import TableError
    from chs_ml.table import iter_table

    if account is None:
        return next(iter_table(path)).head(SHOWN)
    if model.carried.account is None:
        raise TableError("--account needs a model whose recipe names an account column; this one has none.")
    found = []
    for frame in iter_table(path):
        if model.carried.account not in frame.columns:
            raise TableError(f"--account needs the column {model.carried.account!r}; the table has none.")
        found.append(frame[[text == account.strip() for text in cell_texts(frame, model.carried.account)]])
    rows = pd.concat(found)
    if rows.empty:
        raise TableError(f"No row of {path.name} has {model.carried.account} = {account!r}.")
    return rows
