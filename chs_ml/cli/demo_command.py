"""The command ``demo``."""

from pathlib import Path

import typer

from chs_ml.cli.data_commands import JSON
from chs_ml.cli.running import as_json, progress_bars, say


def demo(
    out: Path = typer.Option(Path("chs-ml-demo"), help="Folder to write to."),
    accounts: int = typer.Option(3000, help="Simulated accounts."),
    seed: int = typer.Option(0, help="Same seed, same demo."),
    json: bool = JSON,
) -> None:
    """Show the main job in one command, in about a minute.

    Simulates the raw tables of a company, makes snapshots before each renewal, checks them for leaks, trains
    a model, judges it out of time against a score written by hand, scores the accounts that are due, and
    reports.
    """
    from chs_ml.cli.demo_text import demo_text
    from chs_ml.demo import run_demo

    with progress_bars() as show:
        result = run_demo(out, accounts=accounts, seed=seed, progress=show)
    say(as_json(result.to_dict()) if json else demo_text(result))
