"""Dialects: the rules of customer-success platforms, as defaults and checks of a scorecard file.

``dialect = "gainsight"`` in a card fills in what the platform fixes, lets points be said in its words, and
refuses what the platform would refuse. Where a platform's documentation does not say what happens (which band
a bound belongs to, what a missing value does), the card itself must: nothing is guessed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chs_ml.errors import ScorecardError, first_few, nearest

if TYPE_CHECKING:
    from chs_ml.scorecard.card import Scorecard


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """The rules of one platform.

    Attributes
    ----------
    name : str
        As cards say it.
    defaults : mapping
        Keys of a card that the platform fixes; a card may say otherwise.
    words : mapping of str to float
        Points by the platform's names for them.
    must_state : tuple of str
        Keys that a card must say itself, because the platform's documentation leaves them open.
    check : callable
        Called with a finished card; returns what the platform would refuse, or an empty text.
    """

    name: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, float] = field(default_factory=dict)
    must_state: tuple[str, ...] = ()
    check: "Callable[[Scorecard], str]" = lambda card: ""


def _gainsight(card: "Scorecard") -> str:
    numbers = [*(m.weight for m in card.measures), *(g.weight for g in card.groups if g.weight is not None)]
    if max(numbers) > 999_999:
        return f"weights must lie between 0 and 999,999; the largest is {max(numbers):,.0f}"
    if card.scheme is not None and not 2 <= len(card.scheme.labels) <= 12:
        return f"a scheme has 2 to 12 ranges; found {len(card.scheme.labels)}"
    return ""


def _points_among(*allowed: float) -> "Callable[[Scorecard], str]":
    def check(card: "Scorecard") -> str:
        given = {p for m in card.measures for p in _all_points(m.curve)}
        strange = sorted(given - set(allowed))
        return f"points must be among {first_few(allowed)}; found {first_few(strange)}" if strange else ""

    return check


def _all_points(curve: Any) -> list[float]:
    points = list(curve.points.values()) if isinstance(curve.points, Mapping) else list(curve.points)
    return [*points, *(p for p in (getattr(curve, "other", None), curve.missing) if p is not None)]


def _churnzero(card: "Scorecard") -> str:
    total = sum(m.weight for m in card.measures)
    return (
        f"the factors must add up to 100 points; they add up to {total:g}"
        if abs(total - 100.0) > 1e-9
        else ""
    )


def _hubspot(card: "Scorecard") -> str:
    lacking = sorted(
        {m.metric.group for m in card.measures} - {g.name for g in card.groups if g.high is not None}
    )
    if lacking:
        return f"every group must have a high, its most points; these lack it: {first_few(lacking)}"
    total = sum(g.high for g in card.groups if g.high is not None)
    return (
        f"the highs of the groups must sum to 100; they sum to {total:g}" if abs(total - 100.0) > 1e-9 else ""
    )


def _clientsuccess(card: "Scorecard") -> str:
    groups = list(dict.fromkeys(m.metric.group for m in card.measures))
    others = [name for name in groups if name != "Pulse"]
    if len(others) > 6:
        return f"there are the Pulse and at most six groups; found {first_few(others, limit=8)}"
    wrong = [m.metric.name for m in card.measures if not 1 <= m.weight <= 5]
    return f"weights must lie between 1 and 5; not so: {first_few(wrong)}" if wrong else ""


_ADDED = {"combine": "sum", "missing": "neutral", "low": 0, "high": 100}

DIALECTS: dict[str, Dialect] = {
    d.name: d
    for d in (
        Dialect(name="gainsight", defaults={"edge": "top", "missing": "renormalise"}, check=_gainsight),
        Dialect(
            name="totango",
            words={"good": 100.0, "average": 60.0, "poor": 0.0},
            must_state=("missing",),
            check=_points_among(100.0, 60.0, 0.0),
        ),
        Dialect(
            name="vitally",
            defaults={"top": 10, "missing": "renormalise"},
            words={"healthy": 10.0, "concerning": 5.0, "poor": 0.0},
            check=_points_among(0.0, 5.0, 10.0),
        ),
        Dialect(name="churnzero", defaults={"edge": "top"}, must_state=("missing",), check=_churnzero),
        Dialect(name="hubspot", defaults=_ADDED, check=_hubspot),
        Dialect(name="clientsuccess", must_state=("missing",), check=_clientsuccess),
        Dialect(name="planhat", defaults={**_ADDED, "high": 10, "top": 10, "start": 5}),
        Dialect(
            name="qualtrics",
            defaults={**_ADDED, "scheme": {"labels": ["Low", "Medium", "High"], "bounds": [50, 75]}},
            must_state=("start", "edge"),
        ),
        Dialect(name="catalyst", defaults={"missing": "redistribute"}),
    )
}


def dialect_of(table: Mapping[str, Any], source: str) -> Dialect | None:
    """The dialect that a card's table names; None where it names none."""
    name = table.get("dialect", "")
    if not name:
        return None
    if name not in DIALECTS:
        raise ScorecardError(
            f"{source}: dialect must be one of {first_few(DIALECTS, limit=12)}; got {name!r}."
            f"{nearest(str(name), DIALECTS)}"
        )
    dialect = DIALECTS[name]
    silent = [key for key in dialect.must_state if key not in table]
    if silent:
        raise ScorecardError(
            f"{source}: the dialect {name!r} leaves open {first_few(silent)}: the card must say it."
        )
    return dialect


def check_dialect(card: "Scorecard", source: str) -> None:
    """Refuse what the card's platform would refuse."""
    if card.dialect in DIALECTS:
        complaint = DIALECTS[card.dialect].check(card)
        if complaint:
            raise ScorecardError(f"{source}: under the dialect {card.dialect!r} {complaint}.")
