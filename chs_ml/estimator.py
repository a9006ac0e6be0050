"""What our scikit-learn estimators share: reading X and y, tags, probabilities."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

Array = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
"""Called with a stage in words, steps done and steps in all."""


def read_training_rows(estimator: Any, X: Any, y: Any) -> tuple[Array, Array]:
    """Check X and y as scikit-learn does, set ``classes_``, and code y as 1 = churned.

    Returns
    -------
    X : ndarray of shape (n, k)
        float64, NaN allowed.
    churned : ndarray of shape (n,)
        1.0 for the larger class, 0.0 for the other.
    """
    X, y = validate_data(estimator, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
    check_classification_targets(y)
    estimator.classes_ = np.unique(y)
    n = len(estimator.classes_)
    if n != 2:
        plural = "" if n == 1 else "es"
        raise ValueError(
            f"Only binary classification is supported: y must hold two classes, got {n} class{plural}."
        )
    return X, (y == estimator.classes_[1]).astype(np.float64)


def binary_with_missing(tags: Any) -> Any:
    """Tags of an estimator for two classes that takes missing values."""
    tags.classifier_tags.multi_class = False
    tags.input_tags.allow_nan = True
    return tags


def two_columns(probability: Array) -> Array:
    """Probabilities of both classes, of shape (n, 2), from that of churn."""
    return np.column_stack([1.0 - probability, probability])
