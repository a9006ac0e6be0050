"""Margin and exact SHAP contributions of boosted trees, from tables."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chs_ml.tree_tables import numpy_evaluation
from chs_ml.tree_tables.assembly import TableArrays, assemble, expected_value
from chs_ml.tree_tables.model_text import TreeModel, parse_model
from chs_ml.tree_tables.plan import TablePlan, plan_within

Engine = Literal["auto", "numba", "numpy"]
AddRows = Callable[[TableArrays, NDArray[np.float64], NDArray[np.float64], int, int], None]

_BLOCK = 8192
"""Rows evaluated at once: enough to share the reading of a table, few enough for the processor's cache."""

MAX_BYTES = 300e6


class BoosterLike(Protocol):
    """What is needed of a `lightgbm.Booster`."""

    def model_to_string(self, num_iteration: int | None = ...) -> str: ...


@dataclass(frozen=True)
class TreeTables:
    """The mean margin of several boosters and exact path-dependent SHAP values, from look-up tables.

    Built by `TreeTables.from_boosters`; see `docs/exact-shap.md` for the method. Results do not depend on the
    other rows, the number of threads, or the engine, to the last bit.

    Parameters
    ----------
    feature_names : (k,) names of the columns of X, in the order of training.
    expected_value : margin when nothing is known of a row; LightGBM's last `pred_contrib` column.
    n_models : boosters averaged.
    arrays : the tables.
    engine : `auto` takes numba where it can be imported, else NumPy.
    """

    feature_names: tuple[str, ...]
    expected_value: float
    n_models: int
    arrays: TableArrays
    engine: Engine = "auto"

    @classmethod
    def from_boosters(
        cls,
        boosters: Sequence[BoosterLike | str] | BoosterLike | str,
        *,
        num_iteration: int | None = None,
        max_nodes: int = 10,
        max_bytes: float = MAX_BYTES,
        engine: Engine = "auto",
    ) -> TreeTables:
        """Build the tables of fitted single-output boosters.

        Parameters
        ----------
        boosters : LightGBM boosters, or model texts as saved by them; one, or several to average.
        num_iteration : trees of each booster to use; None uses the best iteration where a booster knows one,
            else all; a text holds no best iteration.
        max_nodes : a table has at most `2**max_nodes` patterns, 1 to 12; a leaf that no group can take has a
            table of its own with up to `2**16`.
        max_bytes : upper bound of the tables' memory. Where it is exceeded, smaller groups are tried first.
        engine : `auto`, `numba` or `numpy`.

        Raises
        ------
        ModelTextError : the text is damaged.
        UnsupportedModelError : multiclass models, random forests, linear leaves, or boosters that differ in
            their features.
        UngroupableTreeError : a leaf depends on more than 16 distinct features.
        TablesTooLargeError : the tables would not fit in `max_bytes`.

        All are `TreeTablesError`, hence `ValueError`; LightGBM's `predict` and `pred_contrib` still apply.
        """
        plan = plan_tables(boosters, num_iteration=num_iteration, max_nodes=max_nodes, max_bytes=max_bytes)
        return cls(plan.feature_names, expected_value(plan), plan.n_models, assemble(plan), engine)

    @property
    def nbytes(self) -> int:
        """Memory of the tables with their indexes, in bytes."""
        return self.arrays.nbytes

    def margin(self, X: ArrayLike, *, n_threads: int = 1) -> NDArray[np.float64]:
        """Mean raw score of the boosters; for one booster, LightGBM's own to the last bit.

        Parameters
        ----------
        X : (n, k) numbers in training order, C or F order; NaN is missing, categories are integer codes.
        n_threads : threads, at least 1; the result does not depend on it.

        Returns
        -------
        (n,) log-odds.

        Raises
        ------
        ValueError : when X is not an (n, k) array of numbers.
        """
        margin: NDArray[np.float64] = self._evaluate(X, 1, n_threads)[0]
        return margin

    def contributions(
        self, X: ArrayLike, *, n_threads: int = 1
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Margin and contributions in one pass.

        Parameters
        ----------
        X, n_threads : as for `margin`.

        Returns
        -------
        margin : (n,) log-odds, the same bits as `margin(X)`.
        contributions : (n, k) in Fortran order, log-odds; `expected_value + contributions.sum(axis=1)` is the
            margin up to rounding (1e-10 at most, usually 1e-14).

        Raises
        ------
        ValueError : when X is not an (n, k) array of numbers.
        """
        found = self._evaluate(X, 1 + len(self.feature_names), n_threads)
        return found[0], found[1:].T

    def _evaluate(self, X: ArrayLike, n_out: int, n_threads: int) -> NDArray[np.float64]:
        values = self._checked(X)
        if n_threads < 1:
            raise ValueError(f"n_threads must be at least 1, not {n_threads}")
        out = np.zeros((n_out, len(values)))
        add_rows = evaluator(self.engine)

        def block(first: int) -> None:
            last = min(first + _BLOCK, len(values))
            add_rows(self.arrays, values, out, first, last)
            if self.n_models > 1:
                out[:, first:last] /= self.n_models

        starts = range(0, len(values), _BLOCK)
        if n_threads == 1 or len(starts) < 2:
            for first in starts:
                block(first)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(block, starts))
        return out

    def _checked(self, X: ArrayLike) -> NDArray[np.float64]:
        values = np.asarray(X, dtype=np.float64)
        expected = len(self.feature_names)
        if values.ndim != 2 or values.shape[1] != expected:
            raise ValueError(f"X must have shape (n, {expected}), not {values.shape}")
        return values


def plan_tables(
    boosters: Sequence[BoosterLike | str] | BoosterLike | str,
    *,
    num_iteration: int | None = None,
    max_nodes: int = 10,
    max_bytes: float = MAX_BYTES,
) -> TablePlan:
    """Say what tables boosters need, without building them: `plan_tables(boosters).nbytes`.

    Parameters and errors are those of `TreeTables.from_boosters`.
    """
    if not 1 <= max_nodes <= 12:
        raise ValueError(f"max_nodes must be from 1 to 12, not {max_nodes}")
    several = [boosters] if isinstance(boosters, str) or not isinstance(boosters, Sequence) else boosters
    models = [_read(booster, num_iteration) for booster in several]
    return plan_within(models, max_nodes=max_nodes, max_bytes=max_bytes)


def _read(booster: BoosterLike | str, num_iteration: int | None) -> TreeModel:
    text = booster if isinstance(booster, str) else booster.model_to_string(num_iteration=num_iteration)
    return parse_model(text, num_iteration=num_iteration)


@cache
def evaluator(engine: Engine) -> AddRows:
    """The evaluator of an engine; numba's is imported here, when first needed."""
    if engine == "numpy" or (engine == "auto" and find_spec("numba") is None):
        return numpy_evaluation.add_rows
    try:
        compiled: AddRows = import_module("chs_ml.tree_tables.numba_evaluation").add_rows
    except Exception as error:
        if engine == "numba":
            raise
        # numba supports new versions of NumPy and Python late, and says so when imported.
        warnings.warn(
            f"numba is installed but cannot be used, NumPy is: {error}", RuntimeWarning, stacklevel=4
        )
        return numpy_evaluation.add_rows
    return compiled
