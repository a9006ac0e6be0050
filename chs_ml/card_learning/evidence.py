"""What outcomes say about each measure of a card: alone, and beside the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm

from chs_ml.validation.delong import delong_auc
from chs_ml.validation.result import Interval, holm

Array = NDArray[np.float64]
Codes = NDArray[np.intp]

MIN_EVENTS = 20
"""Churns (and renewals) with a value of the measure below which nothing is said about it."""
MIN_SPREAD = 1e-9


class Finding(StrEnum):
    """What a measure turned out to be."""

    WORKS = "works"
    """Its points rank churns below renewals, also beside the others."""
    REPEATS = "repeats the others"
    """It ranks alone, and adds nothing that the others do not say."""
    NO_EVIDENCE = "no evidence"
    """Its points do not tell churns from renewals."""
    WRONG_WAY = "points the wrong way"
    """Accounts with more points churn more."""
    FLAT = "does not vary"
    """(Nearly) every account gets the same points."""
    NOT_ENOUGH_DATA = "not enough data"
    """Too few churns or renewals have a value."""


@dataclass(frozen=True, kw_only=True)
class MeasureEvidence:
    """What outcomes say about one measure.

    Attributes
    ----------
    metric : str
        Its name.
    finding : Finding
        In one word or two.
    auc : float
        Chance that a renewing account has more points than a churning one, ties half; known values only.
    interval : Interval
        Of the AUC, account-clustered.
    p_value : float
        Against an AUC of .5, Holm-corrected over the measures.
    slope : float
        Log-odds of churn that 100 points take off, beside the others; negative where they add.
    slope_p_value : float
        Against 0, account-clustered, Holm-corrected.
    n, events, missing : int
        Rows with a value, churns among them, rows without.
    """

    metric: str
    finding: Finding
    auc: float
    interval: Interval
    p_value: float
    slope: float
    slope_p_value: float
    n: int
    events: int
    missing: int


def measure_evidence(
    points: Array, churned: Array, account: Codes, *, names: Sequence[str], level: float = 0.95
) -> tuple[MeasureEvidence, ...]:
    """Ask each measure whether its points tell churns from renewals.

    Parameters
    ----------
    points : ndarray of shape (n, k)
        Points before any missing-value rule; NaN where a measure has no value.
    churned, account : ndarray of shape (n,)
        1 churned, 0 kept; account codes.
    names : sequence of k str
        Metric names.
    level : float
        Of intervals, and 1 minus the size of the tests.
    """
    alone = [_alone(points[:, k], churned, account, level) for k in range(points.shape[1])]
    slopes, slope_p = _joint(points, churned, account)
    corrected = holm(one.p_value for one in alone)
    slope_corrected = holm(slope_p)
    return tuple(
        MeasureEvidence(
            metric=names[k],
            finding=_finding(one, corrected[k], slopes[k], slope_corrected[k], 1.0 - level),
            auc=one.auc,
            interval=one.interval,
            p_value=corrected[k],
            slope=float(slopes[k]),
            slope_p_value=slope_corrected[k],
            n=one.n,
            events=one.events,
            missing=len(churned) - one.n,
        )
        for k, one in enumerate(alone)
    )


@dataclass(frozen=True)
class _Alone:
    auc: float
    interval: Interval
    p_value: float
    n: int
    events: int
    varies: bool


def _alone(points: Array, churned: Array, account: Codes, level: float) -> _Alone:
    known = ~np.isnan(points)
    score, outcome = points[known], churned[known]
    events, n = int(outcome.sum()), int(known.sum())
    varies = n > 0 and float(np.ptp(score)) > MIN_SPREAD
    nothing = _Alone(float("nan"), Interval(), float("nan"), n, events, varies)
    if not varies or min(events, n - events) < MIN_EVENTS:
        return nothing
    found = delong_auc(score, outcome, np.unique(account[known], return_inverse=True)[1], level=level)
    if not found.error > 0:
        return _Alone(found.auc, found.interval, 0.0 if found.auc != 0.5 else 1.0, n, events, varies)
    error = found.error / (found.auc * (1.0 - found.auc))
    p_value = 2.0 * float(norm.sf(abs(float(logit(found.auc))) / error))
    return _Alone(found.auc, found.interval, p_value, n, events, varies)


def _finding(one: _Alone, p_value: float, slope: float, slope_p: float, size: float) -> Finding:
    if not one.varies and one.n:
        return Finding.FLAT
    if np.isnan(p_value):
        return Finding.NOT_ENOUGH_DATA
    beside = np.isfinite(slope_p) and slope_p < size
    if p_value < size and one.auc < 0.5:
        return Finding.WRONG_WAY
    if p_value < size:
        return Finding.WORKS if beside and slope > 0 else Finding.REPEATS
    return Finding.WORKS if beside and slope > 0 else Finding.NO_EVIDENCE


def _joint(points: Array, churned: Array, account: Codes) -> tuple[Array, list[float]]:
    """Slopes per 100 points of a lightly penalised logistic regression, and sandwich p-values by account."""
    filled = np.array(points)
    for k in range(points.shape[1]):
        gone = np.isnan(points[:, k])
        filled[gone, k] = float(np.mean(points[~gone, k])) if not gone.all() else 0.0
    usable = np.flatnonzero(np.ptp(filled, axis=0) > MIN_SPREAD)
    slopes, p_values = np.full(points.shape[1], np.nan), [float("nan")] * points.shape[1]
    if not len(usable) or min(churned.sum(), len(churned) - churned.sum()) < MIN_EVENTS:
        return slopes, p_values
    design = np.column_stack([np.ones(len(churned)), filled[:, usable] / 100.0])
    beta, covariance = _clustered_logistic(design, churned, account)
    errors = np.sqrt(np.diag(covariance))[1:]
    for k, b, error in zip(usable.tolist(), beta[1:], errors, strict=True):
        slopes[k] = -b
        p_values[k] = 2.0 * float(norm.sf(abs(b) / error)) if error > 0 else float("nan")
    return slopes, p_values


def _clustered_logistic(design: Array, churned: Array, account: Codes) -> tuple[Array, Array]:
    """Coefficients of a logistic regression and their covariance, clustered by account."""
    ridge = 1e-3 * np.diag([0.0, *np.ones(design.shape[1] - 1)])  # collinear measures must not blow up
    beta = np.zeros(design.shape[1])
    beta[0] = float(logit(np.clip(churned.mean(), 1e-6, 1 - 1e-6)))
    for _ in range(50):
        p = expit(design @ beta)
        weight = np.maximum(p * (1.0 - p), 1e-9)
        hessian = design.T @ (design * weight[:, None]) + ridge
        step = np.linalg.solve(hessian, design.T @ (churned - p) - ridge @ beta)
        step *= min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        beta = beta + step
        if float(np.abs(step).max()) < 1e-9:
            break
    residual = (churned - expit(design @ beta))[:, None] * design
    by_account = np.column_stack([np.bincount(account, column) for column in residual.T])
    inverse = np.linalg.inv(hessian)
    groups = len(by_account)
    meat = by_account.T @ by_account * (groups / max(groups - 1, 1))
    return beta, inverse @ meat @ inverse
