"""Margin and contributions against LightGBM, shap and the definition of the Shapley value."""

import warnings
from collections.abc import Mapping
from itertools import combinations
from math import factorial
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chs_ml.tree_tables import TreeTables
from chs_ml.tree_tables.grouping import LONE_LEAF_NODES
from chs_ml.tree_tables.tables import Engine
from tests.tree_tables.conftest import (
    Recipe,
    mean_contributions,
    mean_margin,
    probing_rows,
    random_text,
    train,
    training_data,
)

TOLERANCE = 1e-10

recipes = st.builds(
    Recipe,
    seed=st.integers(0, 10_000),
    leaves=st.integers(2, 31),
    depth=st.sampled_from([-1, 4, 6, 8]),
    trees=st.integers(1, 12),
    zero_as_missing=st.booleans(),
    use_missing=st.booleans(),
)


def assert_equal(boosters: list[lgb.Booster], seed: int, **options: Any) -> None:
    X = probing_rows(boosters, seed)
    tables = TreeTables.from_boosters(boosters, engine="numpy", **options)
    margin, contributions = tables.contributions(X)
    expected = mean_contributions(boosters, X)
    np.testing.assert_allclose(margin, mean_margin(boosters, X), rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(contributions, expected[:, :-1], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(tables.expected_value, expected[0, -1], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(
        tables.expected_value + contributions.sum(axis=1), margin, rtol=0, atol=TOLERANCE
    )


@settings(max_examples=40)
@given(recipe=recipes)
def test_a_trained_model_equals_lightgbm(recipe: Recipe) -> None:
    assert_equal([train(recipe)], recipe.seed)


@settings(max_examples=8)
@given(first=recipes, second=recipes)
def test_bagged_models_equal_the_mean(first: Recipe, second: Recipe) -> None:
    # Their missing types differ by feature: one learned zero as missing, the other perhaps not.
    assert_equal([train(first), train(second), train(first, max_bin=15)], first.seed)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    leaves=st.integers(2, 40),
    features=st.integers(1, 9),
    chain=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    max_nodes=st.sampled_from([1, 4, 7, 10, 12]),
)
def test_any_shape_of_tree_equals_lightgbm(
    seed: int, leaves: int, features: int, chain: float, max_nodes: int
) -> None:
    text = random_text(seed, leaves=leaves, features=features, trees=2, chain=chain)
    booster = lgb.Booster(model_str=text)
    assert_equal([booster], seed, max_nodes=max_nodes)
    X = probing_rows([booster], seed)
    # One booster's leaf values are added in LightGBM's own order.
    np.testing.assert_array_equal(
        TreeTables.from_boosters(text, engine="numpy").margin(X), mean_margin([booster], X)
    )


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), leaves=st.integers(1, 12), empty=st.sampled_from([0.0, 0.3]))
def test_contributions_are_shapley_values_by_definition(seed: int, leaves: int, empty: float) -> None:
    features = 4
    text = random_text(seed, leaves=max(leaves, 2), features=features, empty=empty)
    booster = lgb.Booster(model_str=text)
    X = probing_rows([booster], seed)[:12]
    root = booster.dump_model()["tree_info"][0]["tree_structure"]
    goes = _directions(booster, X)
    tables = TreeTables.from_boosters(text, engine="numpy")
    _, contributions = tables.contributions(X)
    for row in range(len(X)):
        expected = _shapley(root, features, goes[row])
        np.testing.assert_allclose(contributions[row], expected, rtol=0, atol=TOLERANCE)


def _directions(booster: lgb.Booster, X: np.ndarray) -> list[dict[int, bool]]:
    """For each row and split, whether LightGBM sends the row left, told by one-split copies of the model."""
    text = booster.model_to_string()
    nodes = len(text.split("split_feature=")[1].splitlines()[0].split())
    answers: list[dict[int, bool]] = [{} for _ in X]
    for node in range(nodes):
        left = _stump(text, node).predict(X, raw_score=True, num_threads=1) > 0
        for row, answer in enumerate(left):
            answers[row][node] = bool(answer)
    return answers


def _stump(text: str, node: int) -> lgb.Booster:
    """The model with one split only; its left leaf is 1, its right leaf is -1."""
    head, rest = text.split("Tree=0\n")
    fields = dict(line.split("=", 1) for line in rest.split("end of trees")[0].splitlines() if line)
    kept = {
        key: fields[key].split()[node]
        for key in ("split_feature", "split_gain", "threshold", "decision_type")
    }
    tree = {"num_leaves": 2, "num_cat": fields["num_cat"], **kept, "left_child": -1, "right_child": -2}
    tree |= {"leaf_value": "1 -1", "leaf_weight": "1 1", "leaf_count": "1 1"}
    tree |= {"internal_value": 0, "internal_weight": 2, "internal_count": 2}
    tree |= {key: fields[key] for key in ("cat_boundaries", "cat_threshold") if key in fields}
    block = (
        "Tree=0\n"
        + "".join(f"{key}={value}\n" for key, value in tree.items())
        + "is_linear=0\nshrinkage=1\n\n\n"
    )
    head = "\n".join(
        line if "tree_sizes" not in line else f"tree_sizes={len(block)}" for line in head.split("\n")
    )
    return lgb.Booster(model_str=head + block + "end of trees\n")


