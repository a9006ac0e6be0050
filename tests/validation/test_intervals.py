"""Intervals against scipy and closed forms."""

import numpy as np
import pytest
from scipy.stats import beta, binomtest, norm, t

from chs_ml.validation.intervals import (
    churn_rate,
    clopper_pearson_upper,
    countable_rows,
    design_effect,
    inner_correlation,
    jeffreys,
    log_interval,
    logit_interval,
    normal_interval,
    percentile_interval,
)
from chs_ml.validation.result import Interval


def test_jeffreys_is_the_beta_quantile() -> None:
    found = jeffreys(7, 50)
    assert (found.low, found.high) == pytest.approx(beta.ppf([0.025, 0.975], 7.5, 43.5))
    assert jeffreys(0, 50).low == 0.0
    assert jeffreys(50, 50).high == 1.0
    assert not jeffreys(0, 0).known


def test_jeffreys_leaves_its_tails_of_the_posterior_outside() -> None:
    found = jeffreys(5, 30)
    p = (np.arange(1_000_000) + 0.5) / 1_000_000
    posterior = p**4.5 * (1 - p) ** 24.5
    posterior /= posterior.sum()
    assert posterior[p < found.low].sum() == pytest.approx(0.025, abs=1e-5)
    assert posterior[p > found.high].sum() == pytest.approx(0.025, abs=1e-5)


def test_clopper_pearson_equals_scipy() -> None:
    exact = binomtest(4, 37).proportion_ci(0.90, method="exact")
    assert clopper_pearson_upper(4, 37, confidence=0.95) == pytest.approx(exact.high)
    assert clopper_pearson_upper(37, 37) == 1.0


def test_copied_rows_add_no_evidence() -> None:
    churned = np.array([1.0] * 12 + [0.0] * 88)
    alone = churn_rate(churned, np.arange(100))
    copied = churn_rate(np.repeat(churned, 3), np.repeat(np.arange(100), 3))
    assert alone.interval == jeffreys(12, 100)
    assert copied.design_effect == pytest.approx(3 * 100 / 99)
    assert copied.effective_n == pytest.approx(99)
    assert copied.interval.low < alone.interval.low
    assert copied.interval.high == pytest.approx(alone.interval.high, abs=0.003)


def test_design_effect_is_the_cluster_sandwich() -> None:
    rng = np.random.default_rng(0)
    account = np.repeat(np.arange(40), 5)
    churned = (rng.random(200) < np.repeat(rng.beta(1, 4, 40), 5)).astype(float)
    sums = [np.sum(churned[account == a] - churned.mean()) for a in range(40)]
    variance = 40 / 39 * np.sum(np.square(sums)) / 200**2
    expected = variance / (churned.mean() * (1 - churned.mean()) / 200)
    assert design_effect(churned, account) == (pytest.approx(expected), 40)
    assert design_effect(np.zeros(200), account) == (5.0, 40)


def test_intervals_of_replicates_are_made_on_their_scales() -> None:
    draws = np.r_[np.random.default_rng(1).normal(0.8, 0.05, 500).clip(0.5, 0.99), np.nan]
    known = draws[:-1]
    assert percentile_interval(draws).low == pytest.approx(np.quantile(known, 0.025))
    z = norm.ppf(0.975)
    assert normal_interval(0.8, draws).high == pytest.approx(0.8 + z * known.std(ddof=1))
    logits = np.log(known / (1 - known))
    middle = np.log(0.8 / 0.2)
    expected = 1 / (1 + np.exp(-(middle - z * logits.std(ddof=1))))
    assert logit_interval(0.8, draws, margin=1e-6).low == pytest.approx(expected)
    few = logit_interval(0.8, draws, margin=1e-6, degrees=9)
    wide = t.ppf(0.975, 9) * logits.std(ddof=1)
    assert few.low == pytest.approx(1 / (1 + np.exp(-(middle - wide))))
    assert log_interval(0.8, draws).low == pytest.approx(0.8 * np.exp(-z * np.log(known).std(ddof=1)))
    assert not normal_interval(float("nan"), draws).known
    assert Interval(0.1, 0.2).holds(0.2)
    assert not Interval().holds(0.2)


@pytest.mark.parametrize("rows_per_account", [1, 6])
def test_rate_intervals_cover(rows_per_account: int) -> None:
    rng = np.random.default_rng(2)
    account = np.repeat(np.arange(300 // rows_per_account), rows_per_account)
    hits = []
    for _ in range(400):
        rate = np.repeat(rng.beta(1, 9, 300 // rows_per_account), rows_per_account)
        hits.append(churn_rate((rng.random(300) < rate).astype(float), account).interval.holds(0.1))
    assert 0.92 <= np.mean(hits) <= 0.98


def test_further_rows_of_an_account_count_half() -> None:
    assert countable_rows(np.arange(50)) == 50
    assert countable_rows(np.repeat(np.arange(50), 6)) == pytest.approx(300 / 3.5)
    assert countable_rows(np.array([0, 0, 0, 1])) == pytest.approx(4 / (1 + (10 / 4 - 1) / 2))
    assert countable_rows(np.empty(0, dtype=int)) == 0.0


def test_inner_correlation_is_the_mean_product_of_pairs() -> None:
    account = np.array([0, 0, 0, 1, 1])
    residuals = np.array([1.0, 1.0, -0.5, 0.5, 0.5])
    pairs = [1.0, -0.5, -0.5, 0.25]
    assert inner_correlation(residuals, account) == pytest.approx(np.mean(pairs) / np.mean(residuals**2))
    assert inner_correlation(residuals, np.arange(5)) == 0.0
