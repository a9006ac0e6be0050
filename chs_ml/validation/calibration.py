"""Do the probabilities mean what they say? Slope, intercept, mean, curve, and a table by bins."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri, stdtrit

from chs_ml.validation.intervals import churn_rate
from chs_ml.validation.ranking import SMALLEST_PROBABILITY
from chs_ml.validation.result import NAN, Array, Codes, Interval

MOST_BINS = 10
_STEPS, _TOLERANCE, _LONGEST_STEP, _CERTAIN = 100, 1e-9, 5.0, 1e-9


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """Accounts of similar predicted risk.

    Attributes
    ----------
    lowest, highest, predicted : float
        Smallest, largest and mean predicted churn probability.
    realised : float
        Churn rate.
    interval : Interval
        Jeffreys interval of the churn rate, clustered by account.
    n, churned : int
        Rows and churns.
    """

    lowest: float
    highest: float
    predicted: float
    realised: float
    interval: Interval
    n: int
    churned: int


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How well predicted probabilities match realised churn.

    Attributes
    ----------
    slope, slope_interval
        Slope of the logistic regression of churn on the log-odds of the probability; 1 is ideal, below 1
        the probabilities are too extreme. NaN where it cannot be estimated.
    intercept, intercept_interval
        Intercept of the same regression; 0 is ideal.
    in_the_large, in_the_large_interval
        Intercept with the slope held at 1: log-odds by which all probabilities are too low (above 0) or
        too high (below 0).
    mean_predicted, base_rate : float
        Mean probability and churn rate.
    difference_interval : Interval
        Of mean predicted minus churn rate, account-clustered.
    expected_error : float
        Mean absolute gap of the bins, weighted by rows (ECE with equal-mass bins).
    bins : tuple of CalibrationBin
        At most ten of equal mass, tied probabilities together.
    n, events : int
        Rows and churns.
    """

    slope: float
    slope_interval: Interval
    intercept: float
    intercept_interval: Interval
    in_the_large: float
    in_the_large_interval: Interval
    mean_predicted: float
    base_rate: float
    difference_interval: Interval
    expected_error: float
    bins: tuple[CalibrationBin, ...]
    n: int
    events: int

    def frame(self) -> pd.DataFrame:
        """One row per bin."""
        rows = [
            {"lowest": b.lowest, "highest": b.highest, "predicted": b.predicted, "realised": b.realised,
             "low": b.interval.low, "high": b.interval.high, "n": b.n, "churned": b.churned}
            for b in self.bins
        ]  # fmt: skip
        return pd.DataFrame(rows)


@dataclass(frozen=True)
class LogisticFit:
    """Coefficients of a small logistic regression with their account-clustered covariance.

    Attributes
    ----------
    coefficients : ndarray of shape (k,)
        NaN where the fit does not exist (separation, or a constant column).
    covariance : ndarray of shape (k, k)
        Sandwich, clustered by account, times G / (G - 1).
    accounts : int
        Number of accounts G.
    """

    coefficients: Array
    covariance: Array
    accounts: int

    def interval(self, position: int, *, level: float) -> Interval:
        """Wald interval of one coefficient, t with G - 1 degrees of freedom."""
        error = float(np.sqrt(self.covariance[position, position]))
        half = float(stdtrit(max(self.accounts - 1, 1), (1.0 + level) / 2.0)) * error
        value = float(self.coefficients[position])
        return Interval(value - half, value + half)


def fit_logistic(
    design: Array, churned: Array, account: Codes, *, offset: Array | float = 0.0
) -> LogisticFit:
    """Maximum likelihood by Newton steps, with a sandwich covariance clustered by account.

    Parameters
    ----------
    design : ndarray of shape (n, k)
        Columns, the intercept among them.
    churned, account : ndarray of shape (n,)
        Outcomes and account codes.
    offset : ndarray of shape (n,) or float
        Fixed part of the log-odds.
    """
    k = design.shape[1]
    accounts = int(account.max()) + 1
    coefficients = np.zeros(k)
    lost = LogisticFit(np.full(k, NAN), np.full((k, k), NAN), accounts)
    for _ in range(_STEPS):
        chance = expit(design @ coefficients + offset)
        weights = chance * (1.0 - chance)
        information = (design * weights[:, None]).T @ design
        if weights.max() < _CERTAIN or np.linalg.cond(information) > 1e14:
            return lost
        step = np.linalg.solve(information, design.T @ (churned - chance))
        reach = float(np.abs(design @ step).max())
        coefficients = coefficients + step * min(1.0, _LONGEST_STEP / max(reach, _TOLERANCE))
        if reach < _TOLERANCE:
            break
    else:
        return lost
    residuals = (design * (churned - chance)[:, None]).T
    scores = np.stack([np.bincount(account, weights=column) for column in residuals], axis=1)
    bread = np.linalg.inv(information)
    correction = accounts / max(accounts - 1, 1)
    return LogisticFit(coefficients, correction * bread @ (scores.T @ scores) @ bread, accounts)


