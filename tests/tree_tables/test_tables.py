"""Building, refusing, and what callers may pass."""

import re
import sys

import lightgbm as lgb
import numpy as np
import pytest

from chs_ml.tree_tables import (
    ModelTextError,
    TablesTooLargeError,
    TreeTables,
    TreeTablesError,
    UngroupableTreeError,
    UnsupportedModelError,
    plan_tables,
    tables,
)
from chs_ml.tree_tables.atoms import atom_values, cut_points
from chs_ml.tree_tables.grouping import LONE_LEAF_NODES, group_leaves
from chs_ml.tree_tables.model_text import parse_model
from tests.tree_tables.conftest import Recipe, random_text, train, training_data


@pytest.fixture(scope="module")
def built() -> TreeTables:
    return TreeTables.from_boosters(train(Recipe(0, 6, trees=2)), engine="numpy")


def linear_text() -> str:
    X, y = training_data(0, 300)
    settings = {"objective": "binary", "linear_tree": True, "verbose": -1, "num_threads": 1}
    return lgb.train(settings, lgb.Dataset(np.nan_to_num(X[:, :3]), y), 2).model_to_string()


def multiclass_text() -> str:
    X, _ = training_data(0, 300)
    settings = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}
    return lgb.train(settings, lgb.Dataset(X, np.arange(300) % 3), 2).model_to_string()


class TestMemory:
    def test_is_known_before_building(self) -> None:
        boosters = [train(Recipe(seed, 31, trees=10)) for seed in range(2)]
        planned = plan_tables(boosters).nbytes
        built = TreeTables.from_boosters(boosters)
        assert built.arrays.table.nbytes == planned
        assert planned < built.nbytes < planned + 200_000

    def test_above_the_bound_is_refused_with_both_numbers(self) -> None:
        booster = train(Recipe(0, 31, trees=10))
        with pytest.raises(
            TablesTooLargeError, match=r"would take .* MB, .* more than the 0 MB allowed by max_bytes"
        ):
            plan_tables(booster, max_bytes=1000)

    def test_smaller_groups_are_tried_before_refusing(self) -> None:
        text = random_text(0, leaves=31, features=30, trees=3)
        large = plan_tables(text).nbytes
        assert plan_tables(text, max_bytes=large - 1).nbytes < large


class TestGroups:
    @pytest.mark.parametrize("max_nodes", [1, 5, 10])
    @pytest.mark.parametrize("chain", [0.0, 1.0])
    def test_every_leaf_is_in_one_group_within_the_bound(self, max_nodes: int, chain: float) -> None:
        model = parse_model(random_text(3, leaves=31, features=8, chain=chain))
        tree = model.trees[0]
        splits = {f: [s for s in tree.splits if s.feature == f] for f in {s.feature for s in tree.splits}}
        atoms = {feature: atom_values(cut_points(own)) for feature, own in splits.items()}
        groups = group_leaves(tree, atoms, max_nodes)
        assert sorted(leaf.value for group in groups for leaf in group.leaves) == sorted(tree.leaf_value)
        for group in groups:
            limit = max_nodes if len(group.leaves) > 1 else LONE_LEAF_NODES
            assert group.n_patterns <= 2**limit

    def test_a_leaf_of_too_many_features_is_refused(self) -> None:
        text = random_text(0, leaves=60, features=60, chain=1.0)
        with pytest.raises(
            UngroupableTreeError, match=r"distinct features, more than the 16 .* pred_contrib"
        ):
            TreeTables.from_boosters(text)


