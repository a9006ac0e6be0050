"""Sums over measures, column by column in a fixed order, that stay the sum of their parts."""

import numpy as np
from numpy.typing import NDArray

from chs_ml.scorecard.measure import Measure, group_members
from chs_ml.scorecard.rules import Group

Array = NDArray[np.float64]


def column_sum(columns: Array) -> Array:
    """Sum over the columns of a matrix of shape (n, k), one after the other.

    A fixed order of additions gives one row alone the same bits as the same row among a million.
    """
    total = np.zeros(len(columns))
    for k in range(columns.shape[1]):
        total += columns[:, k]
    return total


def added_points(points: Array, measures: tuple[Measure, ...], groups: tuple[Group, ...]) -> Array:
    """Weighted points of shape (n, k) of a sum, each group held inside its range; missing adds nothing."""
    weighted = np.empty(points.shape, order="F")
    for k, measure in enumerate(measures):
        weighted[:, k] = measure.weight * np.nan_to_num(points[:, k])
    ranges = {g.name: g for g in groups if g.low is not None or g.high is not None}
    for name, members in group_members(measures).items():
        if name in ranges:
            inside = weighted[:, list(members)]
            weighted[:, list(members)] = spread(inside, _ranged(column_sum(inside), ranges[name]))
    return weighted


def _ranged(total: Array, group: Group) -> Array:
    low = -np.inf if group.low is None else group.low
    return np.clip(total, low, np.inf if group.high is None else group.high)


def spread(weighted: Array, target: Array) -> Array:
    """Change rows of shape (n, k) so that they sum to the target of shape (n,).

    The difference is shared out in proportion to the absolute size of the parts (equally, where all are
    0), so that a score that was clipped or held still is the sum of its parts.
    """
    total, size = np.zeros(len(weighted)), np.zeros(len(weighted))
    for column in weighted.T:
        total += column
        size += np.abs(column)
    gap = target - total
    k = weighted.shape[1]
    shares = [np.where(size > 0, np.abs(c) / np.where(size > 0, size, 1.0), 1.0 / k) for c in weighted.T]
    changed = [
        column + np.where(gap == 0.0, 0.0, gap * share)
        for column, share in zip(weighted.T, shares, strict=True)
    ]
    return np.column_stack(changed)