def log_odds(probability: Array) -> Array:
    """Log-odds of probabilities of shape (n,); exact 0 and 1 are held at 1e-12."""
    return np.asarray(logit(np.clip(probability, SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)))


def calibration(probability: Array, churned: Array, account: Codes, *, level: float = 0.95) -> Calibration:
    """Compare probabilities of shape (n,) with what happened.

    Slope and intercept are Cox's (1958): logit P(churn) = intercept + slope · logit p. Intervals are
    cluster-robust. The mean is compared by the clustered standard error of probability minus outcome.
    """
    margin = log_odds(probability)
    ones = np.ones((len(margin), 1))
    both = fit_logistic(np.column_stack([ones, margin]), churned, account)
    large = fit_logistic(ones, churned, account, offset=margin)
    bins = calibration_bins(probability, churned, account, level=level)
    weights = np.array([b.n for b in bins]) / len(churned)
    return Calibration(
        slope=float(both.coefficients[1]),
        slope_interval=both.interval(1, level=level),
        intercept=float(both.coefficients[0]),
        intercept_interval=both.interval(0, level=level),
        in_the_large=float(large.coefficients[0]),
        in_the_large_interval=large.interval(0, level=level),
        mean_predicted=float(probability.mean()),
        base_rate=float(churned.mean()),
        difference_interval=mean_interval(probability - churned, account, level=level),
        expected_error=float(np.sum(weights * [abs(b.predicted - b.realised) for b in bins])),
        bins=bins,
        n=len(churned),
        events=int(churned.sum()),
    )


def mean_interval(values: Array, account: Codes, *, level: float = 0.95) -> Interval:
    """Normal interval of a mean of shape (n,), clustered by account."""
    mean, error = float(values.mean()), clustered_error(values, account)
    half = float(ndtri((1.0 + level) / 2.0)) * error
    return Interval(mean - half, mean + half)


def clustered_error(values: Array, account: Codes) -> float:
    """Standard error of the mean of values of shape (n,), clustered by account."""
    sums = np.bincount(account, weights=values - values.mean())
    accounts = len(sums)
    return float(np.sqrt(accounts / max(accounts - 1, 1) * np.sum(sums**2)) / len(values))


def calibration_bins(
    probability: Array, churned: Array, account: Codes, *, level: float = 0.95, most: int = MOST_BINS
) -> tuple[CalibrationBin, ...]:
    """Cut rows of shape (n,) into bins of equal mass by probability; ties stay together."""
    codes = equal_mass_bins(probability, most=most)
    return tuple(
        _bin(probability[codes == code], churned[codes == code], account[codes == code], level=level)
        for code in np.unique(codes)
    )


def equal_mass_bins(values: Array, *, most: int) -> Codes:
    """Bin numbers of values of shape (n,), by the middle of each tied group's ranks."""
    _, groups, sizes = np.unique(values, return_inverse=True, return_counts=True)
    middles = np.cumsum(sizes) - sizes / 2.0
    return np.asarray(np.minimum((middles / len(values) * most).astype(np.intp), most - 1)[groups])


def _bin(probability: Array, churned: Array, account: Codes, *, level: float) -> CalibrationBin:
    rate = churn_rate(churned, account, level=level)
    return CalibrationBin(
        lowest=float(probability.min()),
        highest=float(probability.max()),
        predicted=float(probability.mean()),
        realised=rate.value,
        interval=rate.interval,
        n=rate.n,
        churned=rate.events,
    )
