"""Health curves from renewal outcomes, and the points that they give to rows they did not see."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chs_ml.additive import AdditiveFit, Hats, fit_additive, place_knots
from chs_ml.curves import CategoryCurve, Curve, LinearCurve
from chs_ml.inputs import InputColumn

Array = NDArray[np.float64]

COMMON_SHARE = 0.01
"""Categories (and missing) with at least this share of rows span a curve's range."""
FIRST_SWEEPS, LATER_SWEEPS = 4, 1
"""Passes over the metrics of a first fit, and of a replicate that starts from it."""
FLAT = 1e-9


def health_points(hats: Hats, risk: Array) -> Array:
    """Turn a fitted risk function into health points, 100 at its healthiest and 0 at its worst.

    Parameters
    ----------
    hats : Hats
        The training rows on the knots.
    risk : ndarray of shape (c + 1,)
        Log-odds at the knots and for missing.

    Returns
    -------
    ndarray of shape (c + 1,)
        Points at the knots and for missing. Categories, and missing, span the range where at least 1 % of
        rows have them; rarer ones are clipped into it.
    """
    knots, c = hats.knots, len(hats.knots.x)
    share = np.bincount(hats.left, minlength=c + 1) / max(len(hats.left), 1)
    spans = share >= COMMON_SHARE
    spans[:c] |= not knots.is_category
    known = np.flatnonzero(spans) if spans.any() else np.arange(c)
    best, worst = float(risk[known].min()), float(risk[known].max())
    if worst - best < FLAT:
        risk, best, worst = _default_risk(hats)
    return np.clip(100.0 * (worst - risk) / (worst - best), 0.0, 100.0)


def curve_of(hats: Hats, risk: Array, column: InputColumn) -> Curve:
    """The health curve of a fitted risk function."""
    points = health_points(hats, risk)
    missing = float(points[-1])
    if column.metric.is_category:
        by_label = dict(zip(column.categories, points[:-1].tolist(), strict=True))
        return CategoryCurve(points=by_label, other=float(points[:-1].mean()), missing=missing)
    return LinearCurve(x=tuple(hats.knots.x.tolist()), points=tuple(points[:-1].tolist()), missing=missing)


def _default_risk(hats: Hats) -> tuple[Array, float, float]:
    """Where outcomes show nothing: straight in the declared direction, else flat at 50 points."""
    c = len(hats.knots.x)
    if hats.knots.sign == 0 or c == 1:
        return np.full(c + 1, 0.5), 0.0, 1.0
    rising = np.linspace(0.0, 1.0, c)
    return np.append(rising if hats.knots.sign < 0 else 1.0 - rising, 0.5), 0.0, 1.0


def points_of(curves: Sequence[Curve], X: Array) -> Array:
    """Points of encoded rows of shape (n, k), scaled to 0-1; 0.5 where a missing value has none."""
    columns = [np.nan_to_num(curve.evaluate(x), nan=50.0) for curve, x in zip(curves, X.T, strict=True)]
    return np.column_stack(columns) / 100.0


class GivenCurves:
    """Health curves that are known: the same for every fold and replicate.

    Parameters
    ----------
    X : ndarray of shape (n, k)
        Encoded metrics.
    curves : sequence of k Curve
        Value to points.
    """

    def __init__(self, X: Array, curves: Sequence[Curve]) -> None:
        self.curves = tuple(curves)
        self._health = points_of(curves, X)

    def unseen_points(self, row_weight: Array) -> Array:
        """Points of all rows, scaled to 0-1."""
        return self._health


class LearnedCurves:
    """Health curves learned from one table, as additive logistic regression.

    Parameters
    ----------
    X : ndarray of shape (n, k)
        Encoded metrics.
    churned : ndarray of shape (n,)
        1 churned, 0 kept.
    columns : sequence of k InputColumn
        What the metrics are.
    folds : ndarray of int, shape (n,)
        Fold of each row; an account is in one fold only.
    smoothing : float
        Strength of the roughness penalty.
    """

    def __init__(
        self,
        X: Array,
        churned: Array,
        *,
        columns: Sequence[InputColumn],
        folds: NDArray[np.intp],
        smoothing: float,
    ) -> None:
        self.churned, self.columns, self.smoothing = churned, columns, smoothing
        knots = [place_knots(x, column) for x, column in zip(X.T, columns, strict=True)]
        self._hats = [Hats.of(x, k) for x, k in zip(X.T, knots, strict=True)]
        self._held_out = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
        self._starts: list[AdditiveFit | None] = [None] * len(self._held_out)

    @property
    def curves(self) -> tuple[Curve, ...]:
        """Curves learned from all rows."""
        fit = self._fit(np.ones(len(self.churned)), None)
        return tuple(
            curve_of(hats, risk, column)
            for hats, risk, column in zip(self._hats, fit.coefficients, self.columns, strict=True)
        )

    def unseen_points(self, row_weight: Array) -> Array:
        """Points of all rows, scaled to 0-1, each on curves that did not see its fold.

        Parameters
        ----------
        row_weight : ndarray of shape (n,)
            How often each row counts: ones, or the draws of a bootstrap replicate, which start from
            the fits before.
        """
        health = np.empty((len(self.churned), len(self._hats)))
        for fold, held_out in enumerate(self._held_out):
            weight = row_weight.copy()
            weight[held_out] = 0.0
            fit = self._fit(weight, self._starts[fold])
            self._starts[fold] = self._starts[fold] or fit
            for k, (hats, risk) in enumerate(zip(self._hats, fit.coefficients, strict=True)):
                health[held_out, k] = hats.rows(held_out).evaluate(health_points(hats, risk)) / 100.0
        return health

    def _fit(self, row_weight: Array, start: AdditiveFit | None) -> AdditiveFit:
        sweeps = FIRST_SWEEPS if start is None else LATER_SWEEPS
        return fit_additive(
            self._hats,
            self.churned,
            smoothing=self.smoothing,
            row_weight=row_weight,
            start=start,
            sweeps=sweeps,
        )
