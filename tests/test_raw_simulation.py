"""The raw tables of the simulated portfolio give back its monthly metrics, as of each snapshot."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chs_ml.demo import handcrafted_card
from chs_ml.errors import TableError
from chs_ml.raw import build_snapshots
from chs_ml.recipe import load_recipe
from chs_ml.synthetic import Portfolio, RawTables, simulate, write_raw_tables
from chs_ml.synthetic.raw_records import monthly_counts, spread
from chs_ml.table import read_table

KEYS = ["account_id", "snapshot_date"]
LATER = {"tickets": ["escalated_at", "closed_at"], "surveys": ["answered_at"], "invoices": ["paid_at"]}
OF_LATER = {"resolution_hours": "closed_at", "score": "answered_at"}
BEGINS = {
    "subscriptions": "start_date",
    "amendments": "effective_at",
    "events_daily": "event_date",
    "active_users_daily": "event_date",
    "tickets": "opened_at",
    "surveys": "sent_at",
    "invoices": "issued_at",
    "payments": "attempted_at",
    "touchpoints": "happened_at",
    "sponsors": "recorded_at",
}


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return simulate(accounts=300, seed=4)


@pytest.fixture(scope="module")
def raw(portfolio: Portfolio) -> RawTables:
    return portfolio.raw_tables()


@pytest.fixture(scope="module")
def rows(portfolio: Portfolio, raw: RawTables) -> pd.DataFrame:
    """Customers with their seats, and how many calendar months they have been customers."""
    seats = raw.subscriptions.groupby("account_id")["seats"].first()
    return portfolio.customers.assign(seats=portfolio.customers["account_id"].map(seats))


def joined(rows: pd.DataFrame, table: pd.DataFrame, date: str, days: int | None = None) -> pd.DataFrame:
    """Every row of a table that a snapshot knew, by brute force: all pairs, then those in the window."""
    pairs = rows[KEYS].merge(table.rename(columns={"snapshot_date": "other"}), on="account_id")
    known = pairs[date] <= pairs["snapshot_date"]
    if days is not None:
        known &= pairs[date] > pairs["snapshot_date"] - pd.Timedelta(days=days)
    return pairs[known]


def per_row(rows: pd.DataFrame, values: pd.Series, fill: float = np.nan) -> np.ndarray:
    return values.reindex(pd.MultiIndex.from_frame(rows[KEYS])).fillna(fill).to_numpy()


def latest(
    rows: pd.DataFrame, table: pd.DataFrame, date: str, what: str, days: int | None = None
) -> np.ndarray:
    found = joined(rows, table, date, days).sort_values(date, kind="stable")
    return rows[KEYS].merge(found.groupby(KEYS)[what].last(), on=KEYS, how="left")[what].to_numpy()


def test_same_seed_same_tables_and_the_portfolio_does_not_change(
    portfolio: Portfolio, raw: RawTables
) -> None:
    again = simulate(accounts=300, seed=4)
    pd.testing.assert_frame_equal(again.customers, portfolio.customers)
    for (name, table), (_, other) in zip(raw, again.raw_tables(), strict=True):
        pd.testing.assert_frame_equal(table, other, obj=name)


def test_nothing_is_later_than_the_data_cut_or_outside_the_contract(raw: RawTables) -> None:
    first = raw.accounts.set_index("account_id")["first_contract_date"]
    left = raw.subscriptions.groupby("account_id")["cancelled_at"].max()
    for name, table in raw:
        for date in table.select_dtypes("datetime64[us]"):
            if (name, date) not in {
                ("subscriptions", "end_date"),
                ("renewals", "renewal_date"),
                ("invoices", "due_at"),
            }:
                assert table[date].max() <= raw.data_cut, (name, date)
        if name in BEGINS:
            assert (table[BEGINS[name]] >= table["account_id"].map(first)).all(), name
            gone = table["account_id"].map(left)
            last_bills = name == "payments"  # they are paid after the account left
            assert last_bills or (gone.isna() | (table[BEGINS[name]] < gone)).all(), name
        assert table["account_id"].isin(raw.accounts["account_id"]).all()


def test_later_filled_fields_come_later_and_some_after_a_month_end(raw: RawTables) -> None:
    for name, dates in LATER.items():
        table = dict(raw)[name]
        for date in dates:
            known = table[date].notna()
            assert (table.loc[known, date] >= table.loc[known, BEGINS[name]]).all(), date
            assert 0.0 < known.mean() < 1.0
            month_end = table[BEGINS[name]] + pd.offsets.MonthEnd(0)
            after = known & (table[date] > month_end)
            assert after.any() == (date != "escalated_at"), date
    for value, date in OF_LATER.items():
        table = raw.tickets if value in raw.tickets else raw.surveys
        assert (table[value].notna() == table[date].notna()).all()


@pytest.mark.parametrize(
    ("name", "table", "date", "days", "since"),
    [
        ("usage_days", "active_users_daily", "event_date", 30, 1),
        ("touchpoints", "touchpoints", "happened_at", 90, 2),
        ("tickets_escalated", "tickets", "escalated_at", 90, 2),
        ("failed_payments", "payments", "attempted_at", 90, 2),
    ],
)
def test_counts_are_the_metrics(
    rows: pd.DataFrame, raw: RawTables, name: str, table: str, date: str, days: int, since: int
) -> None:
    events = dict(raw)[table]
    if name == "failed_payments":
        events = events[events["status"] == "failed"]
    counts = per_row(rows, joined(rows, events, date, days).groupby(KEYS).size(), 0.0)
    old = rows["tenure_months"] >= since
    assert old.mean() > 0.97
    np.testing.assert_array_equal(counts[old], rows.loc[old, name])
    assert (counts <= rows[name]).all()  # a new account has no past before its contract


def test_open_tickets_are_those_opened_and_not_yet_closed(rows: pd.DataFrame, raw: RawTables) -> None:
    known = joined(rows, raw.tickets, "opened_at")
    known = known[known["closed_at"].isna() | (known["closed_at"] > known["snapshot_date"])]
    np.testing.assert_array_equal(per_row(rows, known.groupby(KEYS).size(), 0.0), rows["tickets_open"])


def test_time_to_resolve_is_the_mean_of_what_was_closed(rows: pd.DataFrame, raw: RawTables) -> None:
    closed = joined(rows, raw.tickets, "closed_at", 30).groupby(KEYS)["resolution_hours"].mean()
    known = rows["resolve_hours"].notna() & (rows["tenure_months"] >= 1)
    np.testing.assert_allclose(per_row(rows, closed)[known], rows.loc[known, "resolve_hours"], atol=1e-9)


@pytest.mark.parametrize("kind", ["nps", "csat"])
def test_latest_survey_answer_is_the_metric(rows: pd.DataFrame, raw: RawTables, kind: str) -> None:
    surveys = raw.surveys[raw.surveys["kind"] == kind]
    found = latest(rows, surveys, "answered_at", "score", 30)
    np.testing.assert_array_equal(found, rows[kind].to_numpy(dtype=float))
    naive = latest(rows, surveys[surveys["score"].notna()], "sent_at", "score", 30)
    assert (np.isnan(found) & ~np.isnan(naive)).any()  # looking at answers that were yet to come shows


def test_overdue_days_are_those_of_the_oldest_unpaid_invoice(rows: pd.DataFrame, raw: RawTables) -> None:
    known = joined(rows, raw.invoices, "issued_at")
    unpaid = known[known["paid_at"].isna() | (known["paid_at"] > known["snapshot_date"])]
    late = (unpaid["snapshot_date"] - unpaid["due_at"]).dt.days.groupby([unpaid[key] for key in KEYS]).max()
    old = rows["tenure_months"] >= 3
    found = np.maximum(per_row(rows, late, 0.0), 0.0)
    np.testing.assert_array_equal(found[old], rows.loc[old, "overdue_days"])
    assert (rows["overdue_days"] > 0).mean() > 0.2


def test_value_growth_sponsor_and_tenure_as_of_the_snapshot(rows: pd.DataFrame, raw: RawTables) -> None:
    terms = raw.subscriptions.rename(columns={"start_date": "effective_at"})
    prices = pd.concat([terms, raw.amendments])[["account_id", "effective_at", "mrr"]]
    arr = 12.0 * latest(rows, prices, "effective_at", "mrr")
    np.testing.assert_allclose(arr, rows["arr"], atol=0.07)
    year_ago = rows.assign(
        snapshot_date=rows["snapshot_date"] - pd.DateOffset(years=1) + pd.offsets.MonthEnd(0)
    )
    before = 12.0 * latest(year_ago, prices, "effective_at", "mrr")
    known = rows["contract_growth"].notna()
    error = np.abs(100.0 * (arr / before - 1.0) - rows["contract_growth"])[known]
    assert (error <= 100.0 * 12.0 / before[known] + 0.06).all()
    np.testing.assert_array_equal(latest(rows, raw.sponsors, "recorded_at", "sponsor"), rows["sponsor"])
    first = rows["account_id"].map(raw.subscriptions.groupby("account_id")["start_date"].min())
    months = (
        (rows["snapshot_date"].dt.year - first.dt.year) * 12 + rows["snapshot_date"].dt.month - first.dt.month
    )
    np.testing.assert_array_equal(months, rows["tenure_months"])


def test_logins_features_and_seats_are_as_near_as_whole_numbers_allow(
    rows: pd.DataFrame, raw: RawTables
) -> None:
    logins = raw.events_daily[raw.events_daily["event_type"] == "login"]
    last = latest(rows, logins.assign(day=logins["event_date"]), "event_date", "day")
    since = (rows["snapshot_date"] - last).dt.days
    in_month = rows["days_since_login"] < rows["snapshot_date"].dt.day
    old = rows["tenure_months"] >= 1
    assert in_month.mean() > 0.99
    np.testing.assert_array_equal(since[in_month & old], rows.loc[in_month & old, "days_since_login"])
    sums = per_row(rows, joined(rows, logins, "event_date", 30).groupby(KEYS)["n_events"].sum(), 0.0)
    enough = old & (rows["seats"] >= 10)
    equal = np.round(sums / rows["seats"], 1) == rows["logins_per_seat"]
    assert equal[enough].mean() > 0.98
    used = old & (rows["usage_days"] > 0)
    most = per_row(
        rows, joined(rows, raw.active_users_daily, "event_date", 30).groupby(KEYS)["active_users"].max()
    )
    error = np.abs(100.0 * most / rows["seats"] - rows["seats_used"])
    half_a_seat = np.maximum(50.0, 100.0 - rows["seats_used"] * rows["seats"] / 100.0) / rows["seats"] + 0.06
    assert (error <= half_a_seat)[used].mean() > 0.995
    features = raw.events_daily[raw.events_daily["event_type"] != "login"]
    distinct = joined(rows, features, "event_date", 30).groupby(KEYS)["event_type"].nunique()
    error = np.abs(10.0 * per_row(rows, distinct, 0.0) - rows["feature_adoption"])[used]
    assert (error <= 10.0).mean() > 0.98
    assert (error <= 5.0 + 1e-9).mean() > 0.9


def test_usage_change_is_that_of_the_month_ends(rows: pd.DataFrame, raw: RawTables) -> None:
    quarters = []
    for back in (range(3), range(3, 6)):
        total = np.zeros(len(rows))
        for months in back:
            then = rows["snapshot_date"] - pd.DateOffset(months=months) + pd.offsets.MonthEnd(0)
            at = rows.assign(snapshot_date=then)
            days = joined(at, raw.active_users_daily, "event_date", 30).groupby(KEYS).size()
            total += per_row(at, days[~days.index.duplicated()], 0.0) + 1.0
        quarters.append(total)
    change = np.minimum(100.0 * (quarters[0] / quarters[1] - 1.0), 200.0)
    known = rows["usage_change"].notna()
    np.testing.assert_allclose(change[known], rows.loc[known, "usage_change"], atol=0.0501)


def test_renewals_are_those_of_the_portfolio(portfolio: Portfolio, raw: RawTables) -> None:
    shown = portfolio.customers["snapshot_date"].min()
    due = raw.renewals[(raw.renewals["renewal_date"] > shown) & (raw.renewals["outcome"] != "open")]
    columns = ["account_id", "renewal_date", "outcome"]
    pd.testing.assert_frame_equal(due[columns].reset_index(drop=True), portfolio.renewals[columns])
    later = raw.renewals[raw.renewals["outcome"] == "open"]
    assert (later["renewal_date"] > raw.data_cut).all()
    assert later["mrr_next"].isna().all()
    assert later["account_id"].is_unique
    ends = raw.subscriptions.sort_values(["account_id", "start_date"])
    following = ends.groupby("account_id")["start_date"].shift(-1)
    assert (following.isna() | (following == ends["end_date"])).all()


def test_monthly_counts_and_spread_by_hand() -> None:
    monthly = np.array([[2, 0, 1, 4], [0, 3, 0, 0]])
    quarterly = np.array([[6.0, 4.0, 3.0, 5.0], [0.0, 3.0, 3.0, 3.0]])
    np.testing.assert_array_equal(monthly_counts(quarterly), monthly)
    accounts, months, number = spread(monthly)
    assert accounts.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]
    assert months.tolist() == [0, 0, 2, 3, 3, 3, 3, 1, 1, 1]
    assert number.tolist() == [0, 1, 0, 0, 1, 2, 3, 0, 1, 2]


@pytest.fixture(scope="module")
def engine_rows(
    portfolio: Portfolio, raw: RawTables, tmp_path_factory: pytest.TempPathFactory
) -> pd.DataFrame:
    """Customers beside what the engine makes of the raw tables at the same month ends."""
    pytest.importorskip("duckdb")
    folder = tmp_path_factory.mktemp("raw")
    write_raw_tables(raw, folder)
    table = build_snapshots(load_recipe(portfolio.raw_recipe(folder, kind="calendar")))
    assert [finding for finding in table.findings if finding.severity != "note"] == []
    both = portfolio.customers.merge(table.frame, on=KEYS, suffixes=("", "_raw"))
    assert len(both) == len(portfolio.customers)
    return both


def test_recipe_makes_the_same_metrics_with_the_engine(engine_rows: pd.DataFrame) -> None:
    old = engine_rows[engine_rows["tenure_months"] >= 3]
    counts = ["usage_days", "tickets_open", "tickets_escalated", "touchpoints", "failed_payments"]
    facts = ["overdue_days", "sponsor", "segment", "contract_term", "plan", "region", "industry", "owner"]
    for name in [*counts, *facts, "name"]:
        assert (old[name] == old[f"{name}_raw"]).all(), name
    for word in ("churned", "open"):
        np.testing.assert_array_equal(engine_rows["outcome"] == word, engine_rows["outcome_raw"] == word)


def test_recipe_makes_nearly_the_same_of_the_others(engine_rows: pd.DataFrame) -> None:
    """Each difference is one that the recipe's docstring states."""
    old = engine_rows[engine_rows["tenure_months"] >= 3]

    def error(name: str) -> pd.Series:
        return (old[f"{name}_raw"] - old[name]).abs()

    assert (error("tenure_months") <= 1.0).all()
    assert (error("days_since_login") == 0).mean() > 0.98
    assert (error("logins_per_seat") <= 0.0501).mean() > 0.8  # of one decimal; whole logins of few seats
    assert (error("feature_adoption") <= 5.0 + 1e-9).mean() > 0.9
    assert error("seats_used").median() < 2.0
    within = old["contract_term"] != "multi-year"  # their prices change inside a term
    growth = error("contract_growth")[within & old["contract_growth"].notna()]
    assert (growth < 0.2).mean() > 0.98, growth.describe()
    assert (error("arr")[within] <= 0.07).all()
    for name in ("usage_change", "resolve_hours"):
        assert old[[name, f"{name}_raw"]].corr(method="spearman").iloc[0, 1] > 0.5, name
    for name in ("nps", "csat"):
        answered = old[name].notna()
        assert (old[name] == old[f"{name}_raw"])[answered].all(), name
        assert old[f"{name}_raw"].isna().mean() < old[name].isna().mean()  # older answers count too


