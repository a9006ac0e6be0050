"""Scorecards to TOML, exact to the last digit; in the oldest format that can say what the card says."""

from dataclasses import fields
from typing import Any

import numpy as np
import tomli_w

from chs_ml.curves import BandCurve, CategoryCurve, LinearCurve
from chs_ml.scorecard.card import Scorecard
from chs_ml.scorecard.measure import Measure
from chs_ml.scorecard.missing import MissingRule
from chs_ml.scorecard.rules import Combine, StaleRule

_DEFAULTS = {f.name: f.default for f in fields(Scorecard)}


def card_text(card: Scorecard) -> str:
    """The card as TOML."""
    newer = _newer(card)
    head = {
        "format": 2 if newer or _needs_bands(card) else 1,
        "name": card.name,
        "missing": str(card.missing),
    }
    return tomli_w.dumps(
        {**head, **newer, "measures": {m.metric.name: measure_table(m) for m in card.measures}}
    )


def _needs_bands(card: Scorecard) -> bool:
    lines = card.measures
    old_rules = (MissingRule.RENORMALISE, MissingRule.OWN)
    return card.missing not in old_rules or any(
        isinstance(m.curve, BandCurve)
        or m.staleness is not None
        or m.column.source
        or (isinstance(m.curve, LinearCurve) and m.curve.outside is not None)
        for m in lines
    )


def _newer(card: Scorecard) -> dict[str, Any]:
    """What format 1 cannot say."""
    plain = ("dialect", "neutral", "coverage_floor", "start", "low", "high", "top")
    table: dict[str, Any] = {key: getattr(card, key) for key in plain if getattr(card, key) != _DEFAULTS[key]}
    if card.combine is not Combine.MEAN:
        table["combine"] = str(card.combine)
    if card.groups:
        table["groups"] = {g.name: _given(g, ("weight", "low", "high", "largest_share")) for g in card.groups}
    if card.limits:
        keys = ("points_at_most", "points_at_least", "score_at_most", "score_at_least")
        table["limits"] = [{"measure": limit.measure, **_given(limit, keys)} for limit in card.limits]
    if card.scheme is not None:
        scheme = card.scheme
        table["scheme"] = {
            "labels": list(scheme.labels),
            "bounds": list(scheme.bounds),
            "edge": str(scheme.edge),
        }
    # what the dialect leaves open must be said, also where it is what we would assume
    if card.dialect:
        table |= {"start": card.start} if card.combine is Combine.SUM else {}
        table |= {"edge": str(card.scheme.edge)} if card.dialect == "qualtrics" and card.scheme else {}
    return table


def _given(value: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: getattr(value, key) for key in keys if getattr(value, key) is not None}


def measure_table(measure: Measure) -> dict[str, Any]:
    """One measure as a table of plain values."""
    metric, curve, column = measure.metric, measure.curve, measure.column
    table: dict[str, Any] = {
        "group": metric.group,
        "kind": str(metric.kind),
        "direction": str(metric.direction),
    }
    table |= {key: getattr(metric, key) for key in ("label", "unit") if getattr(metric, key)}
    table |= {"column": column.source} if column.source else {}
    table |= {} if metric.required else {"required": False}
    table["weight"] = measure.weight
    if isinstance(curve, CategoryCurve):
        table["categories"] = {label: curve.points[label] for label in curve.categories}
        table |= {} if curve.other is None else {"other": curve.other}
    elif isinstance(curve, BandCurve):
        table["bands"], table["edge"] = _bands(curve), str(curve.edge)
    else:
        table["curve"] = [list(pair) for pair in zip(curve.x, curve.points, strict=True)]
        table |= {} if curve.outside is None else {"outside": curve.outside}
    table |= {} if curve.missing is None else {"missing_points": curve.missing}
    table |= {key: getattr(column, key) for key in ("low", "high") if np.isfinite(getattr(column, key))}
    table |= {} if column.missing_seen else {"missing_seen": False}
    return table | _staleness(measure)


def _bands(curve: BandCurve) -> list[dict[str, Any]]:
    ends: list[dict[str, Any]] = [*({"to": bound} for bound in curve.bounds), {}]
    names: list[dict[str, Any]] = [{"label": label} for label in curve.labels] or [{} for _ in ends]
    return [{**end, "points": p, **name} for end, p, name in zip(ends, curve.points, names, strict=True)]


def _staleness(measure: Measure) -> dict[str, Any]:
    staleness = measure.staleness
    if staleness is None:
        return {}
    table: dict[str, Any] = {
        "stale_date": staleness.date,
        "stale_after": staleness.after,
        "stale": str(staleness.rule),
    }
    return table | ({"decay_days": staleness.decay_days} if staleness.rule is StaleRule.DECAY else {})
