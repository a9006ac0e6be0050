"""Counting a portfolio: against pandas over the whole table, however it is cut into chunks."""

import numpy as np
import pandas as pd
import pytest

from chs_ml.health_model import CarriedColumns
from chs_ml.portfolio_summary import (
    AccountAtRisk,
    Expectation,
    PortfolioSummary,
    PortfolioTally,
    usable_values,
)
from chs_ml.tiers import Tiers

CARRIED = CarriedColumns(account="id", snapshot_date="day", value="arr", keep=("owner",))


def book(*, accounts: int = 60, rows: int = 400, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A table with several snapshots per account, in no order, and scores for it."""
    rng = np.random.default_rng(seed)
    days = pd.to_datetime(rng.choice(["2025-01-31", "2025-02-28", "2025-03-31"], rows))
    frame = pd.DataFrame(
        {
            "id": [f"A{i}" for i in rng.integers(0, accounts, rows)],
            "day": days,
            "arr": rng.uniform(1, 100, rows).round(2),
        }
    )
    probability = rng.uniform(0.01, 0.6, rows)
    scores = pd.DataFrame({"churn_probability": probability, "health_score": 100 * (1 - probability)})
    scores["status"] = "ok"
    return frame, scores


def tallied(frame: pd.DataFrame, scores: pd.DataFrame, *, rows: int) -> PortfolioTally:
    tally = PortfolioTally(Tiers(), CARRIED)
    for start in range(0, len(frame), rows):
        tally.add(frame.iloc[start : start + rows], scores.iloc[start : start + rows])
    return tally


def latest(frame: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    return frame.join(scores).sort_values("day", kind="stable").groupby("id").tail(1)


@pytest.mark.parametrize("rows", [1, 7, 400])
def test_each_account_counts_once_by_its_latest_snapshot(rows: int) -> None:
    frame, scores = book()
    summary, expected = tallied(frame, scores, rows=rows).summary(), latest(frame, scores)
    p, value = expected["churn_probability"], expected["arr"]
    assert (summary.rows, summary.accounts) == (400, len(expected))
    assert summary.expected_churns.expected == pytest.approx(p.sum())
    assert summary.value_at_risk is not None
    assert summary.value_at_risk.expected == pytest.approx((p * value).sum())
    assert summary.value == pytest.approx(value.sum())
    tiers = pd.Series(Tiers().assign(expected["health_score"].to_numpy())).value_counts()
    assert {t.tier: t.accounts for t in summary.tiers} == tiers.to_dict()
    assert sum(t.share for t in summary.tiers) == pytest.approx(1.0)


@pytest.mark.parametrize("rows", [3, 400])
def test_the_top_are_latest_snapshots_with_most_value_at_risk(rows: int) -> None:
    frame, scores = book()
    found = tallied(frame, scores, rows=rows).top_rows(5)
    expected = latest(frame, scores)
    expected["at_risk"] = expected["churn_probability"] * expected["arr"]
    assert found == expected.sort_values("at_risk", ascending=False).index[:5].to_list()


def test_equals_stand_in_the_order_of_the_table() -> None:
    frame = pd.DataFrame({"id": list("dcba"), "day": "2025-01-31", "arr": 10.0})
    scores = pd.DataFrame({"churn_probability": 0.2, "health_score": 60.0, "status": "ok"}, index=range(4))
    assert tallied(frame, scores, rows=2).top_rows() == [0, 1, 2, 3]


def test_intervals_cover_what_chance_does() -> None:
    rng = np.random.default_rng(3)
    p, value = rng.uniform(0.02, 0.5, 300), rng.uniform(1.0, 9.0, 300)
    churned = rng.random((20_000, 300)) < p
    for size in (np.ones(300), value):
        found, sums = Expectation.of(p, size), churned @ size
        assert found.expected == pytest.approx(sums.mean(), rel=0.01)
        inside = np.mean((sums >= found.low) & (sums <= found.high))
        assert 0.935 < inside < 0.965


def test_intervals_stop_at_nothing_and_at_everything() -> None:
    few = Expectation.of(np.array([0.01, 0.99]), np.array([1.0, 1.0]))
    assert (few.low >= 0.0, few.high <= 2.0) == (True, True)
    assert Expectation.of(np.zeros(0), np.zeros(0)) == Expectation(0.0, 0.0, 0.0)


def test_values_that_cannot_be_count_as_nothing() -> None:
    frame = pd.DataFrame({"id": list("abcde"), "day": "2025-01-31", "arr": ["10", "", "-3", "many", None]})
    scores = pd.DataFrame({"churn_probability": 0.5, "health_score": 60.0, "status": "ok"}, index=range(5))
    assert np.array_equal(usable_values(frame, CARRIED), [10, np.nan, np.nan, np.nan, np.nan], equal_nan=True)
    summary = tallied(frame, scores, rows=5).summary()
    assert summary.value == 10.0
    assert any("4 accounts add nothing to the value" in note for note in summary.notes)


def test_rows_without_an_id_are_accounts_of_their_own_and_ids_may_be_numbers() -> None:
    frame = pd.DataFrame({"id": pd.array([1, 1, None, None], dtype="Int64"), "day": "2025-01-31", "arr": 1.0})
    scores = pd.DataFrame({"churn_probability": 0.5, "health_score": 60.0, "status": "ok"}, index=range(4))
    assert tallied(frame, scores, rows=2).summary().accounts == 3


def test_what_has_no_score_is_counted_and_said() -> None:
    frame, scores = book(accounts=400, rows=10)
    frame["id"] = [f"A{i}" for i in range(10)]
    scores.loc[:2, ["churn_probability", "health_score"]] = np.nan
    scores.loc[:2, "status"] = "invalid"
    summary = tallied(frame, scores, rows=4).summary()
    assert summary.statuses == {"ok": 7, "degraded": 0, "withheld": 0, "invalid": 3}
    assert summary.accounts == 7
    assert any("3 accounts have no score" in note for note in summary.notes)


def test_without_columns_rows_count_and_nothing_is_said_about_value() -> None:
    frame, scores = book(rows=30)
    summary = tallied(frame.drop(columns=["id", "day", "arr"]), scores, rows=30).summary()
    assert (summary.accounts, summary.value_at_risk, summary.value_column) == (30, None, None)
    assert tallied(frame[["id"]], scores, rows=30).top_rows(3)
    assert any("no column 'arr'" in note for note in summary.notes)


def test_repeated_and_older_snapshots_are_said() -> None:
    frame, scores = book()
    notes = " ".join(tallied(frame, scores, rows=100).summary().notes)
    assert "400 rows are of" in notes
    assert "by its latest snapshot" in notes
    assert "no snapshot on the newest day" in notes


def test_no_rows_at_all() -> None:
    tally = PortfolioTally(Tiers(), CARRIED)
    assert tally.top_rows() == []
    assert tally.summary().accounts == 0


def account(**changes: object) -> AccountAtRisk:
    values: dict[str, object] = {
        "account": "A" * 40,
        "snapshot_date": "2025-01-31",
        "churn_probability": 0.4,
        "health_score": 31.0,
        "tier": "Critical",
        "value": 1e9,
        "value_at_risk": 4e8,
        "kept": {f"column {i}": "x" * 40 for i in range(9)},
        "reasons": ("Seats used 41 % → −8.2 points",) * 6,
    }
    return AccountAtRisk(**{**values, **changes})


def test_text_keeps_to_the_width_and_says_the_reasons() -> None:
    frame, scores = book()
    text = str(tallied(frame, scores, rows=100).summary([account(), account(reasons=())]))
    assert "Seats used 41 % → −8.2;" in text
    assert "Value at risk" in text


@pytest.mark.parametrize("kept", [{}, {"owner": "x" * 200}, {f"column {i}": "x" * 40 for i in range(9)}])
def test_no_line_is_wider_than_a_terminal(kept: dict[str, str]) -> None:
    frame, scores = book()
    summary: PortfolioSummary = tallied(frame, scores, rows=100).summary([account(kept=kept)])
    assert max(map(len, summary.to_text().splitlines())) <= 100
    assert summary.to_dict()["top"][0]["kept"] == kept
