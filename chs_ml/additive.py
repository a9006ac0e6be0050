"""Additive logistic regression on hat functions: where health curves come from.

Risk (log-odds of churn) is a constant plus one function per metric: piecewise-linear between knots
for a number, one value per category, and a value of its own where the metric is missing. A function
is monotone where the metric has a direction. The fit minimises the penalised log loss by Newton
steps on one metric at a time, each a small quadratic programme.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, cholesky, solve_triangular
from scipy.optimize import nnls
from scipy.special import expit, logit

from chs_ml.inputs import InputColumn

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

MAX_KNOTS = 10
QUANTILES = (0.01, 0.99)
RIDGE = 1e-3


@dataclass(frozen=True)
class Knots:
    """Where the function of one metric may bend.

    Attributes
    ----------
    x : ndarray of shape (c,)
        Knot positions of a number; codes 0..c-1 of a category.
    is_category : bool
        Whether the positions are codes.
    sign : int
        +1 where larger values are healthier (risk falls), -1 the other way, 0 free.
    """

    x: Array
    is_category: bool
    sign: int

    @property
    def size(self) -> int:
        """Number of coefficients: one per knot and one for missing."""
        return len(self.x) + 1


def place_knots(values: Array, column: InputColumn, *, max_knots: int = MAX_KNOTS) -> Knots:
    """Place knots at quantiles of the known values, from the 1st to the 99th percentile.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Encoded values, NaN where missing.
    column : InputColumn
        Its metric says kind and direction.
    max_knots : int
        Upper bound on the number of knots.
    """
    if column.metric.is_category:
        return Knots(np.arange(len(column.categories), dtype=np.float64), is_category=True, sign=0)
    known = np.sort(values[~np.isnan(values)])
    if not len(known):
        return Knots(np.zeros(1), is_category=False, sign=0)
    low, high = np.quantile(known, QUANTILES, method="nearest")
    inside = np.unique(known[(known >= low) & (known <= high)])
    if len(inside) > max_knots:
        levels = np.linspace(*QUANTILES, max_knots)
        inside = np.unique(np.quantile(known, levels, method="nearest"))
        if len(inside) < max_knots // 2:  # one value holds most rows: spread the others' knots
            rest = known[known != inside[np.argmax([np.sum(known == v) for v in inside])]]
            inside = np.unique([*inside, *np.quantile(rest, levels, method="nearest")])
            inside = inside[(inside >= low) & (inside <= high)]
    return Knots(inside, is_category=False, sign=column.metric.direction.sign)


@dataclass(frozen=True)
class Hats:
    """The rows of one metric on its knots: row i is (1 - share_i) of knot left_i and share_i of the next."""

    knots: Knots
    left: Indices
    share: Array

    @classmethod
    def of(cls, values: Array, knots: Knots) -> "Hats":
        """Locate values of shape (n,) between knots; missing and unseen have the last coefficient."""
        c = len(knots.x)
        missing = np.isnan(values)
        if knots.is_category:
            left = np.where(missing | (values >= c), c, np.nan_to_num(values)).astype(np.intp)
            return cls(knots, left, np.zeros(len(values)))
        inside = np.clip(np.where(missing, knots.x[0], values), knots.x[0], knots.x[-1])
        left = np.clip(np.searchsorted(knots.x, inside, side="right") - 1, 0, max(c - 2, 0))
        gap = np.diff(knots.x, append=np.inf)[left] if c > 1 else np.ones(len(values))
        share = np.where(missing, 0.0, (inside - knots.x[left]) / gap)
        return cls(knots, np.where(missing, c, left).astype(np.intp), share)

    def rows(self, positions: Indices) -> "Hats":
        """Some of the rows."""
        return Hats(self.knots, self.left[positions], self.share[positions])

    def evaluate(self, coefficients: Array) -> Array:
        """Function values of shape (n,) for coefficients of shape (c + 1,)."""
        padded = np.append(coefficients, 0.0)
        line = (1.0 - self.share) * padded[self.left] + self.share * padded[self.left + 1]
        return np.asarray(line)

    def gradient(self, residual: Array) -> Array:
        """Transposed basis times a vector of shape (n,)."""
        c = self.knots.size
        here = np.bincount(self.left, residual * (1.0 - self.share), minlength=c + 1)
        there = np.bincount(self.left + 1, residual * self.share, minlength=c + 1)
        return np.asarray((here + there)[:c], dtype=np.float64)

    def gram(self, weight: Array) -> Array:
        """Transposed basis times weight times basis, of shape (c + 1, c + 1)."""
        c = self.knots.size
        stay = 1.0 - self.share
        diagonal = np.bincount(self.left, weight * stay * stay, minlength=c + 1)
        diagonal += np.bincount(self.left + 1, weight * self.share * self.share, minlength=c + 1)
        beside = np.bincount(self.left, weight * stay * self.share, minlength=c + 1)[: c - 1]
        return np.asarray(np.diag(diagonal[:c]) + np.diag(beside, 1) + np.diag(beside, -1), dtype=np.float64)


def roughness(knots: Knots, *, smoothing: float) -> Array:
    """Quadratic penalty on the coefficients of one metric.

    Curvature of a number's function counts fully and its slope a tenth; categories and the value for
    missing are pulled towards the average, so that rare ones stay near it.
    """
    c = len(knots.x)
    if knots.is_category:
        body = np.eye(c)
    else:
        slope, bend = np.diff(np.eye(c), axis=0), np.diff(np.eye(c), n=2, axis=0)
        body = bend.T @ bend + 0.1 * slope.T @ slope
    return np.asarray(smoothing * block_diag(body, np.eye(1)) + RIDGE * np.eye(c + 1))


def bounded_newton_step(
    hessian: Array, gradient: Array, *, transform: Array, free: NDArray[np.bool_]
) -> Array:
    """Minimise ``f'Hf/2 - g'f`` over ``f = T z`` with ``z >= 0`` where not free.

    Parameters
    ----------
    hessian : ndarray of shape (c, c)
        Positive definite.
    gradient : ndarray of shape (c,)
        Linear term.
    transform : ndarray of shape (c, z)
        T.
    free : ndarray of bool, shape (z,)
        Which z may be negative.
    """
    root = cholesky(hessian, lower=True)
    target = solve_triangular(root, gradient, lower=True)
    design = root.T @ transform
    both = np.hstack([design, -design[:, free]])
    z, _ = nnls(both, target)
    plus, minus = z[: design.shape[1]], z[design.shape[1] :]
    plus[free] -= minus
    return np.asarray(transform @ plus)


def _monotone_transform(knots: Knots) -> tuple[Array, NDArray[np.bool_]]:
    """Write monotone coefficients as a free level plus steps of one sign (risk falls where sign is +1)."""
    c = len(knots.x)
    steps = np.tril(np.ones((c, c)))
    steps[:, 1:] *= -knots.sign
    return block_diag(steps, np.eye(1)), np.r_[True, np.zeros(c - 1, dtype=bool), True]


def solve_block(knots: Knots, hessian: Array, gradient: Array) -> Array:
    """Best coefficients of one metric for a quadratic loss, monotone where it has a direction."""
    if knots.sign == 0 or len(knots.x) == 1:
        return np.asarray(np.linalg.solve(hessian, gradient))
    transform, free = _monotone_transform(knots)
    return bounded_newton_step(hessian, gradient, transform=transform, free=free)


@dataclass(frozen=True)
class AdditiveFit:
    """A fitted additive model: log-odds = intercept + one function per metric.

    Attributes
    ----------
    intercept : float
        Log-odds of churn where every function is at its average.
    coefficients : tuple of ndarray
        Per metric, the risk at each knot and, last, where the value is missing.
    """

    intercept: float
    coefficients: tuple[Array, ...]


def fit_additive(
    hats: Sequence[Hats],
    churned: Array,
    *,
    smoothing: float,
    row_weight: Array,
    start: AdditiveFit | None = None,
    sweeps: int = 4,
) -> AdditiveFit:
    """Fit all functions together.

    Parameters
    ----------
    hats : sequence of k Hats
        The rows of each metric on its knots.
    churned : ndarray of shape (n,)
        1 churned, 0 kept.
    smoothing : float
        Strength of the roughness penalty, in log-odds to the power of minus two.
    row_weight : ndarray of shape (n,)
        How often each row counts.
    start : AdditiveFit, optional
        Where to start; without it, at each metric's own curve, shrunk so that twins share their effect.
    sweeps : int
        Passes over the metrics.
    """
    penalties = [roughness(h.knots, smoothing=smoothing) for h in hats]
    fit = start or _start(hats, churned, penalties=penalties, row_weight=row_weight)
    margin = fit.intercept + sum((h.evaluate(f) for h, f in zip(hats, fit.coefficients, strict=True)))
    margin = np.asarray(margin, dtype=np.float64) + np.zeros(len(churned))
    for _ in range(sweeps):
        fit, margin = _sweep(hats, churned, penalties=penalties, row_weight=row_weight, state=(fit, margin))
    return fit


def _sweep(
    hats: Sequence[Hats],
    churned: Array,
    *,
    penalties: Sequence[Array],
    row_weight: Array,
    state: tuple[AdditiveFit, Array],
) -> tuple[AdditiveFit, Array]:
    fit, margin = state
    intercept, coefficients = fit.intercept, list(fit.coefficients)
    for k, (hat, penalty) in enumerate(zip(hats, penalties, strict=True)):
        now = hat.evaluate(coefficients[k])
        better = _block_step(
            hat, churned, penalty=penalty, row_weight=row_weight, margin=margin, now=coefficients[k]
        )
        margin = margin - now + hat.evaluate(better)
        coefficients[k] = better
        shift = _intercept_step(margin, churned, row_weight)
        intercept, margin = intercept + shift, margin + shift
    return AdditiveFit(intercept, tuple(coefficients)), margin


def _intercept_step(margin: Array, churned: Array, row_weight: Array) -> float:
    p = expit(margin)
    slope = float(np.sum(row_weight * p * (1.0 - p))) + RIDGE
    return float(np.clip(np.sum(row_weight * (churned - p)) / slope, -2.0, 2.0))


def _block_step(
    hat: Hats, churned: Array, *, penalty: Array, row_weight: Array, margin: Array, now: Array
) -> Array:
    p = expit(margin)
    # a floor under the weights keeps a Newton step finite where a metric separates the outcome
    weight = row_weight * np.maximum(p * (1.0 - p), 1e-5)
    hessian = hat.gram(weight)
    gradient = hat.gradient(row_weight * (churned - p)) + hessian @ now
    better = solve_block(hat.knots, hessian + penalty, gradient)
    centre = _centre(hat, better, row_weight)
    step = better - np.append(np.full(len(better) - 1, centre), 0.0) - now
    longest = float(np.max(np.abs(step), initial=0.0))
    return now + step * min(1.0, 3.0 / longest) if longest > 0 else now


def _centre(hat: Hats, coefficients: Array, row_weight: Array) -> float:
    known = hat.left < len(hat.knots.x)
    total = float(np.sum(row_weight[known]))
    return float(np.sum(row_weight * hat.evaluate(coefficients), where=known)) / total if total else 0.0


def _start(
    hats: Sequence[Hats], churned: Array, *, penalties: Sequence[Array], row_weight: Array
) -> AdditiveFit:
    """Each metric's own curve, divided by the number of metrics that tell the same story."""
    base = float(np.clip(np.average(churned, weights=row_weight), 1e-6, 1.0 - 1e-6))
    intercept = float(logit(base))
    alone = []
    for hat, penalty in zip(hats, penalties, strict=True):
        one = AdditiveFit(intercept, (np.zeros(hat.knots.size),))
        state = (one, np.full(len(churned), intercept))
        for _ in range(3):
            state = _sweep([hat], churned, penalties=[penalty], row_weight=row_weight, state=state)
        alone.append(state[0].coefficients[0])
    shrink = _shared_story(hats, alone, row_weight)
    return replace(
        AdditiveFit(intercept, ()), coefficients=tuple(f * s for f, s in zip(alone, shrink, strict=True))
    )


def _shared_story(hats: Sequence[Hats], alone: Sequence[Array], row_weight: Array) -> Array:
    """One over the sum of squared correlations between a metric's own curve and all others'."""
    curves = np.column_stack([h.evaluate(f) for h, f in zip(hats, alone, strict=True)])
    mean = np.average(curves, axis=0, weights=row_weight)
    centred = (curves - mean) * np.sqrt(row_weight)[:, None]
    spread = np.sqrt(np.sum(centred**2, axis=0))
    scaled = centred / np.where(spread > 0, spread, 1.0)
    squared = (scaled.T @ scaled) ** 2
    return np.asarray(1.0 / np.maximum(squared.sum(axis=1), 1.0))
