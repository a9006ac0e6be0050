"""Bands, sums, limits, staleness, schemes: against computations written out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chs_ml.curves import BandCurve, CategoryCurve, Edge, LinearCurve
from chs_ml.errors import ScorecardError, TableError
from chs_ml.inputs import InputColumn
from chs_ml.metric import Kind, Metric
from chs_ml.scorecard import (
    Combine,
    Group,
    Limit,
    Measure,
    MissingRule,
    Scheme,
    Scorecard,
    Staleness,
    StaleRule,
    load_scorecard,
)
from tests.scorecard.cards import NAN, banded, straight


@pytest.mark.parametrize(
    ("edge", "expected"),
    # a top edge keeps 50 in the lower band; a bottom edge puts it into the upper one
    [("top", [0, 0, 0, 60, 60, 60, 100, NAN]), ("bottom", [0, 0, 60, 60, 60, 100, 100, NAN])],
)
def test_a_bound_belongs_to_the_band_that_the_edge_rule_says(edge: str, expected: list[float]) -> None:
    curve = BandCurve(bounds=(50.0, 75.0), points=(0.0, 60.0, 100.0), edge=Edge(edge))
    values = np.array([-1e9, 49.9999, 50.0, 50.0001, 74.9999, 75.0, 75.0001, NAN])
    np.testing.assert_array_equal(curve.evaluate(values), expected)


def test_bands_give_missing_its_own_points() -> None:
    curve = BandCurve(bounds=(1.0,), points=(0.0, 9.0), edge=Edge.TOP, missing=4.0)
    np.testing.assert_array_equal(curve.evaluate(np.array([NAN, 1.0, 1.0001])), [4.0, 0.0, 9.0])


@pytest.mark.parametrize(
    ("bounds", "points", "labels"),
    [((), (1.0,), ()), ((2.0, 1.0), (1.0, 2.0, 3.0), ()), ((1.0,), (1.0,), ()), ((1.0,), (1.0, 2.0),
    ("a",)), ((1.0,), (1.0, NAN), ())],
)  # fmt: skip
def test_bands_that_cannot_be(
    bounds: tuple[float, ...], points: tuple[float, ...], labels: tuple[str, ...]
) -> None:
    with pytest.raises(ScorecardError, match="Bands must be at least two"):
        BandCurve(bounds=bounds, points=points, edge=Edge.TOP, labels=labels)


SUM = Scorecard(
    name="sum",
    combine=Combine.SUM,
    missing=MissingRule.NEUTRAL,
    start=20.0,
    measures=(
        banded("use", (-30.0, 10.0, 60.0), (10.0, 20.0), "bottom", group="use"),
        banded("log", (-30.0, 0.0, 25.0), (1.0, 5.0), "bottom", group="use"),
        banded("nps", (-15.0, 0.0, 40.0), (6.0, 8.0), "bottom", group="mood"),
    ),
    groups=(Group(name="use", low=-40.0, high=70.0), Group(name="mood", high=30.0)),
)


def test_plus_and_minus_points_within_groups_and_overall() -> None:
    frame = pd.DataFrame({
        "use": [20.0, 10.0, 0.0, NAN, 25.0],
        "log": [5.0, NAN, 0.0, NAN, 9.0],
        "nps": [NAN, 8.0, 6.0, NAN, 9.0],
    })  # fmt: skip
    # 20 + min(60 + 25, 70) + 0 = 90;  20 + (10 + 0) + min(40, 30) = 60;
    # 20 + max(-30 - 30, -40) - 15 = -35 -> 0;  nothing known: withheld;
    # 20 + min(60 + 25, 70) + min(40, 30) = 120 -> 100
    score = SUM.score(frame)
    np.testing.assert_allclose(score["health_score"], [90.0, 60.0, 0.0, NAN, 100.0], atol=1e-9)
    assert score["status"].tolist() == ["ok", "ok", "ok", "withheld", "ok"]
    weighted, _ = SUM.weighted_points(SUM.schema.encode(frame).values)
    np.testing.assert_allclose(weighted.sum(axis=1), [90.0, 60.0, 0.0, 20.0, 100.0], atol=1e-9)
    np.testing.assert_allclose(SUM.explain(frame).sum(axis=1), [70.0, 40.0, -20.0, 0.0, 80.0], atol=1e-9)


def test_reach_is_the_weight_of_a_sum() -> None:
    # spans 90, 55 and 55
    np.testing.assert_allclose(SUM.weights, np.array([90.0, 55.0, 55.0]) / 200.0)


def test_what_a_sum_cannot_have() -> None:
    lines = SUM.measures
    with pytest.raises(ScorecardError, match="no weight to pass on"):
        Scorecard(name="x", measures=lines, combine=Combine.SUM)
    with pytest.raises(ScorecardError, match="which only a sum can keep"):
        Scorecard(name="x", measures=lines, groups=(Group(name="use", high=3.0),))
    with pytest.raises(ScorecardError, match="which has no start"):
        Scorecard(name="x", measures=lines, start=3.0)
    with pytest.raises(ScorecardError, match="either every group has a weight"):
        Scorecard(name="x", measures=lines, groups=(Group(name="use", weight=3.0),))
    with pytest.raises(ScorecardError, match=r"must be groups of its measures.*Did you mean 'mood'"):
        Scorecard(name="x", measures=lines, groups=(Group(name="mod", weight=3.0),))


def test_weights_of_groups_and_inside_groups() -> None:
    # usage 60 % split 3 : 1, mood 40 %
    card = Scorecard(
        name="x",
        measures=(
            straight("a", 3.0, group="u"),
            straight("b", 1.0, group="u"),
            straight("c", 7.0, group="m"),
        ),
        groups=(Group(name="u", weight=6.0), Group(name="m", weight=4.0)),
    )
    np.testing.assert_allclose(card.weights, [0.45, 0.15, 0.4])
    score = card.score(pd.DataFrame({"a": [80.0], "b": [40.0], "c": [10.0]}))["health_score"]
    assert score[0] == pytest.approx(0.45 * 80 + 0.15 * 40 + 0.4 * 10, abs=1e-9)


def test_caps_and_floors_that_a_measure_triggers() -> None:
    card = Scorecard(
        name="x",
        measures=(straight("a"), straight("pulse")),
        limits=(
            Limit(measure="pulse", points_at_most=0.0, score_at_most=30.0),
            Limit(measure="pulse", points_at_least=100.0, score_at_least=70.0),
        ),
    )
    frame = pd.DataFrame({"a": [100.0, 100.0, 0.0, 20.0, 100.0], "pulse": [0.0, 0.001, 100.0, 50.0, NAN]})
    # (100 + 0) / 2 = 50 -> 30;  50.0005 stays;  50 -> 70;  35 stays;  a missing pulse triggers nothing
    np.testing.assert_allclose(
        card.score(frame)["health_score"], [30.0, 50.0005, 70.0, 35.0, 100.0], atol=1e-9
    )
    weighted, _ = card.weighted_points(card.schema.encode(frame).values)
    np.testing.assert_allclose(weighted.sum(axis=1), [30.0, 50.0005, 70.0, 35.0, 100.0], atol=1e-9)
    np.testing.assert_allclose(
        card.raw_score(card.schema.encode(frame).values), weighted.sum(axis=1), atol=1e-9
    )


def test_a_limit_says_one_trigger_and_one_hold_on_a_measure_of_the_card() -> None:
    with pytest.raises(ScorecardError, match="must have one of points_at_most"):
        Limit(measure="a", points_at_most=0.0, points_at_least=2.0, score_at_most=1.0)
    limit = Limit(measure="alhpa", points_at_most=0.0, score_at_most=1.0)
    with pytest.raises(ScorecardError, match="Did you mean 'alpha'"):
        Scorecard(name="x", measures=(straight("alpha"),), limits=(limit,))


@pytest.mark.parametrize(
    ("rule", "expected", "says"),
    [
        # ages 90, 91, 120, 150, 200 days and unknown; points 100 and 20 (always fresh), equal weights.
        # flag: (100 + 20) / 2 always
        (StaleRule.FLAG, [60.0, 60.0, 60.0, 60.0, 60.0, 60.0], "stale: nps"),
        # decay to 50 over 60 days: 100, 50 + 50 * 59/60, 50 + 50 * 30/60, 50, 50, 100
        (StaleRule.DECAY, [60.0, 59.5 + 1 / 12, 47.5, 35.0, 35.0, 60.0], "stale, decayed: nps"),
        # drop: the other measure alone
        (StaleRule.DROP, [60.0, 20.0, 20.0, 20.0, 20.0, 60.0], "stale, dropped: nps"),
    ],
)
def test_old_values(rule: StaleRule, expected: list[float], says: str) -> None:
    stale = Staleness(date="nps_date", after=90.0, rule=rule, decay_days=60.0)
    card = Scorecard(name="x", measures=(straight("nps", staleness=stale), straight("b")))
    snapshot = pd.Timestamp("2026-06-30")
    dates = [snapshot - pd.Timedelta(days=d) for d in (90, 91, 120, 150, 200)]
    frame = pd.DataFrame({"nps": 100.0, "b": 20.0, "nps_date": [*dates, pd.NaT], "day": snapshot})
    score = card.score(frame, as_of="day")
    np.testing.assert_allclose(score["health_score"], expected, atol=1e-9)
    assert score["status_detail"].tolist() == ["", says, says, says, says, ""]
    assert score["status"].tolist() == ["ok", *["degraded"] * 4, "ok"]
    np.testing.assert_allclose(card.score(frame, as_of="2026-06-30")["health_score"], expected, atol=1e-9)
    dropped = rule is StaleRule.DROP
    np.testing.assert_allclose(score["coverage"], [1, *[0.5 if dropped else 1.0] * 4, 1])


def test_ageing_needs_a_snapshot_and_decay_its_days() -> None:
    stale = Staleness(date="nps_date", after=90.0)
    card = Scorecard(name="x", measures=(straight("nps", staleness=stale),))
    with pytest.raises(TableError, match="snapshot"):
        card.score(pd.DataFrame({"nps": [1.0], "nps_date": ["2026-01-01"]}))
    with pytest.raises(TableError, match="as_of must be a column of the table or a date"):
        card.score(pd.DataFrame({"nps": [1.0], "nps_date": ["2026-01-01"]}), as_of="yesterdayish")
    with pytest.raises(ScorecardError, match="decay needs decay_days"):
        Staleness(date="d", after=1.0, rule=StaleRule.DECAY)


def test_schemes_name_the_score_in_the_cards_own_points() -> None:
    # a mean of 0 / 5 / 10 points with top 10: own 5.0 is 50 health points
    card = Scorecard(
        name="x",
        measures=(
            banded("a", (0.0, 5.0, 10.0), (1.0, 2.0), "top"),
            banded("b", (0.0, 5.0, 10.0), (1.0, 2.0), "top"),
        ),
        top=10.0,
        scheme=Scheme(labels=("Poor", "Concerning", "Healthy"), bounds=(5.0, 7.5), edge=Edge.TOP),
    )
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0, 3.0, NAN], "b": [2.0, 2.0, 2.0, 3.0, NAN]})
    score = card.score(frame)
    np.testing.assert_allclose(score["own_score"], [2.5, 5.0, 7.5, 10.0, NAN])
    np.testing.assert_allclose(score["health_score"], [25.0, 50.0, 75.0, 100.0, NAN])
    assert score["label"].tolist()[:4] == ["Poor", "Poor", "Concerning", "Healthy"]
    assert score["label"].isna().tolist() == [False] * 4 + [True]
    with pytest.raises(ScorecardError, match="at least two distinct labels"):
        Scheme(labels=("a", "a"), bounds=(1.0,), edge=Edge.TOP)


def test_a_row_alone_has_the_bits_it_has_among_many() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"use": rng.normal(15, 9, 2000), "log": rng.normal(3, 3, 2000), "nps": rng.normal(7, 2, 2000)}
    )
    frame = frame.mask(rng.random(frame.shape) < 0.3)
    together = SUM.score(frame)["health_score"].to_numpy()
    back = SUM.score(frame.iloc[::-1])["health_score"].to_numpy()[::-1]
    np.testing.assert_array_equal(together, back)
    for i in range(0, 2000, 97):
        np.testing.assert_array_equal(SUM.score(frame.iloc[[i]])["health_score"].to_numpy(), together[[i]])


FULL = """
format = 2
name = "everything"
combine = "sum"
missing = "own"
start = 10
low = -5
high = 90
top = 90
neutral = 1
coverage_floor = 0.25
edge = "top"
limits = [{ measure = "a", points_at_least = 5, score_at_most = 40 }]
[scheme]
labels = ["C", "B", "A"]
bounds = [30, 60]
[groups.one]
low = -3
high = 9
largest_share = 0.5
[measures.a]
group = "one"
weight = 2
missing_points = 1
bands = [{ to = 1, points = -1, label = "bad" }, { points = 5, label = "good" }]
stale_date = "a_date"
stale_after = 30
stale = "decay"
decay_days = 10
[measures.b]
weight = 1
missing_points = 0
edge = "bottom"
bands = [{ to = 1, points = 0 }, { points = 5 }]
"""


def test_format_two_survives_its_text() -> None:
    card = Scorecard.from_toml(FULL)
    again = Scorecard.from_toml(card.to_toml())
    assert repr(again) == repr(card)
    assert "format = 2" in card.to_toml()
    assert card.measures[0].curve.edge is Edge.TOP
    assert card.measures[1].curve.edge is Edge.BOTTOM


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('edge = "top"', "", r"must say edge = 'top' or 'bottom'|need edge"),
        ('edge = "top"', 'edge = "left"', "edge must be 'top' or 'bottom'; got 'left'"),
        ('combine = "sum"', 'combine = "product"', "combine must be one of 'mean', 'sum'; got 'product'"),
        ("{ to = 1, points = 0 }", "{ points = 0 }", "all but the last must have 'to'"),
        ("start = 10", 'start = "ten"', "start must be a number"),
        ("stale_after = 30\n", "", "must have a stale_after"),
        ("high = 9\n", "hgih = 9\n", "unknown key 'hgih'. Did you mean 'high'"),
        ("points_at_least = 5", "points_at_last = 5", "Did you mean 'points_at_least'"),
        ("format = 2", "format = 1", r"unknown key 'combine'|needs format = 2"),
        ("coverage_floor = 0.25", "coverage_floor = 25", "coverage_floor from 0 to 1"),
        ("low = -5", "low = 95", "low below its high"),
        ("bounds = [30, 60]", "bounds = [60, 30]", "bounds that rise strictly"),
    ],
)
def test_format_two_files_that_cannot_be(old: str, new: str, message: str) -> None:
    assert old in FULL
    with pytest.raises(ScorecardError, match=message):
        Scorecard.from_toml(FULL.replace(old, new, 1), source="card.toml")


def test_format_one_stays_format_one() -> None:
    folder = Path(__file__).resolve().parents[2] / "models" / "scorecards"
    text = load_scorecard(folder / "cs_team.toml").to_toml()
    assert text.startswith("format = 1\n")


def test_a_category_without_points_and_a_date_as_a_measure() -> None:
    plan = CategoryCurve(points={"a": 80.0, "b": 20.0}, missing=50.0)
    login = LinearCurve(x=(0.0, 30.0), points=(100.0, 0.0))
    card = Scorecard(
        name="x",
        measures=(
            Measure(
                column=InputColumn(metric=Metric(name="plan", kind=Kind.CATEGORY), categories=("a", "b")),
                curve=plan, weight=3.0,
            ),
            Measure(column=InputColumn(metric=Metric(name="login", kind=Kind.DATE)), curve=login, weight=1.0),
        ),
    )  # fmt: skip
    frame = pd.DataFrame({"plan": ["a", "z", None], "login": ["2026-03-01", "2026-03-16", "2026-03-31"]})
    # 30, 15 and 0 days before: 0, 50 and 100 points; z has no points of its own: it counts as missing, 50
    table = card.score(frame, as_of="2026-03-31")
    expected = [(3 * 80 + 0) / 4, (3 * 50 + 50) / 4, (3 * 50 + 100) / 4]
    np.testing.assert_allclose(table["health_score"], expected, atol=1e-9, rtol=0)
    assert table["coverage"].tolist() == [1.0, 0.25, 0.25]
    assert table["status"].tolist() == ["ok", "degraded", "ok"]
    with pytest.raises(TableError, match="as_of"):
        card.score(frame)
