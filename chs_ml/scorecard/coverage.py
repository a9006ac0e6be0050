"""Coverage: how much of a card's weight rests on values that count. The one home of that idea."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chs_ml.curves import CategoryCurve
from chs_ml.scorecard.rules import StaleRule

if TYPE_CHECKING:
    from chs_ml.scorecard.card import Scorecard

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def counted(card: "Scorecard", values: Array) -> Mask:
    """Which measures have a value that counts, of shape (n, k), in an encoded matrix of shape (n, columns).

    A missing value does not, even where it has points of its own; nor does a category that the card does not
    name, nor a value that was dropped as stale.
    """
    has = np.empty((len(values), len(card.measures)), dtype=bool, order="F")
    for k, measure in enumerate(card.measures):
        has[:, k] = ~np.isnan(values[:, k])
        if isinstance(measure.curve, CategoryCurve) and measure.curve.other is None:
            has[:, k] &= values[:, k] != measure.column.unseen_code
        if measure.staleness is not None and measure.staleness.rule is StaleRule.DROP:
            has[:, k] &= ~measure.staleness.is_stale(card.age(values, k))
    return has


def covered(card: "Scorecard", has: Mask) -> Array:
    """Share of weight, of shape (n,), 0 to 1, of the measures that count, of shape (n, k)."""
    share = np.zeros(len(has))
    for k, weight in enumerate(card.weights.tolist()):
        share += weight * has[:, k]
    return share


def stale_remarks(card: "Scorecard", values: Array) -> list[tuple[str, Mask]]:
    """Per ageing measure what is said of rows whose value is stale, and which they are, of shape (n,)."""
    found = []
    for k, measure in enumerate(card.measures):
        if measure.staleness is not None:
            old = measure.staleness.is_stale(card.age(values, k)) & ~np.isnan(values[:, k])
            found.append((f"{measure.staleness.remark}: {measure.metric.name}", old))
    return found