class TestModels:
    def test_several_outputs_are_refused(self) -> None:
        with pytest.raises(UnsupportedModelError, match="several outputs"):
            TreeTables.from_boosters(multiclass_text())

    def test_a_random_forest_is_refused(self) -> None:
        with pytest.raises(UnsupportedModelError, match="random forest"):
            TreeTables.from_boosters(train(Recipe(0, 6), boosting="rf"))

    def test_linear_leaves_are_refused(self) -> None:
        with pytest.raises(UnsupportedModelError, match="linear leaves"):
            TreeTables.from_boosters(linear_text())

    def test_different_features_are_refused(self) -> None:
        texts = [random_text(0, leaves=4, features=count) for count in (3, 4)]
        with pytest.raises(UnsupportedModelError, match="different features"):
            TreeTables.from_boosters(texts)

    def test_none_is_refused(self) -> None:
        with pytest.raises(UnsupportedModelError, match="no booster"):
            TreeTables.from_boosters([])

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (r"^tree\n", "forest\n"),
            (r"end of trees", "end"),
            (r"left_child=\S+", "left_child=7"),
            (r"left_child=(\S+)", r"left_child="),
            (r"leaf_value=\S+", "leaf_value=abc"),
            (r"leaf_value=\S+", "leaf_value=nan"),
            (r"leaf_count=\S+ ", "leaf_count="),
            (r"split_feature=\S+", "split_feature=99"),
            (r"threshold=\S+", "threshold=nan"),
            (r"num_leaves=\S+", ""),
            (r"max_feature_idx=\S+", "max_feature_idx=8"),
        ],
    )
    def test_a_damaged_text_is_refused(self, old: str, new: str) -> None:
        text = train(Recipe(0, 6, trees=1)).model_to_string()
        with pytest.raises(ModelTextError):
            TreeTables.from_boosters(re.sub(old, new, text, count=1))

    def test_every_refusal_is_a_value_error(self) -> None:
        assert issubclass(TreeTablesError, ValueError)


class TestArguments:
    @pytest.mark.parametrize("shape", [(7,), (3, 6), (3, 8), (1, 3, 7)])
    def test_a_wrong_shape_is_refused(self, built: TreeTables, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"X must have shape \(n, 7\)"):
            built.margin(np.zeros(shape))

    def test_frames_and_other_numbers_are_taken(self, built: TreeTables) -> None:
        X = training_data(0, 20)[0].round()
        X[np.isnan(X)] = 0
        expected = built.margin(X)
        np.testing.assert_array_equal(built.margin(X.astype(np.int32)), expected)
        np.testing.assert_array_equal(built.margin(X.tolist()), expected)

    def test_threads_and_nodes_have_bounds(self, built: TreeTables) -> None:
        with pytest.raises(ValueError, match="n_threads must be at least 1"):
            built.margin(np.zeros((1, 7)), n_threads=0)
        with pytest.raises(ValueError, match="max_nodes must be from 1 to 12"):
            plan_tables("", max_nodes=13)

    def test_a_broken_numba_is_announced_and_replaced(
        self, built: TreeTables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tables, "find_spec", lambda name: object())
        monkeypatch.setitem(sys.modules, "numba", None)
        monkeypatch.delitem(sys.modules, "chs_ml.tree_tables.numba_evaluation", raising=False)
        tables.evaluator.cache_clear()
        try:
            with pytest.warns(RuntimeWarning, match="numba is installed but cannot be used"):
                assert tables.evaluator("auto") is tables.evaluator("numpy")
            with pytest.raises(ImportError):
                tables.evaluator("numba")
        finally:
            tables.evaluator.cache_clear()

    def test_without_numba_numpy_is_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tables, "find_spec", lambda name: None)
        tables.evaluator.cache_clear()
        try:
            assert tables.evaluator("auto") is tables.evaluator("numpy")
        finally:
            tables.evaluator.cache_clear()


@pytest.mark.slow
def test_a_kernel_without_a_usable_cache_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    numba = pytest.importorskip("numba")
    from chs_ml.tree_tables import numba_evaluation

    plain = numba.njit

    def njit(*args: object, cache: bool = False, **options: object) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return plain(*args, **options)

    monkeypatch.setattr(numba, "njit", njit)
    assert callable(numba_evaluation._ready())
