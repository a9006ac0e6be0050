"""Scores set by hand, exceptions, expiry."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from chs_ml.errors import ScorecardError, TableError
from chs_ml.scorecard import Override, Scorecard, overrides_from
from tests.scorecard.cards import NAN, straight

CARD = Scorecard(name="x", measures=(straight("a", 3.0), straight("b", 1.0)))
FRAME = pd.DataFrame({
    "account": ["k", "k", "k", "k", "l"],
    "day": ["2026-02-28", "2026-03-01", "2026-03-31", "2026-04-01", "2026-03-15"],
    "a": 40.0,
    "b": [80.0, 80.0, 80.0, 80.0, NAN],
})  # fmt: skip
BEFORE = (3 * 40 + 80) / 4  # 50
MARCH = {"account": "k", "start": date(2026, 3, 1), "until": date(2026, 3, 31)}


def scored(*overrides: Override) -> pd.DataFrame:
    return CARD.score(FRAME, as_of="day", account="account", overrides=overrides)


def test_an_override_of_the_score_holds_from_its_first_to_its_last_day() -> None:
    table = scored(Override(points=90.0, reason="new sponsor", **MARCH))
    np.testing.assert_allclose(table["health_score"], [BEFORE, 90.0, 90.0, BEFORE, 40.0], atol=1e-9)
    said = "override until 2026-03-31: new sponsor"
    assert table["status_detail"].tolist() == ["", said, said, "", ""]
    assert table["tier"].tolist()[:2] == ["At-Risk", "Healthy"]


def test_an_override_of_a_measure_and_an_exception() -> None:
    # b set to 0: 120 / 4 = 30.  b excepted: a alone, 40
    np.testing.assert_allclose(
        scored(Override(measure="b", points=0.0, **MARCH))["health_score"],
        [BEFORE, 30, 30, BEFORE, 40],
        atol=1e-9,
    )
    table = scored(Override(measure="b", **MARCH))
    np.testing.assert_allclose(table["health_score"], [BEFORE, 40, 40, BEFORE, 40], atol=1e-9)
    np.testing.assert_allclose(table["coverage"], [1, 0.75, 0.75, 1, 0.75])
    assert table["status_detail"].iloc[1] == "b exception until 2026-03-31"


def test_later_overrides_win_and_a_score_by_hand_is_not_withheld() -> None:
    frame = pd.DataFrame({"account": ["k"], "a": [NAN], "b": [NAN]})
    first, second = (Override(account="k", until=date(2026, 3, 31), points=p) for p in (10.0, 20.0))
    table = CARD.score(frame, as_of="2026-03-31", account="account", overrides=[first, second])
    assert (table["health_score"][0], table["status"][0]) == (20.0, "ok")
    late = CARD.score(frame, as_of="2026-04-01", account="account", overrides=[first, second])
    assert (late["status"][0], late["status_detail"][0]) == ("withheld", "no metric has a value")


def test_overrides_from_a_table() -> None:
    table = pd.DataFrame({
        "account": ["k", "l"], "measure": ["", "b"], "points": ["90", ""], "from": ["2026-03-01", ""],
        "until": ["2026-03-31", "2026-12-31"], "reason": ["x", ""],
    })  # fmt: skip
    assert overrides_from(table) == (
        Override(points=90.0, reason="x", **MARCH),
        Override(account="l", measure="b", until=date(2026, 12, 31)),
    )
    with pytest.raises(TableError, match="missing: 'until'"):
        overrides_from(table.drop(columns="until"))
    with pytest.raises(TableError, match=r"until when it holds.*'l'"):
        overrides_from(table.assign(until=["2026-03-31", "soon"]))
    with pytest.raises(TableError, match="must be a number or blank; account 'k' has 'many'"):
        overrides_from(table.assign(points=["many", ""]))


def test_overrides_that_cannot_be() -> None:
    with pytest.raises(ScorecardError, match="must name its measure"):
        Override(account="k", until=date(2026, 1, 1))
    with pytest.raises(ScorecardError, match="must end after it starts"):
        Override(account="k", start=date(2026, 1, 2), until=date(2026, 1, 1), points=1.0)
    with pytest.raises(ScorecardError, match="must be finite"):
        Override(account="k", until=date(2026, 1, 1), points=NAN)
    with pytest.raises(ScorecardError, match="these are none: 'c'"):
        scored(Override(measure="c", **MARCH))
    with pytest.raises(TableError, match="need as_of"):
        CARD.score(FRAME, overrides=[Override(points=1.0, **MARCH)])
