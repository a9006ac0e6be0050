"""The rules around the sum: groups, staleness, caps and floors, schemes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chs_ml.curves import Edge
from chs_ml.errors import ScorecardError
from chs_ml.values import labelled

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ANY = "*"
"""Stands for any measure of the card."""


class Combine(StrEnum):
    """How points become a score."""

    MEAN = "mean"
    """Weighted mean."""
    SUM = "sum"
    """Plus and minus points on top of a start, clipped to the card's range."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """A group of measures.

    Attributes
    ----------
    name : str
        As the measures say it.
    weight : float, optional
        Share of the group, any number >= 0, in a weighted mean; None: the sum of its measures' weights.
    low, high : float, optional
        Fewest and most points that the group may add, in a sum.
    largest_share : float, optional
        Most of the score, 0-1, that learned weights may give it.
    """

    name: str
    weight: float | None = None
    low: float | None = None
    high: float | None = None
    largest_share: float | None = None

    def __post_init__(self) -> None:
        if self.weight is not None and not (np.isfinite(self.weight) and self.weight >= 0):
            raise ScorecardError(
                f"The weight of group {self.name!r} must be finite and not negative; got {self.weight}."
            )
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ScorecardError(
                f"The low of group {self.name!r} must not exceed its high; got {self.low}, {self.high}."
            )


class StaleRule(StrEnum):
    """What an old value does."""

    FLAG = "flag"
    """It counts as before and the row says that it is stale."""
    DECAY = "decay"
    """Its points move in a straight line to the neutral points."""
    DROP = "drop"
    """It counts as missing."""


@dataclass(frozen=True, kw_only=True)
class Staleness:
    """How long a value holds.

    Attributes
    ----------
    date : str
        Column with the day on which the value was taken. A value without a day counts as fresh.
    after : float
        Days for which it holds; on day `after` it still does.
    rule : StaleRule
        What happens then.
    decay_days : float
        Days from the end of validity to neutral, where it decays.
    """

    date: str
    after: float
    rule: StaleRule = StaleRule.FLAG
    decay_days: float = 0.0

    def __post_init__(self) -> None:
        if not (self.after >= 0 and (self.rule is not StaleRule.DECAY or self.decay_days > 0)):
            raise ScorecardError(
                "stale_after must be 0 or more days, and decay needs decay_days above 0; got "
                f"stale_after {self.after:g}, decay_days {self.decay_days:g}."
            )

    @property
    def remark(self) -> str:
        """What is said of a stale value."""
        return {
            StaleRule.FLAG: "stale",
            StaleRule.DECAY: "stale, decayed",
            StaleRule.DROP: "stale, dropped",
        }[self.rule]

    def is_stale(self, age: Array) -> Mask:
        """Whether values of this age in days, of shape (n,), are stale."""
        return np.asarray(age > self.after)

    def aged(self, points: Array, age: Array, *, neutral: float, absent: float) -> Array:
        """Points of shape (n,) of values of this age in days; `absent` are those of a missing value."""
        if self.rule is StaleRule.FLAG:
            return points
        stale = self.is_stale(age)
        if self.rule is StaleRule.DROP:
            return np.where(stale, absent, points)
        left = np.clip(1.0 - (age - self.after) / self.decay_days, 0.0, 1.0)
        return np.where(stale, neutral + (points - neutral) * left, points)


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A cap or a floor on the score that one measure triggers.

    Attributes
    ----------
    measure : str
        Name of the measure, or ``*`` for any.
    points_at_most, points_at_least : float, optional
        The measure's points that trigger it; exactly one is given. A missing value never does.
    score_at_most, score_at_least : float, optional
        Where the score is held then, in the card's own points; exactly one is given.
    """

    measure: str
    points_at_most: float | None = None
    points_at_least: float | None = None
    score_at_most: float | None = None
    score_at_least: float | None = None

    def __post_init__(self) -> None:
        triggers = (self.points_at_most, self.points_at_least)
        holds = (self.score_at_most, self.score_at_least)
        if sum(v is not None for v in triggers) != 1 or sum(v is not None for v in holds) != 1:
            raise ScorecardError(
                f"A limit on {self.measure!r} must have one of points_at_most, points_at_least and one of "
                "score_at_most, score_at_least."
            )

    def triggered(self, points: Array) -> Mask:
        """Whether points of shape (n,) trigger it."""
        if self.points_at_most is not None:
            return np.asarray(points <= self.points_at_most)
        return np.asarray(points >= (np.inf if self.points_at_least is None else self.points_at_least))

    def apply(self, score: Array, points: Array) -> Array:
        """Hold scores of shape (n,) where the measure's points trigger it."""
        if self.score_at_most is not None:
            held = np.minimum(score, self.score_at_most)
        else:
            held = np.maximum(score, self.score_at_least if self.score_at_least is not None else -np.inf)
        return np.where(self.triggered(points), held, score)


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """Names for ranges of the score: colours, letters.

    Attributes
    ----------
    labels : tuple of str
        Worst first, at least two, distinct.
    bounds : tuple of float
        Between the labels, in the card's own points, strictly increasing: one fewer than labels.
    edge : Edge
        Which label a bound belongs to.
    """

    labels: tuple[str, ...]
    bounds: tuple[float, ...]
    edge: Edge

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.bounds, self.bounds[1:], strict=False))
        distinct = len(set(self.labels)) == len(self.labels) == len(self.bounds) + 1 >= 2
        if not (rising and distinct and np.all(np.isfinite(self.bounds))):
            raise ScorecardError(
                "A scheme must be at least two distinct labels, worst first, with bounds that rise "
                "strictly; got "
                f"labels {list(self.labels)}, bounds {list(self.bounds)}."
            )

    def assign(self, score: Array) -> Any:
        """Labels of scores of shape (n,), as a text column; missing where there is no score."""
        codes = self.edge.band(np.array(self.bounds), score)
        return labelled(self.labels, np.where(np.isnan(score), -1, codes))
