"""The platforms' rules, each with its example card and scores computed by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chs_ml.curves import LinearCurve
from chs_ml.errors import ScorecardError, TableError
from chs_ml.scorecard import DIALECTS, Scorecard, load_scorecard

CARDS = Path(__file__).resolve().parents[2] / "models" / "scorecards"
ACCOUNTS = pd.read_csv(Path(__file__).parent / "accounts.csv")
# sound: usage 20, NPS 9, tickets 1, growth 6, touches 4.  edge: every value on the upper of its two bounds:
# usage 12, NPS 8, tickets 4, growth 5, touches 3.  half: usage 3, tickets 5, touches 0;
# NPS and growth missing. Bounds: usage 5 / 12, NPS 6 / 8, tickets 1 / 4, growth -5 / 5, touches 0 / 3.

EXPECTED = {
    # ranges hold their upper bound; 25 / 65 / 100.  sound: all 100.  edge: all 65, tickets 4 in (1, 4]: 65.
    # half: (30 * 25 + 20 * 25 + 15 * 25) / 65
    "gainsight": [100.0, 65.0, 25.0],
    # bounds go up: usage, NPS, growth, touches good; tickets 4 is poor -> 80; sound's ticket 1 is average:
    # 80 + 0.2 * 60;  half: usage poor, tickets poor, touches 0 average: 15 * 60 / 65
    "totango": [92.0, 80.0, 15 * 60 / 65],
    # one poor metric is poor; sound has four good and one average: (4 * 100 + 60) / 5
    "totango_account_health": [92.0, 0.0, 0.0],
    # out of 10: 8 + 0.2 * 5 = 9;  8;  15 * 5 / 65
    "vitally": [90.0, 80.0, 10 * 15 * 5 / 65],
    # tops belong below; 0 / 50 / 100: sound all 100;  edge all 50;
    # half: missing gets nothing, and touches 0 is worst
    "churnzero": [100.0, 50.0, 0.0],
    # groups' highs.  sound: 30 + 20 + 10 + 15 + 15 = 90;  edge: 30 + 20 - 10 + 15 + 15 = 70;
    # half: 0 + nothing - 10 + nothing + 7 = -3 -> 0
    "hubspot": [90.0, 70.0, 0.0],
    # of 10: 5 + usage 1.5 at 20, NPS 9: .8, ticket 1: 0, growth 6: .225, touches 4: .25;
    # edge: usage 12: -1.5 + 3 * 12/20 = .3, NPS 8: .6, tickets 4: -1 and, between 2 and 4, .5,
    # growth 5: .1875, touches 3: 0;  half: usage 3: -1.05, tickets 5: -1 and no longer .5, touches 0: -.75
    "planhat": [77.75, 55.875, 22.0],
    # 50 + 15 + 10 + 0 + 7.5 + 7.5;  50 + 15 + 10 - 10 + 7.5 + 7.5;  50 - 15 - 10 + 0
    "qualtrics": [90.0, 80.0, 25.0],
    # weights 5 (pulse), 5, 3, 3, 2, 2 of 20.
    # sound: pulse 80, of 10 days ago: (5 * 80 + 5 * 100 + 3 * 100 + 3 * 50 + 2 * 100 + 2 * 100) / 20
    # edge: pulse 25, of 60 days ago, 30 past its 30: half-way to 50 is 37.5; tickets 0:
    # (5 * 37.5 + 500 + 300 + 0 + 200 + 200) / 20
    # half: Pulse, Sentiment and Value wholly missing: usage 5, support 3, engagement 2 of 10: 2 * 50 / 10
    "clientsuccess": [87.5, 69.375, 10.0],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_scores_by_hand(name: str) -> None:
    scores = load_scorecard(CARDS / f"{name}.toml").score(ACCOUNTS, as_of="2026-06-30")
    np.testing.assert_allclose(scores["health_score"][:3], EXPECTED[name], atol=1e-9, rtol=0)
    assert scores["status"].tolist()[3] == "withheld"
    assert "no metric has a value" in scores["status_detail"].iloc[3]


def test_labels_on_the_edge() -> None:
    gainsight = load_scorecard(CARDS / "gainsight.toml")
    assert gainsight.scheme is not None
    assert gainsight.scheme.assign(np.array([50.0, 50.0001, 75.0, 75.0001])).tolist() == [
        "Red",
        "Yellow",
        "Yellow",
        "Green",
    ]
    qualtrics = load_scorecard(CARDS / "qualtrics.toml")
    assert qualtrics.scheme is not None
    assert qualtrics.scheme.assign(np.array([49.9999, 50.0, 74.9999, 75.0])).tolist() == [
        "Low",
        "Medium",
        "Medium",
        "High",
    ]


def changed(name: str, old: str, new: str) -> str:
    text = (CARDS / f"{name}.toml").read_text(encoding="utf-8")
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("gainsight", "weight = 30", "weight = 1000000", "between 0 and 999,999"),
        ("totango", '"average"', "55", "points must be among 100.0, 60.0, 0.0; found 55.0"),
        ("totango", '"average"', '"avrage"', "Did you mean 'average'"),
        ("totango", 'missing = "renormalise"', "", "leaves open 'missing'"),
        ("vitally", '"healthy"', "9", "points must be among 0.0, 5.0, 10.0; found 9.0"),
        ("churnzero", "weight = 30", "weight = 31", "must add up to 100 points; they add up to 101"),
        ("hubspot", "high = 30", "high = 31", "must sum to 100; they sum to 101"),
        ("hubspot", "high = 30", "low = 0", "these lack it: 'Product usage'"),
        ("clientsuccess", "weight = 5", "weight = 6", "between 1 and 5; not so: 'pulse'"),
        ("qualtrics", "start = 50", "", "leaves open 'start'"),
        ("planhat", "\noutside = 0", "\noutsides = 0", "Did you mean 'outside'"),
        ("qualtrics", 'edge = "bottom"', "", "leaves open 'edge'"),
        ("gainsight", '"gainsight"', '"gainsihgt"', "Did you mean 'gainsight'"),
    ],
)
def test_what_a_platform_would_refuse(name: str, old: str, new: str, message: str) -> None:
    with pytest.raises(ScorecardError, match=message):
        Scorecard.from_toml(changed(name, old, new), source="card.toml")


def test_every_dialect_has_an_example() -> None:
    cards = [load_scorecard(p) for p in CARDS.glob("*.toml") if p.name != "lifecycle.toml"]
    assert {card.dialect for card in cards} - {""} == set(DIALECTS) - {"catalyst"}


def test_planhats_linear_scales_at_their_ends() -> None:
    # the vendor's own example: NPS from 0 to 10 is worth -5 to +5, so that 7 is worth +2
    linear = LinearCurve(x=(0.0, 10.0), points=(-5.0, 5.0))
    bounded = LinearCurve(x=(0.0, 10.0), points=(-5.0, 5.0), outside=0.0)
    values = np.array([-0.0001, 0.0, 7.0, 10.0, 10.0001, np.nan])
    np.testing.assert_allclose(linear.evaluate(values), [-5, -5, 2, 5, 5, np.nan], atol=1e-9)
    np.testing.assert_allclose(bounded.evaluate(values), [0, -5, 2, 5, 0, np.nan], atol=1e-9)


def test_two_measures_read_one_column() -> None:
    card = load_scorecard(CARDS / "planhat.toml")
    assert card.metric_names.count("asks_for_help") == 1
    assert "asks_for_help" not in card.schema.required_names
    frame = ACCOUNTS.iloc[:1].assign(tickets_open=3)
    # ticket bands: 3 in [1, 4) is worth 0; between 2 and 4 adds .5: 7.775 + .5
    assert card.score(frame)["own_score"].iloc[0] == pytest.approx(8.275, abs=1e-9)
    cost = card.explain(frame).iloc[0]
    assert (cost["tickets_open"], cost["asks_for_help"]) == pytest.approx((0.0, 5.0), abs=1e-9)
    again = Scorecard.from_toml(card.to_toml())
    assert again == card
    pd.testing.assert_frame_equal(again.score(ACCOUNTS), card.score(ACCOUNTS))
    with pytest.raises(TableError, match="1 of 5 missing: 'tickets_open'"):
        card.score(ACCOUNTS.drop(columns="tickets_open"))
    # many rows are read in columns, few value by value
    many = pd.concat([ACCOUNTS] * 5, ignore_index=True)
    np.testing.assert_array_equal(
        card.score(many)["health_score"].to_numpy()[:4], card.score(ACCOUNTS)["health_score"].to_numpy()
    )
