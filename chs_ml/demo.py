"""The main job from end to end, from raw tables of a simulated company whose truth is known."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import tomli_w

from chs_ml import bundle
from chs_ml.batch import score_file
from chs_ml.dataset import Dataset, build_dataset
from chs_ml.errors import InputError
from chs_ml.estimator import Progress
from chs_ml.files import write_atomically
from chs_ml.health_model import HealthModel
from chs_ml.leakage import LeakReport, leak_report
from chs_ml.outcome import Outcome
from chs_ml.portfolio_summary import PortfolioSummary
from chs_ml.raw import build_snapshots
from chs_ml.recipe import Recipe, load_recipe
from chs_ml.scorecard import Scorecard, load_scorecard
from chs_ml.splits import test_split
from chs_ml.synthetic import Portfolio, RawTables, simulate, write_raw_tables
from chs_ml.table import write_table
from chs_ml.training import scoring_frame, silent, train
from chs_ml.validation import Comparison, ValidationReport, compare
from chs_ml.validation.plain import to_json, to_plain

BY_HAND, LEARNED = "by hand", "learned"


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What the demo found.

    Attributes
    ----------
    rows : mapping of str to int
        Rows of each raw table.
    renewals : mapping of str to int
        How many terms that ended renewed, churned, contracted, or are open at the data cut.
    leaks : LeakReport
        What the leak meter says about the snapshots; its findings begin with those of the raw tables' checks.
    model : HealthModel
        Trained on the earlier renewals.
    report : ValidationReport
        The model judged on the later renewals.
    duel : Comparison
        The handcrafted score, which is the reference, and the learned one on the same rows.
    summary : PortfolioSummary
        The accounts that are due now.
    true_weights : mapping of str to float
        What the simulation used, per metric.
    files : mapping of str to str
        What was written, by what it is.
    """

    rows: Mapping[str, int]
    renewals: Mapping[str, int]
    leaks: LeakReport
    model: HealthModel
    report: ValidationReport
    duel: Comparison
    summary: PortfolioSummary
    true_weights: Mapping[str, float]
    files: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, text and numbers."""
        parts = ("rows", "renewals", "report", "duel", "summary", "true_weights", "files")
        plain: dict[str, Any] = to_plain({name: getattr(self, name) for name in parts})
        return {**plain, "leaks": self.leaks.to_dict(), "facts": to_plain(self.model.facts)}


def run_demo(folder: str | Path, *, accounts: int = 3000, seed: int = 0, progress: Progress = silent) -> Demo:
    """Simulate raw tables, build snapshots, train, judge out of time against the score by hand, and score.

    Parameters
    ----------
    folder : str or Path
        Where tables, recipe, model, scores and report are written; made where it is absent.
    accounts : int
        Accounts to simulate.
    seed : int
        Same seed, same demo.
    progress : callable, optional
        Called with stage, steps done and steps in all.

    Raises
    ------
    ChsError
        Where DuckDB is not installed, which makes the metrics (the extra ``duckdb``).
    """
    there = Path(folder)
    progress("simulating the raw tables of a company", 0, 1)
    portfolio = simulate(accounts=accounts, seed=seed)
    raw = portfolio.raw_tables()
    files = write_raw_portfolio(portfolio, raw, there)
    recipe = load_recipe(files["recipe"])
    progress("making snapshots before each renewal", 0, 1)
    table = build_snapshots(recipe)
    files["snapshots"] = table.write(there / "snapshots.parquet")[0]
    dataset = build_dataset(recipe, table.frame)
    progress("looking for leaks", 0, 1)
    leaks = leak_report(dataset, renewal_date=renewal_dates(dataset))
    model = train(dataset, recipe, progress=progress)
    if model.report is None:
        raise InputError("The demo's model must have been judged.")
    files |= {"model": there / "model", "due": there / "due.csv", "scores": there / "scores.csv"}
    bundle.save_model(model, files["model"])
    progress("comparing with the score by hand", 0, 1)
    duel = _duel(model, dataset, recipe)
    progress("scoring the accounts that are due", 0, 1)
    write_table(due_now(table.frame), files["due"])
    summary = score_file(model, files["due"], files["scores"])
    files["report"] = there / "report.json"
    demo = Demo(
        rows={name: len(rows) for name, rows in raw},
        renewals=table.renewals,
        leaks=replace(leaks, findings=(*table.findings, *leaks.findings)),
        model=model,
        report=model.report,
        duel=duel,
        summary=summary,
        true_weights=dict(portfolio.truth.weights),
        files={name: str(path) for name, path in files.items()},
    )
    write_atomically(files["report"], f"{to_json(demo.to_dict())}\n".encode())
    return demo


def write_raw_portfolio(portfolio: Portfolio, raw: RawTables, folder: str | Path) -> dict[str, Path]:
    """Write the raw tables of a simulated portfolio as Parquet, and a recipe that starts from them.

    Returns
    -------
    dict of str to Path
        ``raw``, the folder of the tables, and ``recipe``, the file ``raw_recipe.toml``.
    """
    there = Path(folder)
    write_raw_tables(raw, there / "raw")
    files = {"raw": there / "raw", "recipe": there / "raw_recipe.toml"}
    write_atomically(files["recipe"], tomli_w.dumps(portfolio.raw_recipe("raw")).encode())
    return files


def write_portfolio(portfolio: Portfolio, folder: str | Path) -> dict[str, Path]:
    """Write a simulated portfolio as CSV, and a recipe that trains on it.

    Returns
    -------
    dict of str to Path
        ``customers``, ``accounts``, ``renewals`` and ``recipe``.
    """
    there = Path(folder)
    there.mkdir(parents=True, exist_ok=True)
    tables = {name: getattr(portfolio, name) for name in ("customers", "accounts", "renewals")}
    files = {name: there / f"{name}.csv" for name in tables}
    for name, table in tables.items():
        write_table(table, files[name])
    files["recipe"] = there / "recipe.toml"
    write_atomically(files["recipe"], tomli_w.dumps(portfolio.recipe).encode())
    return files


def due_now(snapshots: pd.DataFrame) -> pd.DataFrame:
    """The accounts whose renewal is yet to come, as they stood a lead time before it: no outcome yet."""
    due: pd.DataFrame = snapshots[snapshots["outcome"] == Outcome.OPEN].drop(columns="outcome")
    return due.reset_index(drop=True)


def renewal_dates(dataset: Dataset) -> pd.Series | None:
    """The renewal that each snapshot looks ahead to; None without dates."""
    if dataset.snapshot_date is None:
        return None
    return dataset.snapshot_date + pd.Timedelta(days=dataset.lead_days)


def handcrafted_card() -> Scorecard:
    """The scorecard ``cs_team.toml``: a typical score that a success team wrote by hand.

    Raises
    ------
    ScorecardError
        Where neither the installed package nor the repository around it has the file.
    """
    package = Path(__file__).parent
    installed = package / "scorecards" / "cs_team.toml"
    in_repository = package.parent / "models" / "scorecards" / "cs_team.toml"
    return load_scorecard(installed if installed.is_file() else in_repository)


def _duel(model: HealthModel, dataset: Dataset, recipe: Recipe) -> Comparison:
    spec = recipe.split
    split = test_split(
        dataset, test_share=spec.test_share, test_from=spec.test_from, random_state=spec.random_state
    )
    test = dataset.rows(split.test)
    learned = model.score(scoring_frame(model, test))
    return compare(
        test.churned,
        {
            BY_HAND: handcrafted_card().score(test.frame)["health_score"].to_numpy(),
            LEARNED: learned["health_score"].to_numpy(),
        },
        account=test.account.to_numpy(),
        value=test.value,
        tiers=model.tiers,
    )
