"""docs/scorecards.md: its example scores what it says, and it names every key and dialect."""

import re
from pathlib import Path

import pandas as pd
import pytest

from chs_ml.scorecard import DIALECTS, MissingRule, Scorecard
from chs_ml.scorecard.reading import CARD_KEYS, GROUP_KEYS, LIMIT_KEYS, MEASURE_KEYS
from tests.scorecard.cards import NAN, straight


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    return (root / "docs" / "scorecards.md").read_text(encoding="utf-8")


def test_the_example_scores_what_the_text_says(text: str) -> None:
    card = Scorecard.from_toml(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0])
    frame = pd.DataFrame(
        {"usage_days": [12], "seats_used": [75], "pulse": ["Good"], "pulse_date": ["2026-01-01"]}
    )
    score = card.score(frame, as_of="2026-03-02")  # 60 days on
    assert score["health_score"].iloc[0] == pytest.approx(0.6 * (2 * 50 + 75) / 3 + 0.4 * 75, abs=1e-9)
    assert score["health_score"].iloc[0] == pytest.approx(65.0, abs=1e-9)
    assert score["status_detail"].iloc[0] == "stale, decayed: pulse"


def test_every_key_is_documented(text: str) -> None:
    for key in {*CARD_KEYS[2], *MEASURE_KEYS[2], *GROUP_KEYS, *LIMIT_KEYS} - {"measures", "groups", "limits"}:
        assert re.search(rf"`\[*{re.escape(key)}\]*`", text), key
    for name in (*DIALECTS, *(str(rule) for rule in MissingRule)):
        assert f"`{name}`" in text, name


def test_the_policies_give_the_scores_of_the_table(text: str) -> None:
    lines = (straight("use", 30.0, group="usage"), straight("seats", 10.0, group="usage"),
             straight("nps", 40.0, group="mood"), straight("csat", 20.0, group="mood"))  # fmt: skip
    frame = pd.DataFrame({"use": [80.0], "seats": [NAN], "nps": [50.0], "csat": [NAN]})
    expected = {"renormalise": 4400 / 70, "redistribute": 62.0, "neutral": 59.0, "worst": 44.0}
    for rule, score in expected.items():
        card = Scorecard(name="x", measures=lines, missing=MissingRule(rule))
        assert card.score(frame)["health_score"].iloc[0] == pytest.approx(score, abs=1e-9)
        assert re.search(rf"`{rule}` .*= {score:.4g} \|", text), rule
