"""Intervals for rates, for replicates, and for rates of accounts that appear more than once."""

from dataclasses import dataclass

import numpy as np
from scipy.special import betainccinv, betaincinv, expit, logit, stdtrit

from chs_ml.validation.result import NAN, Array, Codes, Interval


def jeffreys(events: float, n: float, *, level: float = 0.95) -> Interval:
    """Jeffreys interval of a rate: Beta(events + 1/2, n - events + 1/2), equal tails.

    The end is 0 where nothing happened and 1 where everything did (Brown, Cai & DasGupta 2001,
    Statistical Science 16, 101-133). Counts may be fractions: effective sample sizes are.
    """
    if n <= 0:
        return Interval()
    tail = (1.0 - level) / 2.0
    low = 0.0 if events <= 0 else float(betaincinv(events + 0.5, n - events + 0.5, tail))
    high = 1.0 if events >= n else float(betainccinv(events + 0.5, n - events + 0.5, tail))
    return Interval(low, high)


def clopper_pearson_upper(events: float, n: float, *, confidence: float = 0.95) -> float:
    """Exact one-sided upper bound of a rate (Clopper & Pearson 1934)."""
    if n <= 0 or events >= n:
        return 1.0
    return float(betaincinv(events + 1.0, n - events, confidence))


@dataclass(frozen=True)
class Rate:
    """A churn rate that knows how much data it stands on.

    Attributes
    ----------
    value : float
        Churns per row; NaN without rows.
    interval : Interval
        Jeffreys interval on the effective counts.
    n, events, accounts : int
        Rows, churns, distinct accounts.
    design_effect : float
        Variance of the rate over that of as many independent rows; at least 1.
    countable_n : float
        Rows as they count towards the least data of a test, see `countable_rows`.
    """

    value: float
    interval: Interval
    n: int
    events: int
    accounts: int
    design_effect: float
    countable_n: float

    @property
    def effective_n(self) -> float:
        """Independent rows that would say as much."""
        return self.n / self.design_effect

    @property
    def effective_events(self) -> float:
        """Churns among the effective rows."""
        return self.events / self.design_effect


def churn_rate(churned: Array, account: Codes, *, level: float = 0.95, correlation: float = 0.0) -> Rate:
    """Churn rate of rows of shape (n,) with a Jeffreys interval, clustered by account.

    Where accounts repeat, counts are divided by the design effect, and the effective size is reduced
    once more by the squared ratio of t quantiles (Korn & Graubard 1998, Survey Methodology 24,
    193-201), because the design effect itself was estimated from few accounts. A design effect from the
    rows alone is noisy where they are few: `correlation`, the correlation of outcomes inside accounts in
    the whole book, gives it a floor.
    """
    n, events = len(churned), int(churned.sum())
    if n == 0:
        return Rate(NAN, Interval(), 0, 0, 0, 1.0, 0.0)
    effect, accounts = design_effect(churned, account, correlation=correlation)
    tail = (1.0 + level) / 2.0
    few = 1.0
    if 1 < accounts < n:
        few = float((stdtrit(accounts - 1, tail) / stdtrit(n - 1, tail)) ** 2)
    interval = jeffreys(events / (effect * few), n / (effect * few), level=level)
    return Rate(events / n, interval, n, events, accounts, effect, countable_rows(account))


def countable_rows(account: Codes) -> float:
    """Rows of shape (n,) as they count towards the least data of a test: further rows of an account half.

    n / (1 + (m - 1) / 2), m the mean number of rows that share a row's account: the design effect at a
    correlation of one half. Outcomes have no say in it, for a test that speaks when its outcomes happen to
    look alike errs whenever it speaks: gated by the estimated design effect, 50 accounts of six rows made
    a calibration test speak in 6 % of draws and reject a true null in 45 % of those.
    """
    if len(account) == 0:
        return 0.0
    shared = float(np.sum(np.bincount(account).astype(np.float64) ** 2)) / len(account)
    return len(account) / (1.0 + (shared - 1.0) / 2.0)


