"""Points of events that lose them with age, by hand."""

import numpy as np
import pandas as pd
import pytest

from chs_ml.errors import ScorecardError, TableError
from chs_ml.scorecard import Scorecard, event_points

EVENTS = pd.DataFrame(
    {
        "account": ["a", "a", "a", "b", "c"],
        "date": ["2026-06-30", "2026-05-31", "2026-01-01", "2026-07-01", "2026-06-15"],
    }
)
ACCOUNTS = pd.Series(["a", "b", "c", "d"], index=[7, 8, 9, 10])


def test_each_event_loses_its_points_by_its_own_age() -> None:
    # 25 % per 30 days.  a: today 12, 30 days ago 12 * .75 = 9, 180 days ago nothing;  b: tomorrow;
    # c: 15 days ago 12 * (1 - .125) = 10.5;  d: none
    found = event_points(EVENTS, ACCOUNTS, as_of="2026-06-30", points=12.0, lost=0.25)
    assert found.index.tolist() == [7, 8, 9, 10]
    np.testing.assert_allclose(found, [21.0, 0.0, 10.5, 0.0], atol=1e-9, rtol=0)
    plain = event_points(EVENTS, ACCOUNTS, as_of="2026-06-30", points=-2.0)
    np.testing.assert_allclose(plain, [-6.0, 0.0, -2.0, 0.0], atol=1e-9, rtol=0)


def test_a_snapshot_of_each_row() -> None:
    days = pd.Series(["2026-06-30", "2026-07-11", "2026-06-14", "2026-06-30"], index=ACCOUNTS.index)
    found = event_points(EVENTS, ACCOUNTS, as_of=days, points=8.0, lost=0.5, every_days=20.0)
    # a: 8 + 8 * (1 - .5 * 30 / 20) = 2;  b: 10 days old, 8 * .75;  c: the day after
    np.testing.assert_allclose(found, [10.0, 6.0, 0.0, 0.0], atol=1e-9, rtol=0)


def test_a_hubspot_card_holds_the_sum_at_the_most_of_its_group() -> None:
    text = """
    format = 2
    name = "x"
    dialect = "hubspot"
    [groups.Visits]
    high = 15
    [groups.Fit]
    high = 85
    [measures.visits]
    group = "Visits"
    weight = 1
    curve = [[-100, -100], [100, 100]]
    [measures.seats]
    group = "Fit"
    weight = 1
    edge = "bottom"
    bands = [{to = 10, points = 5}, {points = 40}]
    """
    frame = pd.DataFrame({"seats": [20.0, 5.0, 5.0, 20.0]}, index=ACCOUNTS.index)
    visits = event_points(EVENTS, ACCOUNTS, as_of="2026-06-30", points=12.0, lost=0.25)
    score = Scorecard.from_toml(text).score(frame.assign(visits=visits))["health_score"]
    # 21 is held at 15, and 40;  0 and 5;  10.5 and 5;  0 and 40
    np.testing.assert_allclose(score, [55.0, 5.0, 15.5, 40.0], atol=1e-9, rtol=0)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ScorecardError, match="share lost from 0 to 1"):
        event_points(EVENTS, ACCOUNTS, as_of="2026-06-30", points=1.0, lost=25.0)
    with pytest.raises(TableError, match="must have the column 'day'"):
        event_points(EVENTS, ACCOUNTS, as_of="2026-06-30", points=1.0, date="day")
    broken = EVENTS.assign(date=["soon", *EVENTS["date"][1:]])
    with pytest.raises(TableError, match="1 have none: accounts 'a'"):
        event_points(broken, ACCOUNTS, as_of="2026-06-30", points=1.0)
