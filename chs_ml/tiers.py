"""Tiers of health: Healthy, At-Risk, Critical, with bounds that are inclusive below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.errors import RecipeError


@dataclass(frozen=True)
class Tiers:
    """Named tiers, healthiest first, each with its lower bound on the health score.

    Parameters
    ----------
    names : tuple of str
        Healthiest first.
    lower_bounds : tuple of float
        Health score from which a tier holds (inclusive), strictly decreasing, the last one 0.
    """

    names: tuple[str, ...] = ("Healthy", "At-Risk", "Critical")
    lower_bounds: tuple[float, ...] = (75.0, 50.0, 0.0)

    def __post_init__(self) -> None:
        bounds = self.lower_bounds
        falling = all(upper > lower for upper, lower in pairwise(bounds))
        distinct = len(set(self.names)) == len(self.names) == len(bounds) >= 2
        if not (distinct and falling and bounds[-1] == 0.0 and bounds[0] < 100.0):
            raise RecipeError(
                "Tiers must be at least two distinct names, healthiest first, with lower bounds that fall "
                f"from below 100 to exactly 0; got {dict(zip(self.names, bounds, strict=False))}."
            )

    @classmethod
    def from_bounds(cls, bounds: Mapping[str, float]) -> Tiers:
        """Make tiers from ``{name: lower bound}`` in any order."""
        ordered = sorted(bounds.items(), key=lambda item: -item[1])
        return cls(tuple(name for name, _ in ordered), tuple(float(bound) for _, bound in ordered))

    def codes(self, score: NDArray[np.float64]) -> NDArray[np.intp]:
        """Position of the tier of scores of shape (n,), 0 = healthiest; -1 where the score is NaN."""
        ascending = np.asarray(self.lower_bounds[::-1])
        codes = len(ascending) - np.searchsorted(ascending, score, side="right")
        return np.where(np.isnan(score), -1, np.clip(codes, 0, len(ascending) - 1))

    def named(self, codes: NDArray[np.intp]) -> pd.Categorical[Any]:
        """Ordered tiers of positions of shape (n,), healthiest first; -1 is missing."""
        kind: Any = pd.CategoricalDtype(list(self.names), ordered=True)
        return pd.Categorical.from_codes(codes, dtype=kind)

    def assign(self, score: NDArray[np.float64]) -> pd.Categorical[Any]:
        """Cut scores into tiers.

        Parameters
        ----------
        score : ndarray of shape (n,)
            Published health scores, 0-100; NaN (withheld or invalid) has no tier.

        Returns
        -------
        Categorical of length n
            Ordered, healthiest first; missing where the score is.
        """
        return self.named(self.codes(score))
