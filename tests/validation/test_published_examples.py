"""Figures that others published or printed, and formulas of the regulators worked out by other means.

Sources
-------
EMPC: Verbraken, Verbeke & Baesens 2013 (alpha 6, beta 14, value 200, incentive 10, contact 1). The paper
    prints no small example; the expected values are those of the unit tests of *proflogit* (Stripling et al.
    2018), which reproduces the R package *EMP* of the paper's authors.
AUC: Hanley & McNeil 1982, table I (109 CT images); standard error and interval as Stata's manual prints them
    for `roctab` on these data (the method of DeLong et al.).
Two proportions: example in the documentation of `statsmodels.stats.proportion.proportions_ztest`.
Exact binomial test: Conover 1971, p. 97, as printed by the example of R's `binom.test`.
Holm: the worked example of Wikipedia's article on the method, adjusted as R's `p.adjust` does.
Grades: ECB, Instructions for reporting the validation results of internal models, 2019, section 2.5.3.1 (a
    formula, no example), and Basel Committee, Working Paper 14, 2005 (critical values of the binomial test
    and their normal approximation, formulas again).
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from chs_ml.validation import (
    Campaign,
    Promise,
    Resampling,
    Verdict,
    delong_auc,
    expected_maximum_profit,
    validate,
)
from chs_ml.validation.rates import binomial_p_value, jeffreys_p_value, rate_difference
from chs_ml.validation.result import holm

FEW = Resampling(replicates=2)
LABELS = [1, 1, 0, 0, 0, 1, 1, 1, 1, 0]
SCORES = [
    0.6125478, 0.3642710, 0.4321361, 0.1402911, 0.3848959,
    0.2444155, 0.9706413, 0.8901728, 0.7817814, 0.8687518,
]  # fmt: skip


def empc(labels: list[int], risk: list[float]) -> float:
    found = expected_maximum_profit(
        np.array(labels, dtype=float), score=-np.array(risk), customer_value=200.0,
        campaign=Campaign(alpha=6, beta=14, incentive=10, contact=1), resampling=FEW,
    )  # fmt: skip
    return found.per_account


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 30.3003222629848),
        ({0: 0.287577520124614}, 30.3001182343737),
        ({0: 0.287577520124614, 6: 0.113703411305323}, 29.2002764792561),
    ],
)
def test_empc_of_the_authors_implementation(changes: dict[int, float], expected: float) -> None:
    scores = [changes.get(i, score) for i, score in enumerate(SCORES)]
    assert empc(LABELS, scores) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    ("labels", "risk", "expected"),
    [
        ([0, 1], [0.0, 1.0], 28.0000000000391),
        ([0, 1], [1.0, 0.0], 22.5007912244511),
        ([1, 0], [0.5, 0.5], 22.5007912244511),
    ],
)
def test_empc_of_right_wrong_and_useless_scores(
    labels: list[int], risk: list[float], expected: float
) -> None:
    assert empc(labels, risk) == pytest.approx(expected, abs=1e-10)


def test_auc_of_hanley_and_mcneil_with_delongs_error() -> None:
    ratings = np.arange(1.0, 6.0)
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    risk = np.r_[np.repeat(ratings, normal), np.repeat(ratings, abnormal)]
    found = delong_auc(-risk, np.r_[np.zeros(58), np.ones(51)], np.arange(109))
    assert found.auc == pytest.approx(0.8932, abs=5e-5)
    assert found.error == pytest.approx(0.0307, abs=5e-5)
    z = norm.ppf(0.975)
    assert found.auc - z * found.error == pytest.approx(0.83295, abs=5e-6)
    assert found.auc + z * found.error == pytest.approx(0.95339, abs=5e-6)


def test_two_proportions_of_the_statsmodels_documentation() -> None:
    """5 of 83 against 12 of 99: p = 0.159."""
    churned = np.r_[np.ones(5), np.zeros(78), np.ones(12), np.zeros(87)]
    second = np.arange(182) >= 83
    found = rate_difference(churned, np.arange(182), first=~second, second=second)
    assert found.p_two_sided == pytest.approx(0.159, abs=5e-4)


def test_exact_binomial_test_of_conover() -> None:
    """682 of 925 plants against 3/4: p = 0.3825."""
    assert binomial_p_value(682, 925, 0.75) == pytest.approx(0.3825, abs=5e-5)


def test_holm_of_the_textbook() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize(
    ("defaults", "customers", "promised"),
    [(123, 10_000, 0.01), (3, 40, 0.02), (0, 25, 0.05), (17, 300, 0.08)],  # portfolio, then grades
)
def test_jeffreys_test_of_the_ecb(defaults: int, customers: int, promised: float) -> None:
    """The ECB's one-sided p-value: the posterior's mass below the PD, by integrating likelihood times prior.

    With p = sin² t the prior is flat in t, so that nothing diverges at the ends.
    """

    def density(t: float) -> float:
        p = math.sin(t) ** 2
        likelihood = (defaults * math.log(max(p, 1e-300))) + (customers - defaults) * math.log1p(-p)
        return math.exp(likelihood - top)

    mode = max(defaults, 0.5) / customers
    top = defaults * math.log(mode) + (customers - defaults) * math.log1p(-mode)
    cut, end = math.asin(math.sqrt(promised)), math.pi / 2 - 1e-9
    peak = [math.asin(math.sqrt(mode))]
    below = quad(density, 0.0, cut, points=[t for t in peak if t < cut], epsabs=1e-13, limit=500)[0]
    above = quad(density, cut, end, points=[t for t in peak if t > cut], epsabs=1e-13, limit=500)[0]
    one_sided = below / (below + above)
    expected = 2.0 * min(one_sided, 1.0 - one_sided)
    assert jeffreys_p_value(defaults, customers, promised) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("customers", "promised"), [(100, Fraction(1, 100)), (400, Fraction(1, 20))])
def test_critical_value_of_basels_binomial_test(customers: int, promised: Fraction) -> None:
    """k* is the least k with Σ_{i ≥ k} C(n, i) PD^i (1 - PD)^(n - i) ≤ 1 - q, here in exact fractions."""
    tail, critical = Fraction(0), customers + 1
    for k in range(customers, -1, -1):
        tail += math.comb(customers, k) * promised**k * (1 - promised) ** (customers - k)
        if tail > Fraction(1, 20):
            break
        critical = k
    approximate = norm.ppf(0.95) * math.sqrt(customers * promised * (1 - promised)) + customers * promised
    assert abs(critical - approximate) <= 2.0
    assert verdict(customers, critical, float(promised)) is Verdict.FAIL
    assert verdict(customers, critical - 1, float(promised)) is not Verdict.FAIL


def verdict(customers: int, defaults: int, promised: float) -> Verdict:
    """Of a promise of the one tier that holds all customers but two."""
    churned = np.r_[np.ones(defaults), np.zeros(customers - defaults), 1.0, 0.0]
    tier = np.array(["Healthy"] * customers + ["Critical"] * 2, dtype=object)
    report = validate(
        churned, score=np.linspace(99, 1, customers + 2), tier=tier, n_bootstrap=2,
        promises=[Promise(tier="Healthy", at_most=promised)],
    )  # fmt: skip
    return report.test("tier_promise").verdict
