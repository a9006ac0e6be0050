"""Tiers learned from data: for what the team can call, or for churn rates one wants to promise."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chs_ml.errors import NotEnoughData, RecipeError
from chs_ml.tiers import Tiers
from chs_ml.validation.brier import isotonic
from chs_ml.validation.result import Array


def tiers_for_capacity(
    score: Array, *, capacities: Sequence[int], names: Sequence[str] = Tiers().names
) -> Tiers:
    """Cut scores so that the less healthy tiers hold as many accounts as the team can serve.

    Parameters
    ----------
    score : ndarray of shape (n,)
        Health scores, 0-100; missing ones are left out.
    capacities : sequence of int
        Accounts for each tier but the healthiest, least healthy first: ``[50, 200]`` makes about 50
        Critical and about 200 At-Risk. Ties are never split: a tier holds fewer rather than more.
    names : sequence of str
        One more than capacities, healthiest first.
    """
    known = np.sort(score[~np.isnan(score)])
    if len(names) != len(capacities) + 1:
        raise RecipeError(
            f"There must be one name more than capacities; got {len(names)} names and {len(capacities)} "
            "capacities (all tiers but the healthiest have one)."
        )
    ends = np.cumsum(capacities)
    if min(capacities) < 1 or ends[-1] >= len(known):
        raise RecipeError(
            f"Capacities must be at least 1 and leave accounts for {names[0]}; got {list(capacities)} of "
            f"{len(known)} accounts."
        )
    return _tiers(names, [float(known[end]) for end in ends])


def tiers_for_rates(
    churned: Array,
    *,
    score: Array,
    healthy_at_most: float,
    critical_at_least: float,
    probability: Array | None = None,
    names: Sequence[str] = Tiers().names,
) -> Tiers:
    """Cut scores so that the outer tiers have the churn rates one wants.

    Healthy becomes the largest healthiest set whose mean churn stays at or below `healthy_at_most`;
    Critical the largest least healthy set whose mean churn reaches `critical_at_least`. Rates are mean
    probabilities where they are given, else outcomes smoothed by isotonic regression on the score (on
    few accounts that flatters: certify, or validate on other rows).

    Parameters
    ----------
    churned : ndarray of shape (n,)
        1.0 or 0.0.
    score : ndarray of shape (n,)
        Health scores, 0-100.
    healthy_at_most, critical_at_least : float
        Wanted churn rates, the first below the second.
    probability : ndarray of shape (n,), optional
        Churn probabilities.
    names : sequence of three str
        Healthiest first.

    Raises
    ------
    NotEnoughData
        Where no set of accounts has such a churn rate.
    """
    if not 0.0 < healthy_at_most < critical_at_least < 1.0:
        raise RecipeError(
            "healthy_at_most must lie below critical_at_least, both between 0 and 1; got "
            f"{healthy_at_most!r} and {critical_at_least!r}."
        )
    risk = isotonic(-score, churned) if probability is None else probability
    order = np.argsort(-score, kind="stable")
    ordered, risks = score[order], risk[order]
    sizes = np.arange(1, len(score) + 1)
    ends = np.r_[ordered[1:] != ordered[:-1], True]  # ties are never split
    starts = np.r_[True, ends[:-1]]
    healthy = np.flatnonzero(ends & (np.cumsum(risks) / sizes <= healthy_at_most))
    from_below = np.cumsum(risks[::-1])[::-1] / sizes[::-1]
    critical = np.flatnonzero(starts & (from_below >= critical_at_least))
    _check_found(healthy, critical, ordered)
    return _tiers(names, [float(ordered[critical[0] - 1]), float(ordered[healthy[-1]])])


def _check_found(healthy: NDArray[np.intp], critical: NDArray[np.intp], ordered: Array) -> None:
    if len(healthy) == 0 or len(critical) == 0:
        which = "the healthiest accounts churn more" if len(healthy) == 0 else "the least healthy churn less"
        raise NotEnoughData(f"No tiers have these churn rates: {which} than wanted. Ask for other rates.")
    if ordered[healthy[-1]] <= ordered[critical[0] - 1]:
        raise NotEnoughData(
            "No accounts are left between the tiers: the wanted churn rates lie too close together."
        )


def _tiers(names: Sequence[str], bounds: Sequence[float]) -> Tiers:
    """Tiers from rising bounds of all tiers but the least healthy."""
    rising = [*bounds]
    if any(b <= a for a, b in zip([0.0, *rising], rising, strict=False)) or rising[-1] >= 100.0:
        raise NotEnoughData(
            f"The score has too few distinct values between the tiers: bounds would be {rising}. Ask for "
            "fewer tiers or other sizes."
        )
    return Tiers(tuple(names), (*rising[::-1], 0.0))
