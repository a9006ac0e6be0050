"""The main job from end to end, on a simulated portfolio whose truth is known."""

from collections.abc import Mapping
from dataclasses import dataclass
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
from chs_ml.portfolio_summary import PortfolioSummary
from chs_ml.recipe import Recipe, load_recipe
from chs_ml.scorecard import Scorecard, load_scorecard
from chs_ml.splits import test_split
from chs_ml.synthetic import Portfolio, simulate
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
    model : HealthModel
        Trained on the earlier months.
    report : ValidationReport
        The model judged on the later months.
    duel : Comparison
        The handcrafted score, which is the reference, and the learned one on the same rows.
    summary : PortfolioSummary
        The accounts that are due now.
    true_weights : mapping of str to float
        What the simulation used, per metric.
    files : mapping of str to str
        What was written, by what it is.
    """

    model: HealthModel
    report: ValidationReport
    duel: Comparison
    summary: PortfolioSummary
    true_weights: Mapping[str, float]
    files: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, text and numbers."""
        parts = ("report", "duel", "summary", "true_weights", "files")
        plain: dict[str, Any] = to_plain({name: getattr(self, name) for name in parts})
        return {**plain, "facts": to_plain(self.model.facts)}


def run_demo(folder: str | Path, *, accounts: int = 2000, seed: int = 0, progress: Progress = silent) -> Demo:
    """Simulate, train, judge out of time against the score by hand, score, and sum up.

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
    """
    progress("simulating a portfolio", 0, 1)
    portfolio = simulate(accounts=accounts, seed=seed)
    files = write_portfolio(portfolio, folder)
    recipe = load_recipe(files["recipe"])
    dataset = build_dataset(recipe)
    model = train(dataset, recipe, progress=progress)
    if model.report is None:
        raise InputError("The demo's model must have been judged.")
    files |= {
        "model": Path(folder) / "model",
        "due": Path(folder) / "due.csv",
        "scores": Path(folder) / "scores.csv",
    }
    bundle.save_model(model, files["model"])
    progress("comparing with the score by hand", 0, 1)
    duel = _duel(model, dataset, recipe)
    progress("scoring the accounts that are due", 0, 1)
    write_table(due_now(portfolio), files["due"])
    summary = score_file(model, files["due"], files["scores"])
    files["report"] = Path(folder) / "report.json"
    demo = Demo(
        model=model,
        report=model.report,
        duel=duel,
        summary=summary,
        true_weights=dict(portfolio.truth.weights),
        files={name: str(path) for name, path in files.items()},
    )
    write_atomically(files["report"], f"{to_json(demo.to_dict())}\n".encode())
    return demo


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


def due_now(portfolio: Portfolio) -> pd.DataFrame:
    """The accounts due for renewal as seen on the last day: newest snapshots, outcomes not yet known."""
    customers = portfolio.customers
    newest = customers["snapshot_date"] == customers["snapshot_date"].max()
    due: pd.DataFrame = customers[newest].drop(columns="outcome").reset_index(drop=True)
    return due


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
