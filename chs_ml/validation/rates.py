"""Two rates against each other, and a rate against a promise: the tests that tiers are judged by."""

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaincc, ndtri, stdtr
from scipy.stats import binom

from chs_ml.validation.intervals import Rate, churn_rate
from chs_ml.validation.result import NAN, Array, Codes, Interval, Mask

_TIED = 1e-7


@dataclass(frozen=True)
class RateDifference:
    """Churn rate of a second group minus that of a first.

    Attributes
    ----------
    difference : float
        Second minus first; NaN where a group is empty.
    interval : Interval
        Of the difference, by the method of variance estimates recovery (Zou & Donner 2008) from the two
        Jeffreys intervals.
    ratio_high : float
        Upper end of the ratio second / first (log-normal, half a churn added to each).
    z : float
        Difference over its standard error with pooled rate and design effect.
    p_rise, p_two_sided : float
        One-sided p-value against "the second churns no more", and two-sided.
    expected_events, expected_kept : float
        Smallest effective expected churns and renewals of the two groups under equal rates.
    n, events : int
        Rows and churns of both.
    """

    difference: float
    interval: Interval
    ratio_high: float
    z: float
    p_rise: float
    p_two_sided: float
    expected_events: float
    expected_kept: float
    n: int
    events: int

    @property
    def p_fall(self) -> float:
        """One-sided p-value against "the second churns no less"."""
        return 1.0 - self.p_rise

    @property
    def least_expected(self) -> float:
        """Smallest expected count of any cell."""
        return min(self.expected_events, self.expected_kept)


def rate_difference(
    churned: Array,
    account: Codes,
    *,
    first: Mask,
    second: Mask,
    level: float = 0.95,
    correlation: float = 0.0,
) -> RateDifference:
    """Compare the churn rates of two disjoint groups of rows of shape (n,).

    The two-proportion score test (pooled rate, no continuity correction). Where accounts repeat, its
    variance is multiplied by the design effect of the difference (at least 1), and the normal
    distribution becomes a t with one degree of freedom per account less one. `correlation` as in
    `chs_ml.validation.intervals.churn_rate`.
    """
    rates = [
        churn_rate(churned[group], account[group], level=level, correlation=correlation)
        for group in (first, second)
    ]
    n, events = rates[0].n + rates[1].n, rates[0].events + rates[1].events
    if min(rates[0].n, rates[1].n) == 0:
        return RateDifference(NAN, Interval(), NAN, NAN, NAN, NAN, 0.0, 0.0, n, events)
    pooled = events / n
    plain = pooled * (1.0 - pooled) * (1.0 / rates[0].n + 1.0 / rates[1].n)
    effect, accounts = _difference_effect(churned, account, first, second)
    difference = rates[1].value - rates[0].value
    z = difference / float(np.sqrt(plain * effect)) if plain > 0 else NAN
    degrees = np.inf if accounts == n else float(max(accounts - 1, 1))
    smallest = min(rate.countable_n for rate in rates)
    return RateDifference(
        difference=difference,
        interval=_recovered_interval(rates[0], rates[1]),
        ratio_high=_ratio_high(rates[0], rates[1], level=level),
        z=z,
        p_rise=float(stdtr(degrees, -z)),
        p_two_sided=2.0 * float(stdtr(degrees, -abs(z))),
        expected_events=smallest * pooled,
        expected_kept=smallest * (1.0 - pooled),
        n=n,
        events=events,
    )


def _difference_effect(churned: Array, account: Codes, first: Mask, second: Mask) -> tuple[float, int]:
    """Clustered over independent variance of a difference of rates, at least 1, and its accounts."""
    inside = first | second
    accounts, n = int(np.count_nonzero(np.bincount(account[inside]))), int(inside.sum())
    if accounts == n:
        return 1.0, accounts
    influence = np.zeros(len(churned))
    for group, sign in ((first, -1.0), (second, 1.0)):
        influence[group] = sign * (churned[group] - churned[group].mean()) / group.sum()
    alone = float(np.sum(influence**2))
    if alone == 0.0 or accounts == 1:
        return n / accounts, accounts
    together = accounts / (accounts - 1) * float(np.sum(np.bincount(account, influence) ** 2))
    return max(1.0, together / alone), accounts


def _recovered_interval(first: Rate, second: Rate) -> Interval:
    a, b = first.interval, second.interval
    difference = second.value - first.value
    low = difference - float(np.hypot(second.value - b.low, a.high - first.value))
    high = difference + float(np.hypot(b.high - second.value, first.value - a.low))
    return Interval(max(low, -1.0), min(high, 1.0))


def _ratio_high(first: Rate, second: Rate, *, level: float) -> float:
    spread, logs = 0.0, 0.0
    for rate, sign in ((first, -1.0), (second, 1.0)):
        events, n = rate.effective_events + 0.5, rate.effective_n + 0.5
        logs += sign * float(np.log(events / n))
        spread += 1.0 / events - 1.0 / n
    z = float(-ndtri((1.0 - level) / 2.0))
    return float(np.exp(logs + z * np.sqrt(max(spread, 0.0))))


def jeffreys_p_value(events: float, n: float, promised: float) -> float:
    """Two-sided Jeffreys test of a rate against a promised one.

    Twice the smaller tail of Beta(events + 1/2, n - events + 1/2) beside the promise: the ECB's test of
    rating grades (Instructions for reporting the validation results of internal models, 2019,
    section 2.5.3.1), there one-sided, here for promises that are too high as well as too low.
    """
    a, b = events + 0.5, n - events + 0.5
    return min(1.0, 2.0 * float(min(betainc(a, b, promised), betaincc(a, b, promised))))


def binomial_p_value(events: float, n: float, promised: float) -> float:
    """Two-sided exact binomial test of a rate against a promised one; counts are rounded to whole ones.

    The chance of all counts that are no likelier than the one observed (as in R's ``binom.test``).
    """
    whole = max(1, round(n))
    chances = binom.pmf(np.arange(whole + 1), whole, promised)
    observed = chances[min(round(events), whole)]
    return min(1.0, float(chances[chances <= observed * (1.0 + _TIED)].sum()))