def inner_correlation(residuals: Array, account: Codes) -> float:
    """Correlation of residuals of shape (n,) inside accounts, between 0 and 1: the mean product of pairs."""
    sizes = np.bincount(account)
    pairs = float(np.sum(sizes * (sizes - 1.0)))
    spread = float(np.mean(residuals**2))
    if pairs == 0.0 or spread == 0.0:
        return 0.0
    products = np.sum(np.bincount(account, weights=residuals) ** 2) - np.sum(residuals**2)
    return float(np.clip(products / pairs / spread, 0.0, 1.0))


def design_effect(churned: Array, account: Codes, *, correlation: float = 0.0) -> tuple[float, int]:
    """Variance inflation of a rate by repeated accounts, at least 1, and the number of accounts.

    The linearised (sandwich) variance of the mean over accounts, divided by p (1 - p) / n. Where all
    rows had one outcome it cannot be estimated: rows per account is then the cautious answer. At least
    1 + (m - 1) · correlation, m the mean number of rows that share a row's account (Kish 1965).
    """
    n = len(churned)
    sizes = np.bincount(account).astype(np.float64)  # codes that no row has add nothing to the sums below
    accounts = int(np.count_nonzero(sizes))
    if accounts == n:
        return 1.0, accounts
    rate = float(churned.mean())
    if rate in (0.0, 1.0) or accounts == 1:
        return n / accounts, accounts
    sums = np.bincount(account, weights=churned - rate)
    variance = accounts / (accounts - 1) * float(np.sum(sums**2)) / n**2
    shared = float(np.sum(sizes**2)) / n
    least = 1.0 + (shared - 1.0) * correlation
    return max(least, variance / (rate * (1.0 - rate) / n)), accounts


def percentile_interval(replicates: Array, *, level: float = 0.95) -> Interval:
    """Equal-tailed quantiles of bootstrap replicates; missing replicates are left out."""
    known = replicates[~np.isnan(replicates)]
    if len(known) < 2:
        return Interval()
    low, high = np.quantile(known, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(float(low), float(high))


def normal_interval(
    value: float, replicates: Array, *, level: float = 0.95, degrees: float = np.inf
) -> Interval:
    """Estimate ± a quantile of t (normal: infinite degrees of freedom) times the bootstrap deviation."""
    known = replicates[~np.isnan(replicates)]
    if len(known) < 2 or np.isnan(value):
        return Interval()
    half = float(stdtrit(degrees, (1.0 + level) / 2.0)) * float(known.std(ddof=1))
    return Interval(value - half, value + half)


def logit_interval(
    value: float,
    replicates: Array,
    *,
    margin: float,
    level: float = 0.95,
    degrees: float = np.inf,
) -> Interval:
    """Interval of t on the logit scale, turned back: it stays inside (0, 1).

    Parameters
    ----------
    value : float
        The estimate, in [0, 1].
    replicates : ndarray of shape (b,)
        Bootstrap replicates.
    margin : float
        How near to 0 and 1 replicates may come before they are held (half a pair, say).
    degrees : float, default=inf
        Degrees of freedom; infinitely many give the normal distribution.
    """
    known = logit(np.clip(replicates[~np.isnan(replicates)], margin, 1.0 - margin))
    if len(known) < 2 or np.isnan(value):
        return Interval()
    middle = float(logit(np.clip(value, margin, 1.0 - margin)))
    inner = normal_interval(middle, known, level=level, degrees=degrees)
    return Interval(float(expit(inner.low)), float(expit(inner.high)))


def log_interval(value: float, replicates: Array, *, level: float = 0.95) -> Interval:
    """Normal interval on the log scale, turned back: it stays above 0."""
    if not value > 0.0:
        return Interval()
    positive = np.where(replicates > 0.0, replicates, np.nan)
    inner = normal_interval(float(np.log(value)), np.log(positive), level=level)
    return Interval(float(np.exp(inner.low)), float(np.exp(inner.high)))
