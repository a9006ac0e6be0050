"""Weighted statistics against scikit-learn and brute force."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from chs_ml.validation.ranking import (
    ProbabilitySums,
    Ranking,
    probability_statistics,
    rank_statistics,
)

Array = NDArray[np.float64]


def sample(seed: int, *, ties: bool) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    churned = (rng.random(80) < 0.3).astype(float)
    score = rng.normal(size=80) - churned
    return churned, np.round(score, 0 if ties else 9), rng.integers(0, 4, 80).astype(float)


def weighted(churned: Array, score: Array, weights: Array, value: Array | None = None) -> dict[str, float]:
    ranking = Ranking.of(score, churned, value)
    found = rank_statistics(ranking, weights[None, ranking.order])
    return {name: float(values[0]) for name, values in found.items()}


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_auc_and_average_precision_equal_scikit_learn_with_weights(seed: int, ties: bool) -> None:
    churned, score, weights = sample(seed, ties=ties)
    found = weighted(churned, score, weights)
    assert found["auc"] == pytest.approx(roc_auc_score(churned, -score, sample_weight=weights), abs=1e-12)
    expected = average_precision_score(churned, -score, sample_weight=weights)
    assert found["average_precision"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_lift_is_the_mean_over_random_tie_breaks(seed: int) -> None:
    churned, score, _ = sample(seed, ties=True)
    rng = np.random.default_rng(0)
    lifts = []
    for _ in range(4000):
        order = np.lexsort((rng.random(len(score)), score))
        lifts.append(churned[order[:8]].mean() / churned.mean())
    found = weighted(churned, score, np.ones(80))["top_decile_lift"]
    assert found == pytest.approx(np.mean(lifts), abs=4 * np.std(lifts) / np.sqrt(4000))


def test_lift_counts_the_share_of_a_row_at_the_edge() -> None:
    churned = np.array([1.0, 1.0, *[0.0] * 13])  # a tenth of 15 rows: one row and a half
    found = weighted(churned, np.arange(15.0), np.ones(15))
    assert found["top_decile_lift"] == pytest.approx(0.75 / 0.1)


def test_ks_is_the_two_sample_distance() -> None:
    from scipy.stats import ks_2samp

    churned, score, _ = sample(7, ties=True)
    expected = ks_2samp(score[churned == 1], score[churned == 0]).statistic
    assert weighted(churned, score, np.ones(80))["ks"] == pytest.approx(expected, abs=1e-12)


def test_value_captured_is_churned_value_in_the_riskiest_tenth() -> None:
    churned, score, _ = sample(3, ties=False)
    value = np.random.default_rng(1).lognormal(size=80)
    top = np.argsort(score)[:8]
    expected = (value * churned)[top].sum() / (value * churned).sum()
    assert weighted(churned, score, np.ones(80), value)["value_captured"] == pytest.approx(expected)


def test_one_sided_weights_give_nan() -> None:
    churned, score, _ = sample(0, ties=False)
    assert np.isnan(weighted(churned, score, churned)["auc"])


@pytest.mark.parametrize("seed", range(3))
def test_proper_scores_equal_scikit_learn_with_weights(seed: int) -> None:
    rng = np.random.default_rng(seed)
    account = rng.integers(0, 20, 100)
    account[:20] = np.arange(20)
    probability = rng.random(100)
    churned = (rng.random(100) < probability).astype(float)
    counts = rng.integers(0, 3, 20).astype(float)
    weights = counts[account]
    found = probability_statistics(ProbabilitySums.of(probability, churned, account), counts[None, :])
    base = float(np.average(churned, weights=weights))
    loss = log_loss(churned, probability, sample_weight=weights)
    base_loss = log_loss(churned, np.full(100, base), sample_weight=weights)
    assert found["log_loss"][0] == pytest.approx(loss, abs=1e-12)
    assert found["log_loss_removed"][0] == pytest.approx(1 - loss / base_loss, abs=1e-12)
    brier = brier_score_loss(churned, probability, sample_weight=weights)
    assert found["brier"][0] == pytest.approx(brier, abs=1e-12)
    assert found["brier_removed"][0] == pytest.approx(1 - brier / (base * (1 - base)), abs=1e-12)
