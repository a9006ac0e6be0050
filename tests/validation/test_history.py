"""Time: capture before churn, alarms, moves and hysteresis, on histories that can be checked by eye."""

import numpy as np
import pandas as pd
import pytest

from chs_ml.errors import TableError
from chs_ml.validation.capture import capture_before_churn, false_alarms, green_churn
from chs_ml.validation.history import ScoreHistory, score_history
from chs_ml.validation.migration import flapping, hysteresis_cost, migration_matrix, with_hysteresis

SCORES = {
    "a": [90, 80, 60, 40, 30],  # falls, churns on 15 June
    "b": [90, 90, 90, 90, 90],  # stays green, churns on 15 June
    "c": [74, 76, 74, 76, 74],  # flaps around a bound
    "d": [40, 80, 80, 80, np.nan],  # a false alarm, then withheld
}
MONTHS = pd.to_datetime(["2025-01-31", "2025-02-28", "2025-03-31", "2025-04-30", "2025-05-31"])
CHURNS = pd.Series(pd.to_datetime(["2025-06-15", "2025-06-15"]), index=["a", "b"])


def history() -> ScoreHistory:
    rows = [(a, day, s) for a, scores in SCORES.items() for day, s in zip(MONTHS, scores, strict=True)]
    frame = pd.DataFrame(rows, columns=["account", "day", "score"]).sample(frac=1.0, random_state=0)
    return score_history(frame["account"], snapshot_date=frame["day"], score=frame["score"].astype(float))


def test_capture_looks_up_the_last_score_before() -> None:
    found = capture_before_churn(history(), CHURNS, days=(10, 60, 90, 120, 300))
    by_days = {c.days_before: c for c in found}
    assert by_days[10].critical == 0.5  # a: 30 on 31 May
    assert (by_days[60].below_healthy, by_days[60].critical) == (0.5, 0.0)  # 16 April: a is at 60
    assert by_days[90].below_healthy == 0.0  # 17 March: a was at 80
    assert (by_days[300].known, by_days[300].churned) == (0, 2)
    assert np.isnan(by_days[300].below_healthy)
    assert by_days[60].below_healthy_interval.holds(0.5)


def test_scores_that_are_too_old_say_nothing() -> None:
    late = pd.Series(pd.to_datetime(["2025-09-30"]), index=["a"])
    assert capture_before_churn(history(), late, days=(30,))[0].known == 0
    assert capture_before_churn(history(), late, days=(30,), max_age_days=120)[0].known == 1


def test_green_churn_lists_accounts_with_their_details() -> None:
    details = pd.DataFrame({"account": ["b"], "snapshot_date": ["2025-03-31"], "coverage": [0.4]})
    listed = green_churn(history(), CHURNS, details=details, days_before=60)
    assert listed[["account", "score", "tier", "coverage"]].to_numpy().tolist() == [
        ["b", 90.0, "Healthy", 0.4]
    ]
    assert list(listed.columns[:5]) == ["account", "churn_date", "snapshot_date", "score", "tier"]


def test_false_alarms_wait_for_their_horizon() -> None:
    found = false_alarms(history(), CHURNS, as_of="2025-06-30", horizon_days=90)
    assert (found.alarms, found.open) == (2, 0)  # a's came true, d's did not
    assert found.false_share == 0.5
    assert found.interval.holds(0.5)
    early = false_alarms(history(), CHURNS, as_of="2025-04-15", horizon_days=90)
    assert (early.alarms, early.open) == (1, 1)  # d's horizon is not over; a's is already confirmed
    assert found.per_account_year == pytest.approx(2 / (4 * 120 / 365.25))


def test_moves_are_counted() -> None:
    matrix = migration_matrix(history())
    expected = [[5 + 2, 1 + 2, 0], [2, 0, 1], [1, 0, 1]]
    np.testing.assert_array_equal(matrix.to_numpy(), expected)
    assert matrix.to_numpy().sum() == 15  # four months of four accounts, less the one without a score
    shares = migration_matrix(history(), shares=True)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)


def test_flaps_are_changes_taken_back() -> None:
    found = flapping(history())
    assert (found.moves, found.changes, found.flaps) == (15, 7, 3)  # a: 2, c: 4, d: 1; only c turns back
    assert found.change_rate == pytest.approx(7 / 15)
    assert found.flapping_rate == pytest.approx(3 / 6)  # a's last change is followed by one more month


def test_margin_holds_an_account_that_flaps() -> None:
    held = with_hysteresis(history(), margin=2.0)
    assert flapping(held).flaps == 0
    tiers = held.frame.set_index(["account", "snapshot_date"])["tier"]
    assert tiers["c"].tolist() == [1, 1, 1, 1, 1]
    assert tiers["a"].tolist() == [0, 0, 1, 2, 2]
    assert tiers["d"].tolist() == [2, 0, 0, 0, -1]


def test_two_readings_delay_a_change_by_one_snapshot() -> None:
    tiers = with_hysteresis(history(), readings=2).frame.set_index(["account", "snapshot_date"])["tier"]
    assert tiers["a"].tolist() == [0, 0, 0, 2, 2]
    assert tiers["c"].tolist() == [1, 1, 1, 1, 1]
    assert tiers["d"].tolist() == [2, 2, 0, 0, -1]


def test_no_hysteresis_changes_nothing() -> None:
    pd.testing.assert_frame_equal(with_hysteresis(history()).frame, history().frame)


def test_cost_of_hysteresis() -> None:
    plain, slow = hysteresis_cost(history(), CHURNS, settings=((0.0, 1), (0.0, 3)))
    assert (plain.delay_days, plain.lost_alarms) == (0.0, 0)
    assert slow.delay_days == 31.0  # a: alarmed on 31 May instead of 30 April
    assert slow.flapping_rate != slow.flapping_rate or slow.flapping_rate < plain.flapping_rate
    assert slow.captured < plain.captured


def test_double_snapshots_and_unreadable_dates_are_refused() -> None:
    with pytest.raises(TableError, match="one score per snapshot; 1 have more, first of 'x'"):
        score_history(["x", "x"], snapshot_date=["2025-01-01", "2025-01-01"], score=[1.0, 2.0])
    with pytest.raises(TableError, match="snapshot_date must be a date"):
        score_history(["x", "y"], snapshot_date=["2025-01-01", "soon"], score=[1.0, 2.0])