def _shapley(root: Mapping[str, Any], features: int, goes: Mapping[int, bool]) -> list[float]:
    """The average over all orders, from the tree's expectation given a set of known features."""
    everyone = range(features)
    worth = {
        known: _expectation(root, frozenset(known), goes)
        for size in range(features + 1)
        for known in combinations(everyone, size)
    }
    values = []
    for feature in everyone:
        total = 0.0
        for known, value in worth.items():
            if feature not in known:
                chance = factorial(len(known)) * factorial(features - len(known) - 1) / factorial(features)
                total += chance * (worth[tuple(sorted((*known, feature)))] - value)
        values.append(total)
    return values


def _expectation(node: Mapping[str, Any], known: frozenset[int], goes: Mapping[int, bool]) -> float:
    """Lundberg's EXPVALUE: follow known features, average over the training rows where unknown."""
    if "split_index" not in node:
        return float(node["leaf_value"])
    children = node["left_child"], node["right_child"]
    if node["split_feature"] in known:
        return _expectation(children[0 if goes[node["split_index"]] else 1], known, goes)
    counts = [child.get("internal_count", child.get("leaf_count")) for child in children]
    total = node["internal_count"]
    shares = [count / total if total else 0.5 for count in counts]
    return sum(
        share * _expectation(child, known, goes) for share, child in zip(shares, children, strict=True)
    )


def test_single_leaves_and_constant_outcomes() -> None:
    X, _ = training_data(0, 200)
    y = np.zeros(200)
    y[:5] = 1
    booster = lgb.train(
        {"objective": "binary", "min_data_in_leaf": 150, "verbose": -1, "num_threads": 1},
        lgb.Dataset(X, y),
        3,
    )
    tables = TreeTables.from_boosters(booster)
    margin, contributions = tables.contributions(X)
    np.testing.assert_array_equal(margin, mean_margin([booster], X))
    assert not contributions.any()
    assert tables.expected_value == margin[0]


def test_best_iteration_and_num_iteration_are_lightgbms() -> None:
    booster = train(Recipe(1, 8, trees=10))
    X, _ = training_data(2, 50)
    for chosen in (3, None, -1):
        np.testing.assert_array_equal(
            TreeTables.from_boosters(booster, num_iteration=chosen).margin(X),
            booster.predict(X, raw_score=True, num_iteration=chosen, num_threads=1),
        )
    booster.best_iteration = 4
    np.testing.assert_array_equal(
        TreeTables.from_boosters([booster]).margin(X), booster.predict(X, raw_score=True, num_threads=1)
    )
    text = booster.model_to_string(num_iteration=-1)
    np.testing.assert_array_equal(
        TreeTables.from_boosters(text, num_iteration=4).margin(X), TreeTables.from_boosters(booster).margin(X)
    )


@pytest.mark.parametrize("leaves", [4, 31])
def test_equals_shap(leaves: int) -> None:
    shap = pytest.importorskip("shap")
    booster = train(Recipe(5, leaves, trees=20))
    X, _ = training_data(6, 60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shap speaks of changes in its own output
        explanation = shap.TreeExplainer(booster)(X)
    tables = TreeTables.from_boosters(booster)
    _, contributions = tables.contributions(X)
    np.testing.assert_allclose(contributions, explanation.values, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(tables.expected_value, explanation.base_values[0], rtol=0, atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("leaves", "depth", "trees"), [(31, -1, 300), (31, 6, 1000), (16, 4, 1000), (63, 8, 60)]
)
def test_large_models_equal_lightgbm(leaves: int, depth: int, trees: int) -> None:
    recipe = Recipe(leaves + depth, leaves, depth, trees, rows=3000)
    assert_equal([train(recipe, learning_rate=0.02)], 1, max_bytes=2e9)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_the_deepest_path_that_fits(engine: Engine) -> None:
    text = random_text(10, leaves=38, features=LONE_LEAF_NODES, chain=1.0)
    booster = lgb.Booster(model_str=text)
    X = np.repeat(probing_rows([booster], 10), 2, axis=0)
    tables = TreeTables.from_boosters(text, engine=engine, max_bytes=2e9)
    margin, contributions = tables.contributions(X)
    assert int(np.diff(tables.arrays.table_start).max()) == 2**LONE_LEAF_NODES * (1 + LONE_LEAF_NODES)
    np.testing.assert_array_equal(margin, mean_margin([booster], X))
    np.testing.assert_allclose(
        contributions, mean_contributions([booster], X)[:, :-1], rtol=0, atol=TOLERANCE
    )


@pytest.mark.slow
@settings(max_examples=300)
@given(recipe=recipes)
def test_many_trained_models_equal_lightgbm(recipe: Recipe) -> None:
    assert_equal([train(recipe)], recipe.seed)
