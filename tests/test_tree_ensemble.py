"""The mean of LightGBM models: against LightGBM itself, and against shap's explainer of each."""

from functools import cache

import lightgbm as lgb
import numpy as np
import pytest
import shap
from numpy.typing import NDArray
from scipy.special import expit

from chs_ml.boosted_trees import BoostedTrees, Growth, TreeShape
from chs_ml.errors import BundleError
from chs_ml.inputs import InputColumn, InputSchema
from chs_ml.metric import Direction, Kind, Metric
from chs_ml.tree_ensemble import ROWS_PER_THREAD, SMALL_TREE, TreeEnsemble

Array = NDArray[np.float64]

SCHEMA = InputSchema(
    (
        InputColumn(metric=Metric(name="a", direction=Direction.HIGHER)),
        InputColumn(metric=Metric(name="b")),
        InputColumn(metric=Metric(name="c", kind=Kind.CATEGORY), categories=tuple("vwxyz")),
        InputColumn(metric=Metric(name="d")),
    )
)


def rows(n: int, seed: int) -> Array:
    """Rows with missing values, and with categories that training did not see."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=n), rng.normal(size=n), rng.integers(0, 6, n), rng.normal(size=n)])
    x[rng.random((n, 4)) < 0.1] = np.nan
    x[:1] = np.nan
    return np.asfortranarray(x)


@cache
def ensemble(leaves: int) -> TreeEnsemble:
    x = rows(1200, 0)
    x[x[:, 2] == 5, 2] = 0.0
    risk = (
        -0.5
        - 1.2 * np.nan_to_num(x[:, 0])
        + np.nan_to_num(x[:, 1]) * (x[:, 2] == 3)
        + np.nan_to_num(np.abs(x[:, 3]))
    )
    churned = (np.random.default_rng(1).random(1200) < expit(risk)).astype(float)
    growth = Growth((TreeShape(leaves), TreeShape(4)), learning_rate=0.15, rounds=30, patience=30, folds=2)
    return BoostedTrees(schema=SCHEMA, growth=growth, threads=1).fit(x, churned).ensemble_


BOTH = pytest.mark.parametrize("leaves", [6, 16])


@BOTH
def test_small_trees_are_those_of_few_leaves(leaves: int) -> None:
    most = max(tree["num_leaves"] for b in ensemble(leaves).boosters for tree in b.dump_model()["tree_info"])
    assert ensemble(leaves).has_small_trees == (most <= SMALL_TREE) == (leaves == 6)


@BOTH
def test_the_margin_is_the_mean_of_what_lightgbm_says(leaves: int) -> None:
    x = rows(500, 2)
    boosters = [lgb.Booster(model_str=text) for text in ensemble(leaves).models]
    by_hand = np.mean([booster.predict(x, raw_score=True) for booster in boosters], axis=0)
    np.testing.assert_allclose(ensemble(leaves).margin(x), by_hand, rtol=0, atol=1e-10)
    assert ensemble(leaves).n_trees == sum(booster.num_trees() for booster in boosters)


@BOTH
def test_contributions_sum_to_the_margin_and_are_those_of_shap(leaves: int) -> None:
    x = rows(150, 3)
    parts = ensemble(leaves).explained(x)
    np.testing.assert_array_equal(parts.margin, ensemble(leaves).margin(x))
    np.testing.assert_allclose(parts.expected + parts.contributions.sum(axis=1), parts.margin, atol=1e-9)
    values, expected = [], []
    for text in ensemble(leaves).models:
        explainer = shap.TreeExplainer(lgb.Booster(model_str=text))
        values.append(explainer.shap_values(x))
        expected.append(float(np.ravel(explainer.expected_value)[-1]))
    np.testing.assert_allclose(parts.contributions, np.mean(values, axis=0), atol=1e-8)
    assert parts.expected == pytest.approx(np.mean(expected), abs=1e-8)


@BOTH
def test_lightgbm_itself_gives_the_same_contributions(leaves: int) -> None:
    x = rows(80, 4)
    contributions, expected = ensemble(leaves).lightgbm_contributions(x)
    parts = ensemble(leaves).explained(x)
    np.testing.assert_allclose(contributions, parts.contributions, atol=1e-9)
    assert expected == pytest.approx(parts.expected, abs=1e-9)
    none, same = ensemble(leaves).lightgbm_contributions(x[:0])
    assert none.shape == (0, 4)
    assert same == expected


@BOTH
def test_no_rows(leaves: int) -> None:
    empty = ensemble(leaves).explained(np.empty((0, 4)))
    assert empty.contributions.shape == (0, 4)
    assert empty.margin.shape == ensemble(leaves).margin(np.empty((0, 4))).shape == (0,)
    assert empty.expected == ensemble(leaves).explained(rows(3, 0)).expected


@BOTH
def test_a_row_alone_has_the_bits_it_has_among_many(leaves: int) -> None:
    x = rows(ROWS_PER_THREAD + 500, 5)
    margin, contributions = (
        ensemble(leaves).margin(x, threads=1),
        ensemble(leaves).explained(x, threads=1).contributions,
    )
    np.testing.assert_array_equal(ensemble(leaves).margin(x, threads=2), margin)
    np.testing.assert_array_equal(ensemble(leaves).explained(x, threads=2).contributions, contributions)
    for i in range(0, len(x), 173):
        assert ensemble(leaves).margin(x[i : i + 1])[0] == margin[i]
        np.testing.assert_array_equal(
            ensemble(leaves).explained(x[i : i + 1]).contributions[0], contributions[i]
        )


@BOTH
def test_texts_name_no_training_parameters_and_load_without_them(leaves: int) -> None:
    for text in ensemble(leaves).models:
        assert "parameters" not in text
        assert "num_threads" not in text
    again = TreeEnsemble(tuple(ensemble(leaves).models))
    np.testing.assert_array_equal(again.margin(rows(100, 6)), ensemble(leaves).margin(rows(100, 6)))
    assert again == ensemble(leaves)


def test_trees_of_another_width_are_refused() -> None:
    ensemble(6).check_width(4)
    with pytest.raises(BundleError, match="must take the model's 3 metrics; they take 4"):
        ensemble(6).check_width(3)
