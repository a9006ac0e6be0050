"""One line of a scorecard: a metric, what its values are worth, and how much it counts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chs_ml.curves import Curve, points_range
from chs_ml.inputs import InputColumn
from chs_ml.metric import Metric
from chs_ml.scorecard.rules import Group, Staleness

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One line of a scorecard.

    Attributes
    ----------
    column : InputColumn
        The metric it measures and how its values are read.
    curve : Curve
        Value to points; 0-100 in a learned card.
    weight : float
        Any number >= 0. In a weighted mean the card normalises; in a sum it multiplies the points.
    staleness : Staleness, optional
        How long a value holds; None: for ever.
    """

    column: InputColumn
    curve: Curve
    weight: float
    staleness: Staleness | None = None

    @property
    def metric(self) -> Metric:
        """The metric it measures."""
        return self.column.metric

    @property
    def span(self) -> float:
        """Points between its worst and its best value."""
        low, high = points_range(self.curve)
        return high - low


def group_members(measures: tuple[Measure, ...]) -> dict[str, tuple[int, ...]]:
    """Positions of the measures of each group, in order of first appearance."""
    members: dict[str, tuple[int, ...]] = {}
    for k, measure in enumerate(measures):
        name = measure.metric.group
        members[name] = (*members.get(name, ()), k)
    return members


def raw_weights(measures: tuple[Measure, ...], groups: tuple[Group, ...]) -> Array:
    """Weights of shape (k,), not normalised, with the weights of groups spread over their measures."""
    weights = np.array([m.weight for m in measures])
    given = {g.name: g.weight for g in groups if g.weight is not None}
    if not given:
        return weights
    for name, members in group_members(measures).items():
        positions = list(members)
        inside = float(weights[positions].sum())
        weights[positions] *= given[name] / inside if inside > 0 else 0.0
    return weights
