"""The mean of several LightGBM models: margin and exact SHAP values.

Contributions come from look-up tables (`chs_ml.tree_tables`, the same numbers as LightGBM's
`pred_contrib` within 1e-10, some hundred times faster). So do the margins of small trees. Which engine
speaks depends on the model alone, never on the rows or the machine, so that a score has the same bits
everywhere.
"""

import os
import re
import warnings
from dataclasses import dataclass
from functools import cached_property

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from chs_ml.errors import BundleError
from chs_ml.tree_tables import TablesTooLargeError, TreeTables, UngroupableTreeError

Array = NDArray[np.float64]

SMALL_TREE = 8
"""Leaves up to which tables are faster than LightGBM even in plain NumPy."""
ROWS_PER_THREAD = 2_000
"""Fewer rows are evaluated on one thread: starting more costs more than they save."""


@dataclass(frozen=True)
class TreeParts:
    """The trees' margin taken apart.

    Attributes
    ----------
    margin : ndarray of shape (n,)
        Log-odds of churn.
    expected : float
        Mean margin over the training rows that each tree saw.
    contributions : ndarray of shape (n, k)
        Log-odds per metric; with `expected` they sum to the margin.
    """

    margin: Array
    expected: float
    contributions: Array


@dataclass(frozen=True)
class TreeEnsemble:
    """The mean of several LightGBM models.

    Parameters
    ----------
    models : tuple of str
        LightGBM model texts. Verify where they come from before: LightGBM ends the interpreter on
        damaged text.
    """

    models: tuple[str, ...]

    @cached_property
    def boosters(self) -> tuple[lgb.Booster, ...]:
        """The models, parsed."""
        return tuple(lgb.Booster(model_str=text) for text in self.models)

    @cached_property
    def tables(self) -> TreeTables | None:
        """The models as look-up tables; None, with a warning, where they would not fit in memory."""
        try:
            return TreeTables.from_boosters(self.models)
        except (TablesTooLargeError, UngroupableTreeError) as error:
            warnings.warn(
                f"These trees are explained by LightGBM, which takes some hundred times longer: {error}",
                RuntimeWarning,
                stacklevel=3,
            )
            return None

    def prepare(self, *, tables: bool) -> None:
        """Parse the models and build what margins need, or contributions too, before threads ask for it."""
        row = np.zeros((1, self.boosters[0].num_feature()))
        if tables:
            self.explained(row)
        else:
            self.margin(row)

    @property
    def n_trees(self) -> int:
        """Number of trees of all models together."""
        return sum(booster.num_trees() for booster in self.boosters)

    @cached_property
    def has_small_trees(self) -> bool:
        """Whether no tree has more than 8 leaves."""
        leaves = (
            int(n) for text in self.models for n in re.findall(r"^num_leaves=(\d+)$", text, re.MULTILINE)
        )
        return max(leaves, default=0) <= SMALL_TREE

    def check_width(self, k: int) -> None:
        """Refuse models of another number of metrics."""
        for booster in self.boosters:
            if booster.num_feature() != k:
                raise BundleError(
                    f"The trees must take the model's {k} metrics; they take {booster.num_feature()}. "
                    "The bundle's files do not belong together."
                )

    def margin(self, values: Array, *, threads: int | None = None) -> Array:
        """Mean log-odds of churn of encoded rows of shape (n, k)."""
        n_threads = _threads(len(values), threads)
        if self.has_small_trees and self.tables is not None:
            return self.tables.margin(values, n_threads=n_threads)
        total = np.zeros(len(values))
        for booster in self.boosters:
            total += booster.predict(values, raw_score=True, num_threads=n_threads)
        return total / len(self.boosters)

    def explained(self, values: Array, *, threads: int | None = None, once: bool = False) -> TreeParts:
        """Margin and exact path-dependent SHAP values of encoded rows of shape (n, k), in one pass.

        Parameters
        ----------
        values : ndarray of shape (n, k)
            Encoded rows.
        threads : int, optional
            Threads; all cores by default.
        once : bool
            No other rows will be explained: LightGBM takes some milliseconds a row, and building the tables
            takes seconds. Contributions differ within 1e-10, margins not at all.
        """
        n_threads = _threads(len(values), threads)
        if once or self.tables is None:
            contributions, expected = self.lightgbm_contributions(values, n_threads=n_threads)
            return TreeParts(self.margin(values, threads=threads), expected, contributions)
        margin, contributions = self.tables.contributions(values, n_threads=n_threads)
        if not self.has_small_trees:  # the bits of a score come from one engine
            margin = self.margin(values, threads=threads)
        return TreeParts(margin, self.tables.expected_value, contributions)

    def lightgbm_contributions(self, values: Array, *, n_threads: int = 1) -> tuple[Array, float]:
        """Contributions of shape (n, k) and expected value by LightGBM's own `pred_contrib`."""
        n, k = values.shape
        total = np.zeros((max(n, 1), k + 1))
        known = values if n else np.full((1, k), np.nan)  # LightGBM divides by the number of rows
        for booster in self.boosters:
            total += booster.predict(known, pred_contrib=True, num_threads=n_threads)
        total /= len(self.boosters)
        return total[:n, :k], float(total[0, k])


def _threads(n: int, threads: int | None) -> int:
    return 1 if n < ROWS_PER_THREAD else (threads or os.cpu_count() or 1)
