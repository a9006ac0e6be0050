"""Tests of rates against closed forms and scipy."""

import numpy as np
import pytest
from scipy.stats import beta, binomtest, chi2_contingency

from chs_ml.validation.rates import binomial_p_value, jeffreys_p_value, rate_difference

CHURNED = np.r_[np.ones(12), np.zeros(188), np.ones(40), np.zeros(160)]
FIRST = np.arange(400) < 200


def test_two_proportions_are_the_uncorrected_chi_squared() -> None:
    found = rate_difference(CHURNED, np.arange(400), first=FIRST, second=~FIRST)
    table = [[12, 188], [40, 160]]
    expected = chi2_contingency(table, correction=False)
    assert found.z**2 == pytest.approx(expected.statistic)
    assert found.p_two_sided == pytest.approx(expected.pvalue)
    assert found.p_rise == pytest.approx(expected.pvalue / 2)
    assert found.p_fall == pytest.approx(1 - expected.pvalue / 2)
    assert found.difference == pytest.approx(0.14)
    assert found.least_expected == pytest.approx(26)
    assert found.interval.low < 0.14 < found.interval.high


def test_copied_accounts_add_no_evidence() -> None:
    once = rate_difference(CHURNED, np.arange(400), first=FIRST, second=~FIRST)
    three, first = np.repeat(CHURNED, 3), np.repeat(FIRST, 3)
    copied = rate_difference(three, np.repeat(np.arange(400), 3), first=first, second=~first)
    assert copied.z == pytest.approx(once.z, rel=0.01)
    assert copied.least_expected == pytest.approx(once.least_expected * 3 / 2)  # further rows count half


def test_an_empty_group_expects_nothing() -> None:
    found = rate_difference(CHURNED, np.arange(400), first=FIRST, second=np.zeros(400, dtype=bool))
    assert np.isnan(found.difference)
    assert found.least_expected == 0.0


def test_p_values_against_promises() -> None:
    law = beta(7.5, 93.5)
    assert jeffreys_p_value(7, 100, 0.04) == pytest.approx(2 * law.cdf(0.04))
    assert jeffreys_p_value(7, 100, 0.14) == pytest.approx(2 * law.sf(0.14))
    assert binomial_p_value(7, 100, 0.04) == pytest.approx(binomtest(7, 100, 0.04).pvalue)
    assert binomial_p_value(6.6, 99.7, 0.04) == pytest.approx(binomtest(7, 100, 0.04).pvalue)
