"""One measure's scoring ranges fitted again: few, monotone in the card's direction, with readable ends.

The log loss is replaced by its parabola around the current score (a Newton step), in which every choice of
ends is a small non-negative quadratic programme. Ends come from round numbers near quantiles and from the
card itself; each one must lower the log loss by `COST` (Akaike's price of an end and a level).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from chs_ml.card_learning.rounding import roundest
from chs_ml.curves import BandCurve, Edge, LinearCurve, direction_of
from chs_ml.weights import nonnegative_minimum

Array = NDArray[np.float64]

COST = 2.0
STEPS = 2
FEW_VALUES = 9
"""A measure with at most this many distinct values may change its points at each."""
MOST_ENDS = 4
POOL = 8
POINT_STEPS = 20
"""Learned points are multiples of a twentieth of what the measure can reach."""
RIDGE = 1e-2
BAND_LEVELS = tuple(np.arange(0.1, 0.95, 0.1).tolist())
KNOT_LEVELS = (0.03, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 0.97)


@dataclass(frozen=True)
class Seen:
    """What one measure is fitted on: rows on which it has a value.

    Attributes
    ----------
    values, churned : ndarray of shape (n,)
        Its values and the outcomes.
    others : ndarray of shape (n,)
        Log-odds of churn as the rest of the card has them.
    own : ndarray of shape (n,)
        What the measure adds to them now.
    """

    values: Array
    churned: Array
    others: Array
    own: Array


def refitted(curve: LinearCurve | BandCurve, seen: Seen) -> LinearCurve | BandCurve | None:
    """Ranges that fit the outcomes better, at most as many as before; None where they support none.

    Parameters
    ----------
    curve : LinearCurve or BandCurve
        The ranges as they are; must be monotone. Its best and worst points stay the best and the worst.
    seen : Seen
        Rows to fit on.
    """
    ends = np.array(_candidates(curve, seen.values))
    sign = direction_of(curve)
    if len(ends) < 2 or sign == 0:
        return None
    columns = _steps(ends, seen.values, curve) if isinstance(curve, BandCurve) else _ramps(ends, seen.values)
    own, found = seen.own, None
    for _ in range(STEPS):
        p = expit(seen.others + own)
        weight = np.maximum(p * (1.0 - p), 1e-4)
        centred = columns - weight @ columns / weight.sum()
        target = own + (seen.churned - p) / weight
        hessian = centred.T @ (centred * weight[:, None])
        gradient = -sign * centred.T @ (weight * target)
        best = _best(curve, ends, hessian, gradient)
        if best is None:
            return None
        chosen, rises = best
        maps = _map(curve, ends, chosen)
        level = float(weight @ target / weight.sum())
        own = level - sign * centred @ (maps @ rises)
        found = _written(curve, ends[list(chosen)], np.cumsum(rises), sign)
    return found


def _candidates(curve: LinearCurve | BandCurve, values: Array) -> list[float]:
    """Where ranges may end: round numbers near quantiles, and the card's own ends inside the data."""
    known = np.unique(values)
    banded = isinstance(curve, BandCurve)
    own = curve.bounds if isinstance(curve, BandCurve) else curve.x
    inside = [end for end in own if len(known) and known[0] < end < known[-1]]
    if len(known) <= FEW_VALUES:
        if isinstance(curve, BandCurve):
            known = known[:-1] if curve.edge is Edge.TOP else known[1:]
        return sorted({*known.tolist(), *inside})
    near = np.quantile(values, BAND_LEVELS if banded else KNOT_LEVELS)
    middles = [*((near[:-1] + near[1:]) / 2.0).tolist()]
    lows, highs = [float(near[0]), *middles], [*middles, float(near[-1])]
    said = {
        roundest(min(low, q), max(high, q), near=q)
        for low, high, q in zip(lows, highs, near.tolist(), strict=True)
    }
    return sorted({*said, *inside})


def _steps(ends: Array, values: Array, curve: BandCurve) -> Array:
    """Whether values lie above each end, of shape (n, c)."""
    above = values[:, None] > ends if curve.edge is Edge.TOP else values[:, None] >= ends
    return np.asarray(above, dtype=np.float64)


