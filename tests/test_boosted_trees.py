"""Boosted trees: monotone, out of fold, the same on any number of threads."""

from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import log_loss

from chs_ml.boosted_trees import (
    LARGE_TABLE,
    SMALL_TABLE,
    BoostedTrees,
    Growth,
    TreeShape,
    near_best,
)
from chs_ml.inputs import InputColumn, InputSchema
from chs_ml.metric import Direction, Kind, Metric
from chs_ml.splits import grouped_folds

Array = NDArray[np.float64]

SCHEMA = InputSchema(
    (
        InputColumn(metric=Metric(name="a", direction=Direction.HIGHER)),
        InputColumn(metric=Metric(name="b", direction=Direction.LOWER)),
        InputColumn(
            metric=Metric(name="c", kind=Kind.CATEGORY, direction=Direction.HIGHER), categories=tuple("vwxyz")
        ),
        InputColumn(metric=Metric(name="d")),
    )
)
FEW = Growth((TreeShape(8),), learning_rate=0.1, rounds=60, patience=10, folds=3)
TWO = Growth(
    (TreeShape(4), TreeShape(16, random_thresholds=True)), learning_rate=0.1, rounds=60, patience=10, folds=3
)


def table(n: int = 1500, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    x = np.column_stack(
        [rng.normal(size=n), rng.normal(size=n), rng.integers(0, 5, n), rng.normal(size=n)]
    ).astype(float)
    risk = -0.5 - np.sin(2 * x[:, 0]) - 0.7 * x[:, 0] + 0.8 * x[:, 1] + 1.2 * (x[:, 2] == 3) + np.abs(x[:, 3])
    churned = (rng.random(n) < expit(risk)).astype(float)
    x[rng.random((n, 4)) < 0.05] = np.nan
    return x, churned


def grown(growth: Growth = FEW, **changes: Any) -> BoostedTrees:
    return BoostedTrees(**{"schema": SCHEMA, "growth": growth, "threads": 1, **changes})


@pytest.fixture(scope="module")
def fitted() -> BoostedTrees:
    return grown(TWO).fit(*table())


# --- learning ---


def test_the_margin_is_the_mean_of_what_lightgbm_says(fitted: BoostedTrees) -> None:
    x, _ = table(400, seed=5)
    by_hand = np.mean(
        [lgb.Booster(model_str=text).predict(x, raw_score=True) for text in fitted.ensemble_.models], axis=0
    )
    np.testing.assert_allclose(fitted.decision_function(x), by_hand, rtol=0, atol=1e-12)
    np.testing.assert_allclose(fitted.predict_proba(x)[:, 1], expit(by_hand), atol=1e-11)
    assert fitted.ensemble_.n_trees == sum(
        lgb.Booster(model_str=t).num_trees() for t in fitted.ensemble_.models
    )


@pytest.mark.parametrize(("column", "sign"), [(0, -1), (1, 1)])
def test_risk_never_rises_in_the_healthy_direction(fitted: BoostedTrees, column: int, sign: int) -> None:
    others, _ = table(60, seed=7)
    grid = np.linspace(-4, 4, 200)
    for row in others:
        rows = np.repeat(row[None, :], 200, axis=0)
        rows[:, column] = grid
        assert (sign * np.diff(fitted.decision_function(rows)) >= -1e-12).all()


def test_a_metric_without_a_direction_may_bend(fitted: BoostedTrees) -> None:
    rows = np.tile([0.0, 0.0, 0.0, 0.0], (200, 1))
    rows[:, 3] = np.linspace(-3, 3, 200)
    steps = np.diff(fitted.decision_function(rows))
    assert steps.min() < 0 < steps.max()


def test_categories_are_split_natively(fitted: BoostedTrees) -> None:
    rows = np.tile([0.0, 0.0, 0.0, 0.0], (5, 1))
    rows[:, 2] = np.arange(5)
    margin = fitted.decision_function(rows)
    assert margin[3] > np.delete(margin, 3).max() + 0.3
    assert np.isfinite(fitted.decision_function(np.array([[0.0, 0.0, 5.0, 0.0], [np.nan] * 4]))).all()


def test_out_of_fold_margins_come_from_models_that_did_not_see_the_account() -> None:
    rng = np.random.default_rng(0)
    accounts = rng.integers(0, 200, 1200)
    fate = rng.random(200) < 0.4
    x = np.column_stack([accounts.astype(float), rng.normal(size=1200)])
    churned = fate[accounts].astype(float)
    model = grown(Growth((TreeShape(31),), 0.3, 80, 80, 3), schema=None).fit(x, churned, groups=accounts)
    base = log_loss(churned, np.full(1200, churned.mean()))
    assert log_loss(churned, expit(model.oof_margin_)) > base - 0.01


def test_ungrouped_the_same_identifier_would_be_memorised() -> None:
    rng = np.random.default_rng(0)
    accounts = rng.integers(0, 200, 1200)
    fate = rng.random(200) < 0.4
    x = np.column_stack([accounts.astype(float), rng.normal(size=1200)])
    churned = fate[accounts].astype(float)
    model = grown(Growth((TreeShape(31),), 0.3, 80, 80, 3), schema=None).fit(x, churned)
    assert log_loss(churned, expit(model.oof_margin_)) < 0.3


def test_each_fold_model_speaks_about_the_rows_it_left_out() -> None:
    x, churned = table(600)
    accounts = np.arange(600) // 2
    model = grown().fit(x, churned, groups=accounts)
    folds = grouped_folds(accounts, churned, n_folds=3, random_state=0)
    for fold, text in enumerate(model.ensemble_.models):
        here = folds == fold
        said = lgb.Booster(model_str=text).predict(x[here], raw_score=True)
        np.testing.assert_allclose(model.oof_margin_[here], said, atol=1e-12)
    assert np.abs(model.oof_margin_ - model.decision_function(x)).mean() > 0.05
    held_out = np.logaddexp(0, model.oof_margin_) - churned * model.oof_margin_
    assert model.held_out_loss_ == pytest.approx({"8 leaves": held_out.mean()})


@pytest.mark.parametrize(("n", "rounds"), [(500, 2), pytest.param(6000, 60, marks=pytest.mark.slow)])
def test_the_same_texts_on_one_and_two_threads(n: int, rounds: int) -> None:
    x, churned = table(n)
    growth = Growth(TWO.shapes, learning_rate=0.1, rounds=rounds, patience=10, folds=2)
    one, two = (grown(growth, threads=threads).fit(x, churned) for threads in (1, 2))
    assert one.ensemble_.models == two.ensemble_.models
    assert one.oof_margin_.tobytes() == two.oof_margin_.tobytes()


def test_another_seed_grows_other_trees() -> None:
    x, churned = table(400)
    assert grown().fit(x, churned).ensemble_ == grown().fit(x, churned).ensemble_
    assert grown(random_state=1).fit(x, churned).ensemble_ != grown().fit(x, churned).ensemble_


def test_they_are_nearly_as_good_as_the_truth(fitted: BoostedTrees) -> None:
    x, churned = table(3000, seed=11)
    constant = log_loss(churned, np.full(3000, churned.mean()))
    assert log_loss(churned, fitted.predict_proba(x)) < constant - 0.12


@pytest.mark.parametrize("useless", [0.0, np.nan])
def test_metrics_that_say_nothing_give_the_base_rate(useless: float) -> None:
    churned = (np.arange(200) % 4 == 0).astype(float)
    model = grown(schema=None).fit(np.full((200, 2), useless), churned)
    np.testing.assert_allclose(model.predict_proba(np.full((3, 2), useless))[:, 1], 0.25, atol=0.02)


def test_few_churns_mean_fewer_folds() -> None:
    x, _ = table(200)
    churned = np.zeros(200)
    churned[[3, 150]] = 1.0
    assert len(grown(Growth((TreeShape(4),), 0.1, 5, 5, 5)).fit(x, churned).ensemble_.models) == 2


@pytest.mark.parametrize("n", [100, SMALL_TABLE, SMALL_TABLE + 1, LARGE_TABLE, LARGE_TABLE + 1])
def test_larger_tables_take_larger_steps_and_fewer_trees(n: int) -> None:
    growth, smallest = Growth.for_rows(n), Growth.for_rows(1)
    assert growth.learning_rate >= smallest.learning_rate
    assert growth.rounds <= smallest.rounds
    assert [shape.leaves for shape in growth.shapes] == sorted(shape.leaves for shape in growth.shapes)


# --- near the best ---


def test_near_best_by_hand() -> None:
    best = np.array([0.1, 0.3, 0.1, 0.3])
    close = best + np.array([0.2, -0.1, 0.2, -0.1])  # mean +.05, deviations +-.15: error .075
    far = best + np.array([0.2, 0.1, 0.2, 0.1])  # mean +.15, deviations +-.05: error .025
    assert near_best(np.vstack([far, best, close]), np.arange(4)) == [1, 2]
    # in two accounts of two alike rows the deviations add up, in two of opposite ones they cancel
    assert near_best(np.vstack([best, close]), np.array([0, 1, 0, 1])) == [0, 1]
    assert near_best(np.vstack([best, close]), np.array([0, 0, 1, 1])) == [0]


def test_candidates_near_the_best_take_part(fitted: BoostedTrees) -> None:
    assert list(fitted.held_out_loss_) == ["4 leaves", "16 leaves, random thresholds"]
    lone = grown(Growth((TreeShape(8), TreeShape(2)), 0.1, 40, 10, 3)).fit(*table(4000))
    assert len(lone.ensemble_.models) in (3, 6)
    worst = max(lone.held_out_loss_, key=lambda shape: lone.held_out_loss_[shape])
    assert worst == "2 leaves"


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    grown(TWO, progress=lambda *step: told.append(step)).fit(*table(300))
    assert told == [
        ("growing trees of 4 leaves", 0, 2),
        ("growing trees of 16 leaves, random thresholds", 1, 2),
    ]
