"""The metrics of the simulated success team, each with its true health curve and true weight."""

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from chs_ml.metric import Direction, Kind, Metric

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TrueMetric:
    """A metric and how it really moves churn.

    Attributes
    ----------
    metric : Metric
        Name, group, unit, label, kind and direction, as a success team would declare them.
    weight : float
        True share of the health points, 0-1; a category has none.
    knots : tuple of (value, points)
        True health curve, points 0-100: piecewise linear, flat outside.
    """

    metric: Metric
    weight: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    @property
    def curve(self) -> tuple[Array, Array]:
        """The true health curve as two arrays of shape (knots,): values ascending, and points."""
        values, points = np.asarray(self.knots, dtype=np.float64).T.copy()
        return values, points

    def points(self, values: Array) -> Array:
        """Points 0-100 of values of any shape."""
        return np.interp(values, *self.curve)


Knots = tuple[tuple[float, float], ...]


def _number(name: str, about: tuple[str, str, str, str], weight: float, knots: Knots) -> TrueMetric:
    group, label, unit, direction = about
    metric = Metric(name=name, group=group, label=label, unit=unit, direction=Direction(direction))
    return TrueMetric(metric, weight, knots)


def _category(name: str, label: str) -> TrueMetric:
    return TrueMetric(Metric(name=name, group="Profile", label=label, kind=Kind.CATEGORY))


_USAGE, _SUPPORT, _BILLING = "Product usage", "Support", "Billing"

_ENTRIES = (
    _number(
        "usage_days",
        (_USAGE, "Usage frequency", "days of 30", "higher"),
        0.08,
        ((2, 0), (8, 45), (15, 85), (24, 100)),
    ),
    _number(
        "feature_adoption",
        (_USAGE, "Feature adoption", "%", "higher"),
        0.11,
        ((10, 0), (30, 45), (60, 85), (85, 100)),
    ),
    _number(
        "logins_per_seat",
        (_USAGE, "Logins per seat", "in 30 days", "higher"),
        0.04,
        ((1, 0), (5, 55), (12, 90), (25, 100)),
    ),
    _number(
        "usage_change",
        (_USAGE, "Usage change", "% on the quarter before", "higher"),
        0.13,
        ((-50, 0), (-20, 40), (0, 80), (30, 100)),
    ),
    _number(
        "seats_used",
        (_USAGE, "Seats used", "% of seats bought", "higher"),
        0.10,
        ((20, 0), (50, 45), (80, 90), (95, 100)),
    ),
    _number(
        "days_since_login",
        (_USAGE, "Last login", "days ago", "lower"),
        0.03,
        ((0, 100), (3, 75), (10, 30), (25, 0)),
    ),
    _number(
        "tickets_open",
        (_SUPPORT, "Open tickets", "", "lower"),
        0.01,
        ((0, 100), (2, 85), (5, 45), (10, 0)),
    ),
    _number(
        "tickets_escalated",
        (_SUPPORT, "Escalated tickets", "in 90 days", "lower"),
        0.07,
        ((0, 100), (1, 65), (2, 35), (4, 0)),
    ),
    _number(
        "resolve_hours",
        (_SUPPORT, "Time to resolve", "h", "lower"),
        0.02,
        ((6, 100), (24, 75), (72, 30), (120, 0)),
    ),
    _number(
        "csat",
        ("Sentiment", "CSAT", "of 5", "higher"),
        0.04,
        ((1.5, 0), (3, 45), (4, 80), (5, 100)),
    ),
    _number(
        "nps",
        ("Sentiment", "NPS answer", "of 10", "higher"),
        0.02,
        ((2, 0), (6, 50), (8, 85), (10, 100)),
    ),
    _number(
        "contract_growth",
        ("Value", "Contract value growth", "% on the year before", "higher"),
        0.01,
        ((-20, 0), (0, 60), (10, 80), (30, 100)),
    ),
    _number(
        "touchpoints",
        ("Engagement", "CS touchpoints", "in 90 days", "higher"),
        0.01,
        ((0, 0), (3, 60), (8, 90), (15, 100)),
    ),
    TrueMetric(
        Metric(
            name="sponsor",
            kind=Kind.YES_NO,
            group="Relationship",
            label="Executive sponsor",
            direction=Direction.HIGHER,
        ),
        0.12,
        ((0, 0), (1, 100)),
    ),
    _number(
        "tenure_months",
        ("Relationship", "Tenure", "months", "higher"),
        0.05,
        ((0, 0), (6, 40), (18, 75), (60, 100)),
    ),
    _number(
        "overdue_days",
        (_BILLING, "Overdue invoice", "days", "lower"),
        0.10,
        ((0, 100), (10, 60), (30, 20), (60, 0)),
    ),
    _number(
        "failed_payments",
        (_BILLING, "Failed payments", "in 90 days", "lower"),
        0.06,
        ((0, 100), (1, 50), (2, 25), (4, 0)),
    ),
    _category("contract_term", "Contract term"),
    _category("plan", "Plan"),
    _category("region", "Region"),
    _category("industry", "Industry"),
)

CATALOGUE = MappingProxyType({entry.metric.name: entry for entry in _ENTRIES})
WEIGHTED = MappingProxyType({name: entry for name, entry in CATALOGUE.items() if entry.knots})
