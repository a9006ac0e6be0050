"""Each missing-value policy, by hand; and that explanations keep to it."""

import numpy as np
import pandas as pd
import pytest

from chs_ml.curves import CategoryCurve
from chs_ml.inputs import InputColumn
from chs_ml.metric import Kind, Metric
from chs_ml.scorecard import Measure, MissingRule, Scorecard, Staleness, StaleRule
from chs_ml.scorecard.card import BLOCK_ROWS
from tests.scorecard.cards import NAN, banded, straight

LINES = (
    straight("use", 30.0, group="usage"),
    straight("seats", 10.0, group="usage"),
    straight("nps", 40.0, group="mood"),
    straight("csat", 20.0, group="mood"),
)
FRAME = pd.DataFrame({
    # full, one missing, an all-missing group, one value only, nothing
    "use": [80.0, NAN, 80.0, NAN, NAN],
    "seats": [40.0, 40.0, 40.0, NAN, NAN],
    "nps": [50.0, 50.0, NAN, NAN, NAN],
    "csat": [10.0, 10.0, NAN, 10.0, NAN],
})  # fmt: skip
FULL = 0.3 * 80 + 0.1 * 40 + 0.4 * 50 + 0.2 * 10  # 50


def card(rule: MissingRule, **more: object) -> Scorecard:
    return Scorecard(name="x", measures=LINES, missing=rule, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # (4 + 20 + 2) / 0.7;  (24 + 4) / 0.4;  10
        (MissingRule.RENORMALISE, [FULL, 26 / 0.7, 70.0, 10.0, NAN]),
        # usage keeps its 40 %: 0.4 * 40 + 20 + 2;  mood's 60 % goes to usage: (24 + 4) / 0.4;  10
        (MissingRule.REDISTRIBUTE, [FULL, 38.0, 70.0, 10.0, NAN]),
        # 50 where missing: 15 + 26;  28 + 30;  15 + 5 + 20 + 2
        (MissingRule.NEUTRAL, [FULL, 41.0, 58.0, 42.0, NAN]),
        (MissingRule.WORST, [FULL, 26.0, 28.0, 2.0, NAN]),
        (MissingRule.WITHHOLD, [FULL, NAN, NAN, NAN, NAN]),
    ],
)
def test_each_policy(rule: MissingRule, expected: list[float]) -> None:
    scores = card(rule).score(FRAME)
    np.testing.assert_allclose(scores["health_score"], expected, atol=1e-9)
    np.testing.assert_allclose(scores["coverage"], [1.0, 0.7, 0.4, 0.2, 0.0], atol=1e-9)
    assert scores["status"].iloc[-1] == "withheld"
    detail = "coverage below 100%" if rule is MissingRule.WITHHOLD else "no metric has a value"
    assert scores["status_detail"].iloc[-1] == detail


@pytest.mark.parametrize("rule", [r for r in MissingRule if r is not MissingRule.OWN])
def test_parts_and_costs_sum_up(rule: MissingRule) -> None:
    one = card(rule)
    values = one.schema.encode(FRAME).values[:4]
    weighted, _ = one.weighted_points(values)
    np.testing.assert_allclose(weighted.sum(axis=1), one.raw_score(values), atol=1e-12)
    np.testing.assert_allclose(one.explain(FRAME)[:4].sum(axis=1), one.raw_score(values) - 100.0, atol=1e-9)


def test_own_points_win_over_every_rule() -> None:
    lines = (straight("use", 1.0, missing=7.0), straight("nps", 1.0, missing=31.0))
    frame = pd.DataFrame({"use": [NAN, 60.0], "nps": [50.0, NAN]})
    for rule in MissingRule:
        if rule is MissingRule.WITHHOLD:
            continue
        score = Scorecard(name="x", measures=lines, missing=rule).score(frame)["health_score"]
        np.testing.assert_allclose(score, [28.5, 45.5], atol=1e-9)


def test_a_coverage_floor_withholds_under_any_rule() -> None:
    scores = card(MissingRule.NEUTRAL, coverage_floor=0.4).score(FRAME)
    assert scores["status"].tolist() == ["ok", "ok", "ok", "withheld", "withheld"]
    assert scores["status_detail"].iloc[3] == "coverage below 40%"
    less = card(MissingRule.WITHHOLD, coverage_floor=0.5).score(FRAME)
    # 0.7 known: renormalised as ever
    np.testing.assert_allclose(less["health_score"], [FULL, 26 / 0.7, NAN, NAN, NAN], atol=1e-9)


def test_worst_of_a_category_counts_the_unnamed_ones() -> None:
    curve = CategoryCurve(points={"a": 20.0, "b": 80.0}, other=10.0)
    column = InputColumn(metric=Metric(name="plan", kind=Kind.CATEGORY), categories=("a", "b"))
    lines = (Measure(column=column, curve=curve, weight=1.0), straight("use", 1.0))
    one = Scorecard(name="x", measures=lines, missing=MissingRule.WORST)
    score = one.score(pd.DataFrame({"plan": [None, "b"], "use": [50.0, 50.0]}))["health_score"]
    np.testing.assert_allclose(score, [30.0, 65.0])


def test_a_row_scores_the_same_bits_alone_and_across_blocks() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(-10.0, 110.0, (BLOCK_ROWS + 50, 3))
    values[rng.random(values.shape) < 0.3] = NAN
    lines = (
        straight("a", 3.0),
        banded("b", (0.0, 60.0, 100.0), (20.0, 70.0), "top", group="h"),
        straight("c"),
    )
    for rule in (MissingRule.RENORMALISE, MissingRule.REDISTRIBUTE, MissingRule.NEUTRAL):
        one = Scorecard(name="x", measures=lines, missing=rule)
        score, coverage = one.raw_score(values), one.coverage(values)
        for i in (0, 7, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 49):
            row = values[i : i + 1]
            assert (score[i], coverage[i]) == (one.raw_score(row)[0], one.coverage(row)[0])
        known = ~np.isnan(values) @ one.weights
        np.testing.assert_allclose(coverage, known, atol=1e-12)
        np.testing.assert_allclose(score, one.parts(one.points(values)).sum(axis=1), atol=1e-9)


def test_a_stale_value_that_is_dropped_has_the_points_of_a_missing_one() -> None:
    old = Staleness(date="day", after=10.0, rule=StaleRule.DROP)
    lines = (straight("a", 1.0, missing=20.0, staleness=old), straight("b", 1.0, missing=0.0))
    own = Scorecard(name="x", measures=lines, missing=MissingRule.OWN)
    frame = pd.DataFrame({"a": [90.0, 90.0], "b": [50.0, 50.0], "day": ["2026-01-25", "2026-01-01"]})
    table = own.score(frame, as_of="2026-01-31")
    assert table["health_score"].tolist() == [(90 + 50) / 2, (20 + 50) / 2]
    assert table["coverage"].tolist() == [1.0, 0.5]
