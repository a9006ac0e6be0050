"""Stability knows its sample size."""

import numpy as np
import pytest
from scipy.stats import chi2, spearmanr

from chs_ml.errors import NotEnoughData
from chs_ml.validation import Verdict
from chs_ml.validation.stability import rank_stability, stability_index, stability_test


def test_index_is_its_sum() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=400), rng.normal(0.3, 1, 600)
    edges = np.quantile(np.r_[first, second], np.arange(1, 10) / 10)
    p = (np.histogram(first, np.r_[-np.inf, edges, np.inf])[0] + 0.5) / 405
    q = (np.histogram(second, np.r_[-np.inf, edges, np.inf])[0] + 0.5) / 605
    found = stability_index(first, second)
    assert found.index == pytest.approx(np.sum((p - q) * np.log(p / q)))
    assert found.critical == pytest.approx(chi2.ppf(0.95, 9) * (1 / 400 + 1 / 600))


@pytest.mark.parametrize("n", [100, 500])
def test_without_drift_it_alarms_at_the_nominal_rate(n: int) -> None:
    rng = np.random.default_rng(1)
    found = [stability_index(rng.normal(size=n), rng.normal(size=n)) for _ in range(600)]
    assert 0.02 <= np.mean([f.index > f.critical for f in found]) <= 0.08
    naive = np.mean([f.index > 0.1 for f in found])
    assert naive > 0.6 if n == 100 else naive < 0.03


def test_verdicts() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(size=2000)
    assert stability_test(base, rng.normal(size=2000)).verdict is Verdict.PASS
    assert stability_test(base, rng.normal(0.15, 1, 2000)).verdict is Verdict.WARN
    assert stability_test(base, rng.normal(1.0, 1, 2000)).verdict is Verdict.FAIL
    with pytest.raises(NotEnoughData, match="at least 10 scores"):
        stability_test(base, base[:5])


def test_ties_make_fewer_bins() -> None:
    rng = np.random.default_rng(3)
    found = stability_index(rng.integers(0, 3, 200).astype(float), rng.integers(0, 3, 200).astype(float))
    assert found.bins <= 4


def test_rank_stability_pairs_neighbouring_periods() -> None:
    rng = np.random.default_rng(4)
    level = rng.normal(size=50)
    score = np.r_[level, level + 0.3 * rng.normal(size=50), np.full(50, np.nan)]
    account, period = np.tile(np.arange(50), 3), np.repeat([0, 1, 2], 50)
    assert rank_stability(score, account, period) == pytest.approx(
        spearmanr(score[:50], score[50:100]).statistic
    )
    with pytest.raises(NotEnoughData, match="neighbouring periods"):
        rank_stability(score[:50], account[:50], period[:50])