def test_the_recipe_speaks_the_words_of_the_customers_table(portfolio: Portfolio) -> None:
    raw, monthly = load_recipe(portfolio.raw_recipe("raw")).metrics, load_recipe(portfolio.recipe).metrics
    learned = {name: spec for name, spec in raw.items() if spec.model}
    assert set(learned) == set(monthly)
    for name, spec in learned.items():
        for key in ("group", "direction", "unit", "label", "kind"):
            assert getattr(spec, key) == getattr(monthly[name], key), (name, key)
    assert {measure.metric.name for measure in handcrafted_card().measures} <= set(learned)


def test_snapshots_before_renewals_meet_every_renewal(
    portfolio: Portfolio, raw: RawTables, tmp_path: Path
) -> None:
    pytest.importorskip("duckdb")
    write_raw_tables(raw, tmp_path)
    recipe = load_recipe(portfolio.raw_recipe(tmp_path))
    frame = build_snapshots(recipe).frame
    due = frame.assign(renewal_date=frame["snapshot_date"] + pd.Timedelta(days=30))
    known = due[due["outcome"] != "open"]
    assert (due.loc[due["outcome"] == "open", "renewal_date"] > raw.data_cut).all()
    both = portfolio.renewals.merge(known, on=["account_id", "renewal_date"], suffixes=("_true", ""))
    assert len(both) == len(known)
    np.testing.assert_array_equal(both["outcome_true"] == "churned", both["outcome"] == "churned")
    later = portfolio.renewals["renewal_date"] >= known["renewal_date"].min()
    first = portfolio.renewals["account_id"].map(raw.accounts.set_index("account_id")["first_contract_date"])
    old = portfolio.renewals["renewal_date"] - pd.Timedelta(days=30) >= first
    assert len(known) == (later & old).sum()


def test_tables_are_written_and_read_again(raw: RawTables, tmp_path: Path) -> None:
    files = write_raw_tables(raw, tmp_path / "raw")
    assert sorted(files) == sorted(name for name, _ in raw)
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == sorted(
        f"{name}.parquet" for name in files
    )
    for name, table in raw:
        again = read_table(files[name])
        assert list(again.columns) == list(table.columns)
        pd.testing.assert_frame_equal(again, table, check_dtype=False)


def test_a_folder_that_cannot_be_is_refused(raw: RawTables, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(TableError, match=r"Cannot make the folder .*file.*:"):
        write_raw_tables(raw, blocked / "raw")


def test_the_smallest_portfolio_has_all_its_tables() -> None:
    columns = {
        name: list(table.columns) for name, table in simulate(accounts=50, months=4, seed=0).raw_tables()
    }
    smallest = simulate(accounts=1, months=4, seed=0).raw_tables()
    assert {name: list(table.columns) for name, table in smallest} == columns