def _ramps(ends: Array, values: Array) -> Array:
    """How far values are from each end to the next, 0 to 1, of shape (n, c - 1)."""
    return np.clip((values[:, None] - ends[:-1]) / np.diff(ends), 0.0, 1.0)


def _map(curve: LinearCurve | BandCurve, ends: Array, chosen: tuple[int, ...]) -> Array:
    """How the columns of a few ends are made of those of all: of shape (columns, parts)."""
    if isinstance(curve, BandCurve):
        return np.eye(len(ends))[:, list(chosen)]
    lengths = np.diff(ends)
    maps = np.zeros((len(lengths), len(chosen) - 1))
    for part, (start, stop) in enumerate(pairwise(chosen)):
        maps[start:stop, part] = lengths[start:stop] / (ends[stop] - ends[start])
    return maps


def _best(
    curve: LinearCurve | BandCurve, ends: Array, hessian: Array, gradient: Array
) -> tuple[tuple[int, ...], Array] | None:
    """The ends worth their price, and how far points rise between them; None where none is."""
    best, worth = None, 0.0
    for chosen in _choices(curve, ends, hessian, gradient):
        maps = _map(curve, ends, chosen)
        inner, slope = maps.T @ hessian @ maps, maps.T @ gradient
        rises = nonnegative_minimum(inner + RIDGE * np.eye(len(inner)), slope)
        gain = float(slope @ rises - 0.5 * rises @ inner @ rises) - COST * len(rises)
        if gain > worth and np.all(rises > 0):
            best, worth = (chosen, rises), gain
    return best


def _choices(
    curve: LinearCurve | BandCurve, ends: Array, hessian: Array, gradient: Array
) -> Iterator[tuple[int, ...]]:
    if isinstance(curve, BandCurve):
        rises = nonnegative_minimum(hessian + RIDGE * np.eye(len(hessian)), gradient)
        pool = sorted(np.argsort(-rises, kind="stable")[:POOL].tolist())
        few, most = 1, min(len(curve.bounds), MOST_ENDS)
    else:
        pool, few, most = list(range(len(ends))), 2, min(len(curve.x), MOST_ENDS)
    for size in range(few, min(most, len(pool)) + 1):
        yield from combinations(pool, size)


def _written(
    curve: LinearCurve | BandCurve, ends: Array, rises: Array, sign: int
) -> LinearCurve | BandCurve | None:
    """The ranges in the card's own words; `rises` of shape (parts,) are cumulative."""
    low, high = min(curve.points), max(curve.points)
    share = np.round(np.concatenate([[0.0], rises / rises[-1]]) * POINT_STEPS) / POINT_STEPS
    points = np.round(low + (high - low) * (share if sign > 0 else 1.0 - share), 9)
    if isinstance(curve, LinearCurve):
        return replace(curve, x=tuple(ends.tolist()), points=tuple(points.tolist()))
    kept = np.flatnonzero(np.diff(points))  # bands that round to the same points are one
    return banded(curve, ends[kept], np.concatenate([points[kept], points[-1:]]))


def banded(curve: BandCurve, bounds: Array, points: Array) -> BandCurve:
    """Other bands, each named after the one of yours with the nearest points, where names stay distinct."""
    labels: tuple[str, ...] = ()
    if curve.labels:
        nearest = [int(np.argmin(np.abs(np.array(curve.points) - p))) for p in points]
        labels = tuple(curve.labels[i] for i in nearest) if len(set(nearest)) == len(nearest) else ()
    return replace(curve, bounds=tuple(bounds.tolist()), points=tuple(points.tolist()), labels=labels)


def in_words(learned: BandCurve, yours: BandCurve) -> BandCurve | None:
    """The bands with the nearest points that your card uses, for platforms that know no others."""
    allowed = np.array(sorted(set(yours.points)))
    points = np.array([allowed[np.argmin(np.abs(allowed - p))] for p in learned.points])
    kept = np.flatnonzero(np.diff(points))
    if not len(kept):
        return None
    return banded(yours, np.array(learned.bounds)[kept], np.concatenate([points[kept], points[-1:]]))
