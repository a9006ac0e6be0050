"""A smooth calibration curve with a band, and the integrated calibration index."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

from chs_ml.validation.calibration import LogisticFit, fit_logistic, log_odds
from chs_ml.validation.result import NAN, UNKNOWN, Array, Codes, Interval

POINTS = 25
_DRAWS = 400
_GRID = 400


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One point of the calibration curve: predicted, smoothed churn rate, pointwise interval."""

    predicted: float
    realised: float
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class CalibrationCurve:
    """A smooth calibration curve.

    Attributes
    ----------
    points : tuple of CurvePoint
        At quantiles of the predicted probability; empty where no curve could be fitted.
    ici, ici_interval
        Integrated calibration index: mean absolute gap between curve and diagonal (Austin & Steyerberg
        2019, Statistics in Medicine 38, 4051-4065). Noise alone makes it positive; its interval spans
        the index of curves drawn from the fit's clustered normal approximation.
    e90 : float
        The gap that 90 % of rows stay below.
    """

    points: tuple[CurvePoint, ...]
    ici: float
    ici_interval: Interval
    e90: float

    def frame(self) -> pd.DataFrame:
        """One row per point."""
        rows = [
            {"predicted": p.predicted, "realised": p.realised, "low": p.interval.low, "high": p.interval.high}
            for p in self.points
        ]
        return pd.DataFrame(rows, columns=["predicted", "realised", "low", "high"])


def calibration_curve(
    probability: Array, churned: Array, account: Codes, *, level: float = 0.95, random_state: int = 0
) -> CalibrationCurve:
    """Fit churn on a restricted cubic spline of the log-odds of probabilities of shape (n,).

    Knots stand at quantiles (Harrell 2015, section 2.4.6): five from 100 churns and renewals, four from
    50, three from 20; below that a straight line in log-odds. The band is pointwise, from the
    account-clustered covariance.
    """
    margin = log_odds(probability)
    knots = spline_knots(margin, events=int(min(churned.sum(), (1.0 - churned).sum())))
    fit = fit_logistic(restricted_spline(margin, knots), churned, account)
    if np.isnan(fit.coefficients).any():
        return CalibrationCurve(points=(), ici=NAN, ici_interval=UNKNOWN, e90=NAN)
    grid = np.quantile(margin, (np.arange(_GRID) + 0.5) / _GRID)
    design = restricted_spline(grid, knots)
    smooth = expit(restricted_spline(margin, knots) @ fit.coefficients)
    gaps = np.abs(probability - smooth)
    return CalibrationCurve(
        points=_points(design, grid, fit, level=level),
        ici=float(gaps.mean()),
        ici_interval=_ici_interval(design, expit(grid), fit, level=level, random_state=random_state),
        e90=float(np.quantile(gaps, 0.9)),
    )


def spline_knots(margin: Array, *, events: int) -> Array:
    """Knots at Harrell's quantiles of margins of shape (n,), as many as the rarer outcome supports."""
    if events < 20:
        return np.empty(0)
    quantiles = (
        [0.05, 0.275, 0.5, 0.725, 0.95] if events >= 100
        else [0.05, 0.35, 0.65, 0.95] if events >= 50
        else [0.1, 0.5, 0.9]
    )  # fmt: skip
    knots = np.unique(np.quantile(margin, quantiles))
    return knots if len(knots) >= 3 else np.empty(0)


def restricted_spline(margin: Array, knots: Array) -> Array:
    """Design of a natural cubic spline, linear beyond the outer knots: columns 1, x and k - 2 bends."""
    columns = [np.ones_like(margin), margin]
    if len(knots):
        last, before = knots[-1], knots[-2]
        scale = (last - knots[0]) ** 2
        for knot in knots[:-2]:
            bend = np.maximum(margin - knot, 0.0) ** 3
            bend -= np.maximum(margin - before, 0.0) ** 3 * (last - knot) / (last - before)
            bend += np.maximum(margin - last, 0.0) ** 3 * (before - knot) / (last - before)
            columns.append(bend / scale)
    return np.column_stack(columns)


def _points(design: Array, grid: Array, fit: LogisticFit, *, level: float) -> tuple[CurvePoint, ...]:
    chosen = np.unique(np.linspace(0, len(grid) - 1, POINTS).astype(int))
    middle = design @ fit.coefficients
    half = norm.isf((1.0 - level) / 2.0) * np.sqrt(np.einsum("ij,jk,ik->i", design, fit.covariance, design))
    return tuple(
        CurvePoint(
            predicted=float(expit(grid[i])),
            realised=float(expit(middle[i])),
            interval=Interval(float(expit(middle[i] - half[i])), float(expit(middle[i] + half[i]))),
        )
        for i in chosen
    )


def _ici_interval(
    design: Array, predicted: Array, fit: LogisticFit, *, level: float, random_state: int
) -> Interval:
    rng = np.random.default_rng(random_state)
    values, vectors = np.linalg.eigh(fit.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    drawn = fit.coefficients[:, None] + root @ rng.standard_normal((len(values), _DRAWS))
    gaps = np.abs(expit(design @ drawn) - predicted[:, None]).mean(axis=0)
    low, high = np.quantile(gaps, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(float(low), float(high))
