"""Learned weights written back into the card that they came from."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chs_ml.card_learning.rounding import capped
from chs_ml.scorecard import DIALECTS, Combine, Group, Scorecard
from chs_ml.scorecard.measure import group_members

Array = NDArray[np.float64]


def with_shares(card: Scorecard, shares: Sequence[float] | Array, *, name: str = "") -> Scorecard:
    """The card with other weights: measures, ranges, groups and rules stay.

    Parameters
    ----------
    card : Scorecard
        The form.
    shares : sequence of k float
        New share of each measure, any numbers >= 0, not all 0. In a sum they are shares of the reach, and the
        ranges of groups are moved with the reach of their measures.
    name : str
        Name of the new card; the old one where empty.
    """
    new = np.asarray(shares, dtype=np.float64)
    if card.combine is Combine.SUM:
        changed = _sum_with(card, new / new.sum())
    else:
        groups = tuple(_weighted(g, card, new) for g in card.groups)
        measures = tuple(replace(m, weight=float(s)) for m, s in zip(card.measures, new, strict=True))
        changed = replace(card, measures=measures, groups=groups)
    changed = replace(changed, name=name or card.name)
    refused = changed.dialect in DIALECTS and DIALECTS[changed.dialect].check(changed) != ""
    return replace(changed, dialect="") if refused else changed


def in_form(
    card: Scorecard, log_odds: Array, *, prior: Array, caps: Mapping[str, float], name: str = ""
) -> Scorecard:
    """The card with weights in proportion to log-odds of shape (k,), groups held to their caps.

    Where no log-odds are above 0 the prior stands.
    """
    shares = log_odds / log_odds.sum() if log_odds.sum() > 0 else prior
    return with_shares(card, capped(shares, [m.metric.group for m in card.measures], caps), name=name)


def _weighted(group: Group, card: Scorecard, shares: Array) -> Group:
    if group.weight is None:
        return group
    inside = float(sum(shares[k] for k in group_members(card.measures)[group.name]))
    return replace(group, weight=inside)


def _sum_with(card: Scorecard, shares: Array) -> Scorecard:
    reach = np.array([m.weight * m.span for m in card.measures])
    new_reach = shares * reach.sum()
    measures = tuple(
        replace(m, weight=float(r / m.span) if m.span > 0 else m.weight)
        for m, r in zip(card.measures, new_reach, strict=True)
    )
    members = group_members(card.measures)
    factors = {name: _ratio(new_reach[list(at)].sum(), reach[list(at)].sum()) for name, at in members.items()}
    groups = [_ranged(g, factors[g.name]) for g in card.groups]
    before = sum(g.high for g in card.groups if g.high is not None)
    after = sum(g.high for g in groups if g.high is not None)
    if before > 0 and after > 0:  # what groups can give at most stays what it was
        groups = [_ranged(g, before / after) for g in groups]
    return replace(card, measures=measures, groups=tuple(groups))


def _ratio(new: float, old: float) -> float:
    return float(new / old) if old > 0 else 1.0


def _ranged(group: Group, factor: float) -> Group:
    low = None if group.low is None else group.low * factor
    return replace(group, low=low, high=None if group.high is None else group.high * factor)
