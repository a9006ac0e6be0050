"""What the estimators share: reading X and y."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from chs_ml.estimator import read_training_rows, two_columns


class Empty(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator that only reads."""


@pytest.mark.parametrize(
    "y",
    [
        [0, 1, 0],
        [False, True, False],
        ["kept", "lost", "kept"],
        [-1.0, 3.0, -1.0],
        pd.Series([0, 1, 0], index=[7, 7, 7]),
    ],
    ids=str,
)
def test_the_larger_class_is_churn(y: object) -> None:
    estimator = Empty()
    x, churned = read_training_rows(estimator, [[1, np.nan], [2, 3], [4, 5]], y)
    assert churned.tolist() == [0.0, 1.0, 0.0]
    assert x.dtype == churned.dtype == np.float64
    assert np.isnan(x[0, 1])
    assert len(estimator.classes_) == 2


@pytest.mark.parametrize(("y", "count"), [([1, 1, 1], "1 class"), ([0, 1, 2], "3 classes")])
def test_other_than_two_classes_are_refused(y: list[int], count: str) -> None:
    with pytest.raises(ValueError, match=rf"Only binary classification is supported: .* got {count}\."):
        read_training_rows(Empty(), [[1.0], [2.0], [3.0]], y)


def test_infinite_values_are_refused() -> None:
    with pytest.raises(ValueError, match="infinity"):
        read_training_rows(Empty(), [[np.inf], [2.0]], [0, 1])


def test_two_columns() -> None:
    np.testing.assert_allclose(two_columns(np.array([0.25, 1.0])), [[0.75, 0.25], [0.0, 1.0]])
