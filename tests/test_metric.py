"""Metrics: names people read, and directions."""

from dataclasses import FrozenInstanceError

import pytest

from chs_ml.metric import DEFAULT_GROUP, Direction, Kind, Metric


@pytest.mark.parametrize(("word", "sign"), [("higher", 1), ("lower", -1), ("unknown", 0)])
def test_direction_has_the_sign_of_health(word: str, sign: int) -> None:
    assert Direction(word).sign == sign


@pytest.mark.parametrize(
    ("name", "label", "title"),
    [
        ("seats_used", "", "Seats used"),
        ("seats_used", "Share of seats", "Share of seats"),
        ("_x_", "", "X"),
        ("MonthlyCharges", "", "Monthlycharges"),
    ],
)
def test_title_is_the_label_or_the_name_in_plain_words(name: str, label: str, title: str) -> None:
    assert Metric(name=name, label=label).title == title


def test_defaults_claim_nothing() -> None:
    metric = Metric(name="x")
    assert (metric.kind, metric.group, metric.direction) == (Kind.NUMBER, DEFAULT_GROUP, Direction.UNKNOWN)
    assert metric.required
    assert [Metric(name="x", kind=kind).is_category for kind in Kind] == [False, True, False, False]


def test_metrics_are_values() -> None:
    metric = Metric(name="x", group="Support")
    assert metric == Metric(name="x", group="Support")
    assert hash(metric) == hash(Metric(name="x", group="Support"))
    with pytest.raises(FrozenInstanceError):
        metric.name = "y"  # type: ignore[misc]
