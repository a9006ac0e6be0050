"""Scorecards, against sums by hand, and their file format."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chs_ml.curves import CategoryCurve, Curve, LinearCurve
from chs_ml.errors import ScorecardError, TableError
from chs_ml.inputs import InputColumn
from chs_ml.metric import Direction, Kind, Metric
from chs_ml.scorecard import Measure, MissingRule, Scorecard, column_sum, load_scorecard
from chs_ml.tiers import Tiers

NAN = float("nan")


def line(name: str, weight: float, *, missing: float | None = None, top: float = 10.0) -> Measure:
    curve = LinearCurve(x=(0.0, top), points=(0.0, 100.0), missing=missing)
    return Measure(column=InputColumn(metric=Metric(name=name)), curve=curve, weight=weight)


def plan(weight: float, *, missing: float | None = None) -> Measure:
    curve = CategoryCurve(points={"a": 20.0, "b": 80.0}, other=50.0, missing=missing)
    column = InputColumn(metric=Metric(name="plan", kind=Kind.CATEGORY), categories=("a", "b"))
    return Measure(column=column, curve=curve, weight=weight)


CARD = Scorecard(name="by hand", measures=(line("usage", 5.0), line("nps", 3.0), plan(2.0)))
OWN = Scorecard(
    name="own",
    measures=(line("usage", 5.0, missing=30.0), line("nps", 3.0, missing=60.0), plan(2.0, missing=0.0)),
    missing=MissingRule.OWN,
)
FRAME = pd.DataFrame(
    {
        "usage": [10.0, 5.0, NAN, NAN, 20.0],
        "nps": [0.0, 5.0, 5.0, NAN, -1.0],
        "plan": ["a", "b", None, None, "new"],
        "other": ["x"] * 5,
    },
    index=list("vwxyz"),
)


def test_a_score_is_the_weighted_mean_of_points() -> None:
    scores = CARD.score(FRAME)
    np.testing.assert_allclose(scores["health_score"], [54.0, 56.0, 50.0, NAN, 60.0])
    np.testing.assert_allclose(scores["coverage"], [1.0, 1.0, 0.3, 0.0, 1.0])
    assert scores["status"].tolist() == ["ok", "ok", "ok", "withheld", "degraded"]
    assert scores["tier"].tolist()[:3] == ["At-Risk", "At-Risk", "At-Risk"]
    assert scores.index.equals(FRAME.index)
    assert list(scores.columns) == ["health_score", "tier", "coverage", "status", "status_detail"]


def test_missing_values_with_points_of_their_own() -> None:
    scores = OWN.score(FRAME)
    np.testing.assert_allclose(scores["health_score"], [54.0, 56.0, 30.0, NAN, 60.0])
    np.testing.assert_allclose(OWN.raw_score(OWN.schema.encode(FRAME).values), [54.0, 56.0, 30.0, 33.0, 60.0])


def test_floor_and_tiers_may_be_given() -> None:
    scores = CARD.score(FRAME, floor=0.5, tiers=Tiers(("Good", "Bad"), (55.0, 0.0)))
    assert scores["status"].tolist() == ["ok", "ok", "withheld", "withheld", "degraded"]
    assert scores["tier"].tolist()[:2] == ["Bad", "Good"]


MIXED = Scorecard(name="mixed", measures=(line("usage", 5.0, missing=30.0), line("nps", 3.0), plan(2.0)))


@pytest.mark.parametrize("card", [CARD, OWN, MIXED], ids=lambda c: c.name)
def test_weighted_points_sum_to_the_score(card: Scorecard) -> None:
    values = card.schema.encode(FRAME).values
    weighted, known = card.weighted_points(values)
    raw = card.raw_score(values)
    np.testing.assert_allclose(weighted.sum(axis=1)[known > 0], raw[known > 0], atol=1e-12)
    assert ((raw[known > 0] >= 0) & (raw[known > 0] <= 100)).all()


@pytest.mark.parametrize("card", [CARD, OWN], ids=lambda c: c.name)
def test_explained_points_are_what_each_measure_cost(card: Scorecard) -> None:
    cost = card.explain(FRAME)
    score = card.score(FRAME)["health_score"]
    has = score.notna()
    np.testing.assert_allclose(cost.sum(axis=1)[has], score[has] - 100.0, atol=1e-9)
    assert (cost[has] <= 1e-12).all(axis=None)
    assert cost.loc["v", "usage"] == pytest.approx(0.0)
    assert cost.loc["v", "nps"] == pytest.approx(-30.0)


def test_a_row_alone_has_the_bits_it_has_among_many() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"usage": rng.normal(5, 5, 3000), "nps": rng.normal(5, 5, 3000), "plan": rng.choice(["a", "b"], 3000)}
    )
    frame = frame.mask(rng.random(frame.shape) < 0.2)
    together = CARD.score(frame)["health_score"]
    for i in range(0, 3000, 61):
        alone = CARD.score(frame.iloc[[i]])["health_score"].iloc[0]
        assert alone == together.iloc[i] or (np.isnan(alone) and np.isnan(together.iloc[i]))


def test_column_sum_adds_from_left_to_right() -> None:
    columns = np.array([[1e16, 1.0, -1e16, 1.0]])
    assert column_sum(columns)[0] == ((1e16 + 1.0) - 1e16) + 1.0
    assert column_sum(np.empty((0, 3))).shape == (0,)


def test_weights_are_shares() -> None:
    np.testing.assert_allclose(CARD.weights, [0.5, 0.3, 0.2])
    assert CARD.weight_by_metric() == pytest.approx({"usage": 0.5, "nps": 0.3, "plan": 0.2})


@pytest.mark.parametrize("weights", [(), (0.0, 0.0), (1.0, -0.1), (NAN, 1.0), (float("inf"), 1.0)])
def test_weights_that_cannot_be(weights: tuple[float, ...]) -> None:
    with pytest.raises(
        ScorecardError, match=r"weights of scorecard 'x' must be finite, not negative, and not all 0"
    ):
        Scorecard(name="x", measures=tuple(line(f"m{i}", w) for i, w in enumerate(weights)))


def test_own_needs_points_for_missing() -> None:
    with pytest.raises(ScorecardError, match="these lack them: nps"):
        Scorecard(
            name="x", measures=(line("usage", 1.0, missing=3.0), line("nps", 1.0)), missing=MissingRule.OWN
        )


def test_a_missing_column_names_itself() -> None:
    with pytest.raises(TableError, match="1 of 3 missing: 'nps'"):
        CARD.score(FRAME.drop(columns="nps"))


# --- files ---

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
POINTS = st.floats(0, 100)


@st.composite
def measures(draw: Any, name: str) -> Measure:
    missing = draw(st.none() | POINTS)
    curve: Curve
    if draw(st.booleans()):
        by_label = draw(st.dictionaries(NAMES, POINTS, min_size=1, max_size=4))
        curve = CategoryCurve(points=by_label, other=draw(st.none() | POINTS), missing=missing)
        kind, direction, categories, low, high = Kind.CATEGORY, Direction.UNKNOWN, curve.categories, NAN, NAN
    else:
        x = sorted(draw(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=5, unique=True)))
        points = tuple(draw(POINTS) for _ in x)
        curve = LinearCurve(x=tuple(x), points=points, missing=missing)
        kind, direction = (
            draw(st.sampled_from([Kind.NUMBER, Kind.YES_NO, Kind.DATE])),
            draw(st.sampled_from(list(Direction))),
        )
        categories, low, high = (), x[0], x[-1]
    metric = Metric(
        name=name, kind=kind, direction=direction, group=draw(NAMES), unit=draw(NAMES | st.just("")),
        label=draw(NAMES | st.just("")), required=draw(st.booleans()),
    )  # fmt: skip
    column = InputColumn(
        metric=metric, categories=categories, low=low, high=high, missing_seen=draw(st.booleans())
    )
    return Measure(column=column, curve=curve, weight=draw(st.floats(0, 10)))


@settings(max_examples=60)
@given(st.data())
def test_a_card_survives_its_text_to_the_last_bit(data: Any) -> None:
    names = data.draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    lines = tuple(data.draw(measures(name)) for name in names)
    if sum(m.weight for m in lines) <= 0:
        return
    own = all(m.curve.missing is not None for m in lines)
    card = Scorecard(
        name=data.draw(NAMES), measures=lines, missing=MissingRule.OWN if own else MissingRule.RENORMALISE
    )
    text = card.to_toml()
    again = Scorecard.from_toml(text)
    assert again.to_toml() == text
    assert (again.name, again.missing) == (card.name, card.missing)
    for a, b in zip(again.measures, card.measures, strict=True):
        assert (a.curve, a.weight, a.metric) == (b.curve, b.weight, b.metric)
        assert repr(a.column) == repr(b.column)


SMALL = """
format = 1
name = "CS team"

