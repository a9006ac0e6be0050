"""The recipes of the real raw tables train, and the models say what the data deserve."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score

from chs_ml.dataset import Dataset, build_dataset
from chs_ml.health_model import HealthModel
from chs_ml.leakage import leak_report
from chs_ml.recipe import Recipe, load_recipe
from chs_ml.splits import test_split
from chs_ml.training import scoring_frame, train
from chs_ml.validation import Verdict

pytestmark = pytest.mark.slow


def recipe_of(root: Path, shared_data: Path, name: str, folder: str) -> Recipe:
    recipe = load_recipe(root / "training" / f"{name}.toml").with_data(shared_data / folder)
    model = recipe.model.model_copy(update={"bootstrap": 10, "folds": 3, "threads": 1})
    return recipe.model_copy(update={"model": model})


def named(dataset: Dataset) -> set[str]:
    return {finding.subject for finding in leak_report(dataset).findings}


@pytest.fixture(scope="module")
def crm5(root: Path, shared_data: Path) -> tuple[Dataset, Recipe]:
    recipe = recipe_of(root, shared_data, "crm5", "saas-crm5")
    return build_dataset(recipe), recipe


@pytest.fixture(scope="module")
def judged(crm5: tuple[Dataset, Recipe]) -> tuple[HealthModel, Dataset, Dataset]:
    """The model of crm5, the rows it learned from, and the later ones."""
    dataset, recipe = crm5
    model = train(dataset, recipe)
    split = test_split(dataset, test_share=0.25, test_from=recipe.split.test_from, random_state=0)
    return model, dataset.rows(split.train), dataset.rows(split.test)


def test_crm5_trains_to_march_and_is_judged_from_june_to_september(
    judged: tuple[HealthModel, Dataset, Dataset],
) -> None:
    _, learned, test = judged
    assert learned.snapshot_date.max() == pd.Timestamp("2023-03-31")
    months = test.snapshot_date.dt.strftime("%m-%d").value_counts().to_dict()
    assert months == {"06-30": 1_387, "07-31": 1_443, "08-31": 1_509, "09-30": 1_573}
    assert (test.n, test.n_churned) == (5_912, 251)
    september = test.snapshot_date == "2023-09-30"
    assert test.churned[september].mean() == pytest.approx(0.0445, abs=5e-5)
    assert test.account[test.churned == 1.0].nunique() == 136


def test_crm5_ranks_as_well_as_it_can_and_no_better(judged: tuple[HealthModel, Dataset, Dataset]) -> None:
    model, _, test = judged
    chances = model.score(scoring_frame(model, test))["churn_probability"]
    assert 0.74 <= roc_auc_score(test.churned, chances) <= 0.82
    assert model.report is not None
    tiers = [row.churn_rate for row in model.report.tiers]
    assert tiers == sorted(tiers)
    assert model.report.test("ordered").verdict is Verdict.PASS


def test_crm5_loses_no_more_than_boosters_with_their_defaults(
    judged: tuple[HealthModel, Dataset, Dataset],
) -> None:
    model, learned, test = judged
    chances = model.score(scoring_frame(model, test))["churn_probability"]
    ours = log_loss(test.churned, chances)
    assert ours < log_loss(test.churned, np.full(test.n, test.base_rate))
    both = pd.concat([learned.frame, test.frame])
    matrix = both.apply(lambda column: column if column.dtype.kind == "f" else pd.factorize(column)[0])
    early, late = matrix.iloc[: learned.n], matrix.iloc[learned.n :]
    for other in (LGBMClassifier(verbosity=-1, n_jobs=1), HistGradientBoostingClassifier(random_state=0)):
        theirs = other.fit(early, learned.churned).predict_proba(late)[:, 1]
        assert ours < log_loss(test.churned, theirs), type(other).__name__


def test_ravenstack_has_no_evidence_of_signal(root: Path, shared_data: Path) -> None:
    recipe = recipe_of(root, shared_data, "ravenstack", "saas-ravenstack")
    model = train(build_dataset(recipe), recipe)
    assert model.report is not None
    ranks = model.report.test("ranks")
    assert ranks.interval is not None
    assert ranks.interval.low < 0.5 < ranks.interval.high
    assert ranks.verdict is Verdict.WARN
    assert ranks.sentence.startswith("No evidence of signal")
    assert model.report.verdict is not Verdict.PASS
    assert model.report.to_text().splitlines()[2].startswith("No evidence of signal")


def test_telecom_pe_is_separated_perfectly_and_stays_finite(root: Path, shared_data: Path) -> None:
    recipe = recipe_of(root, shared_data, "telecom_pe", "b2b-telecom-pe")
    dataset = build_dataset(recipe)
    assert {"risk_score", "motivo_abandono", "nps", "csat"} <= named(dataset)
    model = train(dataset, recipe)
    weights = np.array([fact["weight"] for fact in model.facts["weights"].values()])
    assert np.isfinite(weights).all()
    assert weights.sum() == pytest.approx(1.0)
    scores = model.score(scoring_frame(model, dataset))
    chances = scores["churn_probability"].to_numpy()
    assert 0.0 < chances.min() < chances.max() < 1.0
    assert scores["health_score"].between(0, 100, inclusive="neither").all()
    assert roc_auc_score(dataset.churned, chances) > 0.999
