"""The command ``write-back``."""

from enum import StrEnum
from pathlib import Path

import typer

from chs_ml.cli.data_commands import JSON
from chs_ml.cli.running import as_json, say


class Target(StrEnum):
    """CRMs that scores are written back to."""

    SALESFORCE = "salesforce"
    HUBSPOT = "hubspot"


def write_back(
    target: Target = typer.Argument(help="Which CRM."),
    scores: Path = typer.Argument(help="Table of scores, as `score` writes it."),
    output: Path = typer.Argument(help="csv for Salesforce, JSON lines for HubSpot."),
    recipe: Path = typer.Option(..., "--recipe", help="Recipe (TOML) with [writeback.TARGET.fields]."),
    previous: Path | None = typer.Option(
        None, "--previous", help="Scores written last: accounts that have not changed are left out."
    ),
    json: bool = JSON,
) -> None:
    """Write scores as a file that a CRM takes."""
    from chs_ml import writeback
    from chs_ml.recipe import load_recipe
    from chs_ml.table import read_table

    spec = writeback.target_spec(load_recipe(recipe), target.value)
    write = writeback.write_salesforce if target is Target.SALESFORCE else writeback.write_hubspot
    before = None if previous is None else read_table(previous)
    done = write(read_table(scores), output, spec, previous=before)
    files = [str(path) for path in done.files]
    if json:
        say(as_json({"files": files, "accounts": done.accounts, "unchanged": done.unchanged}))
        return
    say(f"{done.accounts:,} accounts written, {done.unchanged:,} unchanged.")
    say("\n".join(files) if files else "Nothing has changed: no file.")
