"""Missing-value policies: what a measure without a value does to the score, each exact and named."""

from collections.abc import Iterable
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GroupShares = tuple[tuple[float, tuple[tuple[int, float], ...]], ...]
"""Per group its share of the score, and the (position, share inside the group) of its measures."""


class MissingRule(StrEnum):
    """What a missing value does to the score. A measure's own ``missing_points`` win over every rule."""

    RENORMALISE = "renormalise"
    """The measure drops out and the weights of all others are scaled up to sum to 1."""
    REDISTRIBUTE = "redistribute"
    """Its weight goes to the others of its group, in proportion; that of an all-missing group to the other
    groups.
    """
    NEUTRAL = "neutral"
    """It gets the card's neutral points."""
    WORST = "worst"
    """It gets the fewest points that a value of the measure can get."""
    OWN = "own"
    """A missing value has points of its own."""
    WITHHOLD = "withhold"
    """As renormalise, and the score is withheld below the coverage floor (100 % unless the card says
    less).
    """

    @property
    def drops(self) -> bool:
        """Whether a measure without points leaves the sum, so that the others count more."""
        return self in (MissingRule.RENORMALISE, MissingRule.REDISTRIBUTE, MissingRule.WITHHOLD)


def weighted_sums(parts: Iterable[tuple[float, Array]], n: int) -> tuple[Array, Array]:
    """Sum of share x points, and of the shares of what is there, of shape (n,), one part after the other."""
    total, present = np.zeros(n), np.zeros(n)
    for share, points in parts:
        has = ~np.isnan(points)
        if has.all():
            total += share * points
            present += share
        else:
            total += share * np.where(has, points, 0.0)
            present += share * has
    return total, present


def mean_over_present(points: Array, shares: Array) -> Array:
    """Weighted mean, of shape (n,), of the points of shape (n, k) that are there; NaN where none is."""
    total, present = weighted_sums(zip(shares.tolist(), points.T, strict=True), len(points))
    return total / np.where(present > 0, present, np.nan)


def mean_over_groups(points: Array, groups: GroupShares) -> Array:
    """Mean of group means of shape (n,), each over what is present; NaN where all are missing."""
    n = len(points)
    total, present = np.zeros(n), np.zeros(n)
    for group_share, members in groups:
        inside, known = weighted_sums(((share, points[:, k]) for k, share in members), n)
        has = known > 0
        total += group_share * (inside / np.where(has, known, 1.0))
        present += group_share * has
    return total / np.where(present > 0, present, np.nan)


def shares_over_present(points: Array, shares: Array) -> Array:
    """What each measure counts per row, of shape (n, k); rows sum to 1, NaN where nothing is known."""
    counted = np.empty(points.shape, order="F")
    present = np.zeros(len(points))
    for k, share in enumerate(shares):
        counted[:, k] = share * ~np.isnan(points[:, k])
        present += counted[:, k]
    counted /= np.where(present > 0, present, np.nan)[:, None]
    return counted


def shares_over_groups(points: Array, groups: GroupShares) -> Array:
    """As `shares_over_present`, with a missing measure's share going to its own group first."""
    counted, present = np.zeros(points.shape, order="F"), np.zeros(len(points))
    for group_share, members in groups:
        known = np.zeros(len(points))
        for k, share in members:
            counted[:, k] = share * ~np.isnan(points[:, k])
            known += counted[:, k]
        has = known > 0
        present += group_share * has
        for k, _ in members:
            counted[:, k] *= group_share / np.where(has, known, 1.0)
    counted /= np.where(present > 0, present, np.nan)[:, None]
    return counted
