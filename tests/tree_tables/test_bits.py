"""The same row gives the same bits: alone, in any company, on any number of threads, compiled or not."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from chs_ml.tree_tables import TreeTables
from tests.tree_tables.conftest import Recipe, probing_rows, train

Floats = NDArray[np.float64]
ENGINES = ["numpy", pytest.param("numba", marks=pytest.mark.slow)]  # compiling takes seconds, once


@pytest.fixture(scope="module")
def bagged() -> tuple[TreeTables, Floats]:
    """Tables of three boosters, and rows enough for several blocks."""
    boosters = [train(Recipe(seed, leaves, trees=15)) for seed, leaves in ((0, 8), (1, 20), (2, 31))]
    X = np.concatenate([probing_rows(boosters, seed) for seed in range(90)])
    assert len(X) > 2 * 8192
    return TreeTables.from_boosters(boosters, engine="numpy"), X


@pytest.mark.parametrize("engine", ENGINES)
class TestRows:
    def test_alone_or_among_many(self, bagged: tuple[TreeTables, Floats], engine: str) -> None:
        tables, X = bagged
        tables = replace(tables, engine=engine)
        margin, contributions = tables.contributions(X)
        for first, size in ((0, 1), (5, 1), (8190, 5), (100, 40), (300, 63), (400, 64), (7, 8200)):
            own_margin, own = tables.contributions(X[first : first + size])
            np.testing.assert_array_equal(own_margin, margin[first : first + size])
            np.testing.assert_array_equal(own, contributions[first : first + size])
            np.testing.assert_array_equal(tables.margin(X[first : first + size]), own_margin)

    def test_order_threads_and_layout(self, bagged: tuple[TreeTables, Floats], engine: str) -> None:
        tables, X = bagged
        tables = replace(tables, engine=engine)
        margin, contributions = tables.contributions(X)
        np.testing.assert_array_equal(tables.margin(X, n_threads=3), margin)
        order = np.random.default_rng(0).permutation(len(X))
        locked = np.asfortranarray(X[order])
        locked.flags.writeable = False
        own_margin, own = tables.contributions(locked, n_threads=2)
        np.testing.assert_array_equal(own_margin, margin[order])
        np.testing.assert_array_equal(own, contributions[order])
        wide = np.repeat(X, 2, axis=1)[::-1, ::2]
        np.testing.assert_array_equal(tables.contributions(wide)[1], contributions[::-1])

    def test_after_a_pickle(self, bagged: tuple[TreeTables, Floats], engine: str) -> None:
        tables, X = bagged
        restored = pickle.loads(pickle.dumps(replace(tables, engine=engine)))
        np.testing.assert_array_equal(restored.contributions(X[:300])[1], tables.contributions(X[:300])[1])
        np.testing.assert_array_equal(restored.contributions(X[:1])[1], tables.contributions(X[:1])[1])


def test_compiled_or_not(bagged: tuple[TreeTables, Floats]) -> None:
    pytest.importorskip("numba")
    tables, X = bagged
    margin, contributions = replace(tables, engine="numba").contributions(X)
    expected_margin, expected = tables.contributions(X)
    np.testing.assert_array_equal(margin, expected_margin)
    np.testing.assert_array_equal(contributions, expected)


def test_no_rows(bagged: tuple[TreeTables, Floats]) -> None:
    tables, X = bagged
    margin, contributions = tables.contributions(X[:0])
    assert margin.shape == (0,)
    assert contributions.shape == (0, X.shape[1])
