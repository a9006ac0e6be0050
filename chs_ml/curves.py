"""Health curves: what a metric's value is worth, from 0 (worst) to 100 points (healthiest)."""

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chs_ml.errors import ScorecardError

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LinearCurve:
    """Piecewise-linear points of a number; outside its knots flat, or points of their own.

    Parameters
    ----------
    x : tuple of float
        Knots, strictly increasing, in the metric's unit.
    points : tuple of float
        Health points at the knots.
    missing : float, optional
        Points of a missing value; None where a missing value has no points of its own.
    outside : float, optional
        Points of values below the first or above the last knot; None: those of the knot.
    """

    x: tuple[float, ...]
    points: tuple[float, ...]
    missing: float | None = None
    outside: float | None = None

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.x, self.x[1:], strict=False))
        finite = bool(np.all(np.isfinite([*self.x, *self.points, self.missing or 0.0, self.outside or 0.0])))
        if not (len(self.x) == len(self.points) >= 1 and rising and finite):
            raise ScorecardError(
                "A curve must be pairs of value and points with values that rise strictly, all finite; got "
                f"values {list(self.x)}, points {list(self.points)}, points of a missing value "
                f"{self.missing}."
            )

    def evaluate(self, values: Array) -> Array:
        """Points of values of shape (n,); NaN where missing has none."""
        points = np.interp(values, self.x, self.points, left=self.outside, right=self.outside)
        absent = np.nan if self.missing is None else self.missing
        return np.where(np.isnan(values), absent, points)


@dataclass(frozen=True, kw_only=True)
class CategoryCurve:
    """Points per category.

    Parameters
    ----------
    points : dict of str to float
        Health points per category.
    other : float, optional
        Points of a category that is not named; None: treated as missing.
    missing : float, optional
        Points of a missing value; None where a missing value has no points of its own.
    """

    points: dict[str, float]
    other: float | None = None
    missing: float | None = None
    _table: Array = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = [*self.points.values(), self.other or 0.0, self.missing or 0.0]
        if not self.points or not np.all(np.isfinite(given)):
            raise ScorecardError(
                "A category curve must name at least one category, with finite points; got "
                f"{self.points}, other {self.other}, missing {self.missing}."
            )
        absent = np.nan if self.missing is None else self.missing
        other = absent if self.other is None else self.other
        ordered = [self.points[label] for label in self.categories]
        object.__setattr__(self, "_table", np.array([*ordered, other, absent]))

    @property
    def categories(self) -> tuple[str, ...]:
        """The named categories, sorted; their position is their code."""
        return tuple(sorted(self.points))

    def evaluate(self, values: Array) -> Array:
        """Points of category codes of shape (n,); NaN where missing has none."""
        missing = np.isnan(values)
        codes = np.where(missing, len(self.points) + 1, values).astype(np.intp)
        return self._table[codes]


class Edge(StrEnum):
    """Which band a bound between two bands belongs to."""

    TOP = "top"
    """A band holds its top: with a bound at 50, 50 is in the lower band and 50.0001 in the upper one."""
    BOTTOM = "bottom"
    """A band holds its bottom: with a bound at 50, 49.9999 is in the lower band and 50 in the upper one."""

    def band(self, bounds: Array, values: Array) -> NDArray[np.intp]:
        """Positions of the bands of values of shape (n,), 0 = lowest; the last one for NaN."""
        side: Literal["left", "right"] = "left" if self is Edge.TOP else "right"
        return np.searchsorted(bounds, values, side=side)


@dataclass(frozen=True, kw_only=True)
class BandCurve:
    """Points per range of a number: steps.

    Parameters
    ----------
    bounds : tuple of float
        Between the bands, strictly increasing; the first and the last band are open.
    points : tuple of float
        Per band, lowest values first: one more than bounds.
    edge : Edge
        Which band a bound belongs to.
    labels : tuple of str
        Names of the bands, such as Red, Yellow, Green; empty or one per band.
    missing : float, optional
        Points of a missing value; None where a missing value has no points of its own.
    """

    bounds: tuple[float, ...]
    points: tuple[float, ...]
    edge: Edge
    labels: tuple[str, ...] = ()
    missing: float | None = None
    _table: Array = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.bounds, self.bounds[1:], strict=False))
        finite = bool(np.all(np.isfinite([*self.bounds, *self.points, self.missing or 0.0])))
        fits = len(self.points) == len(self.bounds) + 1 and len(self.labels) in (0, len(self.points))
        if not (self.bounds and rising and finite and fits):
            raise ScorecardError(
                "Bands must be at least two, with bounds that rise strictly, finite points for each, and a "
                f"label for each or none; got bounds {list(self.bounds)}, points {list(self.points)}, labels "
                f"{list(self.labels)}, points of a missing value {self.missing}."
            )
        object.__setattr__(self, "_table", np.array(self.points))

    def evaluate(self, values: Array) -> Array:
        """Points of values of shape (n,); NaN where missing has none."""
        points = self._table[np.minimum(self.edge.band(np.array(self.bounds), values), len(self.bounds))]
        points[np.isnan(values)] = np.nan if self.missing is None else self.missing
        return points


def points_range(curve: "Curve") -> tuple[float, float]:
    """Fewest and most points that a value (not a missing one) can get."""
    given = list(curve.points.values() if isinstance(curve, CategoryCurve) else curve.points)
    if isinstance(curve, CategoryCurve) and curve.other is not None:
        given.append(curve.other)
    if isinstance(curve, LinearCurve) and curve.outside is not None:
        given.append(curve.outside)
    return min(given), max(given)


Curve = LinearCurve | CategoryCurve | BandCurve


def direction_of(curve: "Curve") -> int:
    """+1 where points never fall as a number rises, -1 where they never rise, 0 else or where flat."""
    if isinstance(curve, CategoryCurve) or (isinstance(curve, LinearCurve) and curve.outside is not None):
        return 0
    steps = np.diff(curve.points)
    return 0 if not steps.any() else int(np.all(steps >= 0)) - int(np.all(steps <= 0))


def pieces_of(curve: LinearCurve | BandCurve) -> list[tuple[float, float]]:
    """Ends of the ranges of a number that a curve tells apart, lowest first; the outer ones are open."""
    inner = curve.bounds if isinstance(curve, BandCurve) else curve.x
    return list(pairwise([-np.inf, *inner, np.inf]))


def piece_codes(curve: LinearCurve | BandCurve, values: Array) -> NDArray[np.intp]:
    """Position among `pieces_of` the curve of values of shape (n,); -1 where missing."""
    if isinstance(curve, BandCurve):
        codes = curve.edge.band(np.array(curve.bounds), values)
    else:
        codes = np.searchsorted(np.array(curve.x), values, side="right")
    return np.where(np.isnan(values), -1, codes)
