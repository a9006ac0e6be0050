"""Boosted trees (LightGBM): what a formula cannot see.

Trees are grown with small steps on account-grouped folds and stopped early on the mean held-out loss;
the model is the mean of the fold models. Several shapes compete by held-out loss; a larger tree has to win
by more than one account-clustered standard error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from chs_ml.accounts import account_numbers, mean_difference
from chs_ml.estimator import Progress, binary_with_missing, read_training_rows, two_columns
from chs_ml.inputs import InputSchema
from chs_ml.scale import churn_probability
from chs_ml.splits import grouped_folds
from chs_ml.tree_ensemble import TreeEnsemble

Array = NDArray[np.float64]

SMALL_TABLE, LARGE_TABLE = 20_000, 100_000
"""Rows up to which time does not matter, and from which it decides."""


@dataclass(frozen=True)
class TreeShape:
    """One candidate size.

    Attributes
    ----------
    leaves : int
        Leaves per tree.
    random_thresholds : bool
        Whether split thresholds are drawn at random (extremely randomised trees): smoother functions.
    """

    leaves: int
    random_thresholds: bool = False


@dataclass(frozen=True)
class Growth:
    """How trees are grown, by size of the table.

    Attributes
    ----------
    shapes : tuple of TreeShape
        Candidates, smallest first.
    learning_rate : float
        Step size.
    rounds, patience : int
        Most trees per fold model; rounds without a better mean held-out loss before stopping.
    folds : int
        Most folds.
    """

    shapes: tuple[TreeShape, ...]
    learning_rate: float
    rounds: int
    patience: int
    folds: int

    @classmethod
    def for_rows(cls, n: int) -> "Growth":
        """Small steps and every candidate on small tables; larger steps and fewer folds on large ones."""
        if n <= SMALL_TABLE:
            shapes = (TreeShape(8), TreeShape(31), TreeShape(31, random_thresholds=True))
            return cls(shapes, learning_rate=0.04, rounds=4000, patience=60, folds=5)
        if n <= LARGE_TABLE:
            return cls((TreeShape(8), TreeShape(31)), learning_rate=0.06, rounds=1000, patience=40, folds=5)
        return cls((TreeShape(8), TreeShape(31)), learning_rate=0.1, rounds=200, patience=20, folds=3)


# Small leaves with strong smoothing of categories: larger minima and L2 on leaf values shrink the nearly
# pure leaves that interactions leave behind, LightGBM's defaults overfit categories with many levels.
_PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "feature_fraction_bynode": 0.6,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "min_data_in_leaf": 5,
    "min_sum_hessian_in_leaf": 1e-3,
    "lambda_l2": 0.0,
    "cat_smooth": 50.0,
    "cat_l2": 50.0,
    "deterministic": True,
    "force_row_wise": True,
    "feature_pre_filter": False,
    "verbosity": -1,
}


class BoostedTrees(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Boosted trees, averaged over folds.

    Parameters
    ----------
    schema : InputSchema, optional
        What the columns of X are; plain numbers of unknown direction by default. Trees are monotone where
        a metric has a direction, and split categories natively.
    growth : Growth, optional
        How trees are grown; chosen by the number of rows by default.
    threads : int, optional
        LightGBM threads; all cores by default. The result does not depend on it.
    random_state : int
        Seed of folds, row and column sampling.
    progress : callable, optional
        Called with a stage in words, steps done and steps in all.

    Attributes
    ----------
    ensemble_ : TreeEnsemble
        The averaged models.
    oof_margin_ : ndarray of shape (n,)
        Log-odds of churn for each row by models that did not see its account.
    held_out_loss_ : dict of str to float
        Mean held-out log loss per candidate size.
    """

    def __init__(
        self,
        *,
        schema: InputSchema | None = None,
        growth: Growth | None = None,
        threads: int | None = None,
        random_state: int = 0,
        progress: Progress | None = None,
    ) -> None:
        self.schema = schema
        self.growth = growth
        self.threads = threads
        self.random_state = random_state
        self.progress = progress

    def __sklearn_tags__(self) -> Any:
        """Binary outcomes, missing values welcome."""
        return binary_with_missing(super().__sklearn_tags__())

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Grow trees.

        Parameters
        ----------
        X : ndarray of shape (n, k)
            Encoded metrics (see `InputSchema.encode`), NaN where missing.
        y : array of shape (n,)
            Two classes; the larger one is churn.
        groups : array of shape (n,), optional
            Accounts; each row its own by default.
        """
        X, churned = read_training_rows(self, X, y)
        accounts = account_numbers(groups, len(churned))
        schema = self.schema or InputSchema.of_numbers(X.shape[1])
        growth = self.growth or Growth.for_rows(len(churned))
        rarer = int(min(churned.sum(), len(churned) - churned.sum()))
        folds = grouped_folds(
            accounts, churned, n_folds=max(2, min(growth.folds, rarer)), random_state=self.random_state
        )
        grown = []
        for i, shape in enumerate(growth.shapes):
            if self.progress is not None:
                self.progress(f"growing trees of {_shape_name(shape)}", i, len(growth.shapes))
            grown.append(self._grow(X, churned, folds, shape=shape, growth=growth, schema=schema))
        losses = np.vstack([np.logaddexp(0.0, g.margin) - churned * g.margin for g in grown])
        kept = chosen_shapes(growth.shapes, near_best(losses, accounts))
        self.held_out_loss_ = {
            _shape_name(shape): float(loss.mean()) for shape, loss in zip(growth.shapes, losses, strict=True)
        }
        self.ensemble_ = TreeEnsemble(tuple(text for i in kept for text in grown[i].models))
        self.oof_margin_ = np.mean([grown[i].margin for i in kept], axis=0)
        return self

    def _grow(
        self,
        X: Array,
        churned: Array,
        folds: NDArray[np.intp],
        *,
        shape: TreeShape,
        growth: Growth,
        schema: InputSchema,
    ) -> "_Grown":
        parameters = {
            **_PARAMETERS,
            "learning_rate": growth.learning_rate,
            "num_leaves": shape.leaves,
            "extra_trees": shape.random_thresholds,
            "monotone_constraints": [-m.direction.sign * (not m.is_category) for m in schema.metrics],
            "num_threads": self.threads or 0,
            "seed": self.random_state + 1,
        }
        table = lgb.Dataset(X, churned, categorical_feature=schema.category_positions, free_raw_data=False)
        splits = [(np.flatnonzero(folds != f), np.flatnonzero(folds == f)) for f in np.unique(folds)]
        result = lgb.cv(
            parameters,
            table,
            num_boost_round=growth.rounds,
            folds=splits,
            callbacks=[lgb.early_stopping(growth.patience, verbose=False)],
            return_cvbooster=True,
        )
        trained = cast(lgb.CVBooster, result["cvbooster"])
        margin = np.empty(len(churned))
        for booster, (_, held_out) in zip(trained.boosters, splits, strict=True):
            margin[held_out] = booster.predict(
                X[held_out], raw_score=True, num_iteration=trained.best_iteration
            )
        texts = tuple(_text(booster, trained.best_iteration) for booster in trained.boosters)
        return _Grown(texts, margin)

    def decision_function(self, X: Any) -> Array:
        """Margin of shape (n,): log-odds of churn, larger = riskier."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        return self.ensemble_.margin(X, threads=self.threads)

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of shape (n, 2), in the order of ``classes_``."""
        return two_columns(churn_probability(self.decision_function(X)))

    def predict(self, X: Any) -> NDArray[Any]:
        """Likelier class of each row."""
        is_churn = self.decision_function(X) > 0
        return np.asarray(self.classes_[is_churn.astype(np.intp)])


@dataclass(frozen=True)
class _Grown:
    models: tuple[str, ...]
    margin: Array


def _shape_name(shape: TreeShape) -> str:
    return f"{shape.leaves} leaves" + (", random thresholds" if shape.random_thresholds else "")


def _text(booster: lgb.Booster, rounds: int) -> str:
    """Model text without the training parameters, which name the number of threads."""
    text: str = booster.model_to_string(num_iteration=rounds)
    head, _, rest = text.partition("\nparameters:\n")
    _, _, tail = rest.partition("\nend of parameters\n")
    return f"{head}\n{tail}"


def chosen_shapes(shapes: Sequence[TreeShape], near: Sequence[int]) -> list[int]:
    """Of the near-best candidates, the smallest with the best thresholds and the smallest with random ones.

    A larger tree that is not better by more than chance only makes scores dearer to compute and to explain;
    the two ways of setting thresholds err differently, so their mean is better than either.
    """
    smallest = {shapes[i].random_thresholds: i for i in reversed(near)}
    return sorted(smallest.values())


def near_best(losses: Array, accounts: NDArray[np.intp]) -> list[int]:
    """Candidates within one account-clustered standard error of the best.

    Parameters
    ----------
    losses : ndarray of shape (candidates, n)
        Held-out log loss of each row.
    accounts : ndarray of int, shape (n,)
        Number of the account of each row, from 0.

    Returns
    -------
    list of int
        Positions; the best one is always among them.
    """
    best = losses[int(np.argmin(losses.mean(axis=1)))]
    excess = [mean_difference(loss - best, accounts) for loss in losses]
    return [i for i, (mean, error) in enumerate(excess) if mean <= error]
