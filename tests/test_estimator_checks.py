"""scikit-learn's own battery over our estimators, so that its search and cross-validation tools work."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from chs_ml.boosted_trees import BoostedTrees, Growth, TreeShape
from chs_ml.learned_scorecard import LearnedScorecard

FEW = Growth((TreeShape(8),), learning_rate=0.3, rounds=20, patience=5, folds=2)
QUICK: list[Any] = [
    LearnedScorecard(smoothing=(3.0,), pull=(1.0,), folds=2),
    BoostedTrees(growth=FEW, threads=1),
]


@parametrize_with_checks(QUICK)
def test_scikit_learn_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([LearnedScorecard(), BoostedTrees(threads=1)])
def test_scikit_learn_checks_with_defaults(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


@pytest.mark.parametrize("estimator", QUICK, ids=lambda e: type(e).__name__)
def test_search_tools_work_and_parameters_survive_a_clone(estimator: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    y = np.where(x[:, 0] + rng.normal(size=120) > 0, "lost", "kept")
    assert clone(estimator).get_params() == estimator.get_params()
    assert cross_val_score(estimator, x, y, scoring="neg_log_loss", cv=3).mean() > -0.68
    search = GridSearchCV(estimator, {"random_state": [0, 1]}, cv=2).fit(x, y)
    assert set(search.predict(x)) <= {"lost", "kept"}
