"""Risk becomes health here, and nowhere else.

Up to the calibrated margin everything speaks risk (log-odds of churn, larger = likelier to churn);
from the health scale on, everything speaks health (0-100, larger = healthier).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

Array = NDArray[np.float64]

PROBABILITY_DECIMALS = 12
SCORE_DECIMALS = 9
_SMALLEST_PROBABILITY = 10.0**-PROBABILITY_DECIMALS
_SMALLEST_SCORE = 10.0**-SCORE_DECIMALS


def churn_probability(margin: Array) -> Array:
    """Turn a margin into the published churn probability.

    Parameters
    ----------
    margin : ndarray of shape (n,)
        Calibrated log-odds of churn.

    Returns
    -------
    ndarray of shape (n,)
        In (0, 1), rounded to 12 decimals, never exactly 0 or 1.
    """
    inside = np.clip(expit(margin), _SMALLEST_PROBABILITY, 1.0 - _SMALLEST_PROBABILITY)
    return np.asarray(np.round(inside, PROBABILITY_DECIMALS))


def published_score(score: Array) -> Array:
    """Round a health score of shape (n,) once, for publication, to 9 decimals."""
    return np.round(score, SCORE_DECIMALS)


def _never_the_ends(score: Array) -> Array:
    """Keep a score inside (0, 100), where floating point or rounding would put it on a wall."""
    return np.clip(score, _SMALLEST_SCORE, 100.0 - _SMALLEST_SCORE)


class HealthScale(Protocol):
    """A strictly decreasing map from margin to health score."""

    name: str

    def score(self, margin: Array) -> Array:
        """Health score in [0, 100], larger = healthier."""

    def slope(self, margin: Array) -> Array:
        """Derivative of the score by the margin, negative."""


@dataclass(frozen=True)
class AnchoredScale:
    """Health score straight in log-odds, anchored at a base rate.

    The base rate sits at 62.5 and every doubling of the churn odds costs 12.5 points, so that points
    mean the same everywhere and Healthy (>= 75) means at most half the base odds. Linear between 15
    and 85; beyond, the score approaches but never reaches the ends: ``100 - 15 exp(-(s - 85) / 15)``
    above, mirrored below, so that ranking survives.

    Parameters
    ----------
    base_rate : float
        Churn rate at the anchor, in (0, 1). It survives retraining unless it is moved on purpose.
    """

    base_rate: float
    name = "anchored"

    ANCHOR = 62.5
    POINTS_PER_DOUBLING = 12.5
    BEND = 15.0

    def __post_init__(self) -> None:
        if not 0.0 < self.base_rate < 1.0:
            raise ValueError(f"base_rate must lie in (0, 1), got {self.base_rate!r}.")

    def score(self, margin: Array) -> Array:
        """Health score in (0, 100) of a margin of shape (n,)."""
        straight = self._straight(margin)
        bend = self.BEND
        above = 100.0 - bend * np.exp(-np.maximum(straight - (100.0 - bend), 0.0) / bend)
        below = bend * np.exp(np.minimum(straight - bend, 0.0) / bend)
        score = np.where(straight > 100.0 - bend, above, np.where(straight < bend, below, straight))
        return _never_the_ends(score)

    def slope(self, margin: Array) -> Array:
        """Points per unit of log-odds at a margin of shape (n,); negative."""
        straight = self._straight(margin)
        bend = self.BEND
        outside = np.maximum(np.maximum(straight - (100.0 - bend), bend - straight), 0.0)
        return -self._points_per_logit * np.exp(-outside / bend)

    def _straight(self, margin: Array) -> Array:
        return self.ANCHOR - self._points_per_logit * (margin - float(logit(self.base_rate)))

    @property
    def _points_per_logit(self) -> float:
        return self.POINTS_PER_DOUBLING / float(np.log(2.0))


@dataclass(frozen=True)
class RetentionScale:
    """Health score = 100 x (1 - churn probability): the chance, in percent, that the account stays."""

    name = "retention"

    def score(self, margin: Array) -> Array:
        """Health score in (0, 100) of a margin of shape (n,)."""
        return _never_the_ends(100.0 * expit(-margin))

    def slope(self, margin: Array) -> Array:
        """Points per unit of log-odds at a margin of shape (n,); negative."""
        return np.asarray(-100.0 * expit(margin) * expit(-margin))


@dataclass(frozen=True)
class NativeScale:
    """A handcrafted card's own points: its margin is ``intercept - points * score``, its score its points.

    Parameters
    ----------
    intercept : float
        Margin at a score of 0; 0 by default, where the margin is minus the points.
    points : float
        Log-odds of churn that one point takes off, > 0; 1 by default.
    """

    intercept: float = 0.0
    points: float = 1.0
    name = "native"

    def __post_init__(self) -> None:
        if not self.points > 0:
            raise ValueError(f"points must be above 0, got {self.points!r}.")

    def score(self, margin: Array) -> Array:
        """Health score in [0, 100] of a margin of shape (n,)."""
        return (self.intercept - margin) / self.points

    def slope(self, margin: Array) -> Array:
        """The same everywhere, negative."""
        return np.full_like(margin, -1.0 / self.points)
