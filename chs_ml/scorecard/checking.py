"""What a scorecard must keep to be one."""

from typing import TYPE_CHECKING

import numpy as np

from chs_ml.curves import points_range
from chs_ml.errors import ScorecardError, first_few, nearest
from chs_ml.scorecard.measure import group_members, raw_weights
from chs_ml.scorecard.missing import MissingRule
from chs_ml.scorecard.rules import ANY, Combine

if TYPE_CHECKING:
    from chs_ml.scorecard.card import Scorecard


def check_card(card: "Scorecard") -> None:
    """Refuse a card that cannot score; says which rule it breaks.

    Raises
    ------
    ScorecardError
        Names the card, the rule and what was found.
    """
    _check_weights(card)
    _check_numbers(card)
    _check_groups(card)
    _check_reach(card)
    bare = [m.metric.name for m in card.measures if m.curve.missing is None]
    if card.missing is MissingRule.OWN and bare:
        raise ScorecardError(
            f"With missing = 'own' every measure needs missing_points; these lack them: {', '.join(bare)}."
        )
    if card.combine is Combine.SUM and card.missing in (MissingRule.RENORMALISE, MissingRule.REDISTRIBUTE):
        raise ScorecardError(
            f"Scorecard {card.name!r} adds points up, so there is no weight to pass on: missing must be "
            f"'neutral', "
            f"'worst', 'own' or 'withhold'; got {str(card.missing)!r}."
        )
    names = [m.metric.name for m in card.measures]
    strangers = [limit.measure for limit in card.limits if limit.measure not in (ANY, *names)]
    if strangers:
        raise ScorecardError(
            f"A limit of scorecard {card.name!r} must name a measure or '*'; {first_few(strangers)} is none."
            f"{nearest(strangers[0], names)}"
        )


def _check_weights(card: "Scorecard") -> None:
    weights = [m.weight for m in card.measures]
    if not weights or min(weights) < 0 or not np.isfinite(weights).all() or sum(weights) <= 0:
        raise ScorecardError(
            f"The weights of scorecard {card.name!r} must be finite, not negative, and not all 0; got "
            f"{weights}."
        )


def _check_reach(card: "Scorecard") -> None:
    raw = raw_weights(card.measures, card.groups)
    if card.combine is Combine.SUM:
        raw = raw * np.array([np.subtract(*points_range(m.curve)[::-1]) for m in card.measures])
    if not raw.sum() > 0:
        raise ScorecardError(
            f"Scorecard {card.name!r} gives every account the same score: no measure moves it."
        )


def _check_numbers(card: "Scorecard") -> None:
    low, high = -np.inf if card.low is None else card.low, np.inf if card.high is None else card.high
    if not (np.isfinite(card.top) and card.top > 0 and low < high and np.isfinite(card.start)):
        raise ScorecardError(
            f"Scorecard {card.name!r} must have a top above 0, a low below its high and a finite start; "
            f"got top "
            f"{card.top}, low {card.low}, high {card.high}, start {card.start}."
        )
    if not (0.0 <= card.coverage_floor <= 1.0 and np.isfinite(card.neutral_points)):
        raise ScorecardError(
            f"Scorecard {card.name!r} must have a coverage_floor from 0 to 1 and finite neutral points; got "
            f"{card.coverage_floor} and {card.neutral}."
        )
    if card.start and card.combine is Combine.MEAN:
        raise ScorecardError(
            f"Scorecard {card.name!r} is a mean, which has no start; combine = 'sum' adds up."
        )


def _check_groups(card: "Scorecard") -> None:
    known = group_members(card.measures)
    names = [g.name for g in card.groups]
    strangers = [name for name in names if name not in known]
    if strangers or len(set(names)) < len(names):
        hint = nearest(strangers[0], known) if strangers else ""
        raise ScorecardError(
            f"The groups of scorecard {card.name!r} must be groups of its measures, each once; got "
            f"{first_few(names, limit=12)}, its measures have {first_few(known, limit=12)}.{hint}"
        )
    weighted = [g.name for g in card.groups if g.weight is not None]
    if weighted and (set(weighted) != set(known) or card.combine is Combine.SUM):
        raise ScorecardError(
            f"In scorecard {card.name!r} either every group has a weight or none, and a sum has none; "
            f"those with a "
            f"weight: {first_few(weighted)}, groups: {first_few(known)}."
        )
    ranged = [g.name for g in card.groups if g.low is not None or g.high is not None]
    if ranged and card.combine is Combine.MEAN:
        raise ScorecardError(
            f"In scorecard {card.name!r} groups have a low or high, which only a sum can keep: "
            f"{first_few(ranged)}."
        )