[measures.usage]
weight = 0.7
direction = "higher"
curve = [[0, 0], [50, 80], [100, 100]]

[measures.plan]
weight = 0.3
categories = {basic = 40, pro = 90}
other = 50
"""


def test_a_handwritten_card() -> None:
    card = Scorecard.from_toml(SMALL)
    assert (card.name, card.missing) == ("CS team", MissingRule.RENORMALISE)
    frame = pd.DataFrame({"usage": ["25", "", "100"], "plan": ["pro", "basic", None]})
    np.testing.assert_allclose(card.score(frame)["health_score"], [0.7 * 40 + 27, 40.0, 100.0])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format = 1", "format = 3", "must say format = 1 or 2; found 3"),
        ("format = 1", "", "must say format = 1 or 2; found None"),
        ('name = "CS team"', 'nam = "x"', "unknown key 'nam'. Did you mean 'name'"),
        ('name = "CS team"', 'missing = "drop"', "missing must be one of 'renormalise', .*; got 'drop'"),
        ("weight = 0.7", "wieght = 0.7", "unknown key 'wieght'. Did you mean 'weight'"),
        ("weight = 0.7", "", r"\[measures.usage\] must have a weight"),
        ("weight = 0.7", 'weight = "much"', r"\[measures.usage\].*much"),
        ("weight = 0.7", "weight = -1", "not negative"),
        ('direction = "higher"', 'direction = "up"', r"\[measures.usage\].*'up' is not a valid Direction"),
        ('direction = "higher"', 'kind = "text"', r"\[measures.usage\].*'text' is not a valid Kind"),
        ("curve = [[0, 0], [50, 80], [100, 100]]", "", "must have either a curve or categories"),
        ("other = 50", "other = 50\ncurve = [[0, 1]]", "must have either a curve or categories"),
        ("[50, 80]", "[0, 80]", r"\[measures.usage\].*rise strictly"),
        ("[50, 80]", "[50]", r"\[measures.usage\].*pairs of value and points"),
        ("[[0, 0], [50, 80], [100, 100]]", "[]", r"\[measures.usage\].*pairs of value and points"),
        ("[[0, 0], [50, 80], [100, 100]]", "3", r"\[measures.usage\].*pairs of value and points"),
        ("{basic = 40, pro = 90}", "{}", "at least one category"),
        ("{basic = 40, pro = 90}", "3", r"\[measures.plan\]"),
        ("other = 50", 'required = "no"', r"\[measures.plan\].*required must be true or false"),
        ("format = 1", "format = = 1", "must be TOML"),
    ],
)
def test_files_that_cannot_be(old: str, new: str, message: str) -> None:
    assert old in SMALL
    with pytest.raises(ScorecardError, match=message):
        Scorecard.from_toml(SMALL.replace(old, new), source="card.toml")


def test_a_card_needs_measures() -> None:
    for text in ("format = 1", "format = 1\nmeasures = 3", "format = 1\n[measures]"):
        with pytest.raises(ScorecardError, match="must have at least one"):
            Scorecard.from_toml(text)
    with pytest.raises(ScorecardError, match="must be a table"):
        Scorecard.from_toml("format = 1\n[measures]\nusage = 3")


def test_loading_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ScorecardError, match=r"readable UTF-8 file; .*none\.toml"):
        load_scorecard(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScorecardError, match="readable UTF-8 file"):
        load_scorecard(tmp_path / "bytes.toml")
    (tmp_path / "card.toml").write_text(SMALL, encoding="utf-8")
    assert load_scorecard(tmp_path / "card.toml") == Scorecard.from_toml(SMALL)
    (tmp_path / "bad.toml").write_text("format = 3", encoding="utf-8")
    with pytest.raises(ScorecardError, match=r"^bad\.toml must say"):
        load_scorecard(tmp_path / "bad.toml")
