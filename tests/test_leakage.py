"""The leak meter names planted leaks of every kind, and says nothing about clean portfolios."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from chs_ml.dataset import Dataset, build_dataset
from chs_ml.errors import InputError, NotEnoughData
from chs_ml.leakage import (
    LagAuc,
    aucs_by_lag,
    compare_splits,
    dates_after_snapshot,
    frozen_metrics,
    healing_scores,
    leak_report,
    negative_ages,
    renewal_proxies,
    snapshots_after_churn,
    split_gaps,
    steep_lags,
)
from chs_ml.leakage.columns import binned, unseen_risk
from chs_ml.metric import Kind, Metric
from chs_ml.recipe import load_recipe
from chs_ml.synthetic import Portfolio, simulate

Column = tuple[Metric, Any]


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return simulate(accounts=600, seed=2)


@pytest.fixture(scope="module")
def dataset(portfolio: Portfolio) -> Dataset:
    return dataset_of(portfolio)


@pytest.fixture(scope="module")
def churn_dates(portfolio: Portfolio) -> pd.Series:
    return churns_of(portfolio)


def dataset_of(portfolio: Portfolio) -> Dataset:
    return build_dataset(load_recipe(portfolio.recipe), portfolio.customers)


def churns_of(portfolio: Portfolio) -> pd.Series:
    left = portfolio.renewals[portfolio.renewals["outcome"] == "churned"]
    return left.set_index("account_id")["renewal_date"]


def with_metric(dataset: Dataset, name: str, values: Any, **about: Any) -> Dataset:
    """The dataset with one metric more."""
    frame = dataset.frame.assign(**{name: np.asarray(values)})
    return replace(dataset, frame=frame, metrics=(*dataset.metrics, Metric(name=name, **about)))


def only(dataset: Dataset, name: str) -> Dataset:
    metric = next(metric for metric in dataset.metrics if metric.name == name)
    return replace(dataset, frame=dataset.frame[[name]], metrics=(metric,))


def named(findings: Any) -> set[tuple[str, str]]:
    return {(finding.code, finding.subject) for finding in findings}


def last_churned(dataset: Dataset) -> np.ndarray:
    """Rows that are the last snapshot before a churn."""
    last = dataset.snapshot_date.groupby(dataset.account).transform("max")
    return ((dataset.churned == 1.0) & (dataset.snapshot_date == last)).to_numpy()


def code_of(account: pd.Series) -> np.ndarray:
    return pd.factorize(account)[0]


# --- nothing to say about clean portfolios ---


@pytest.mark.parametrize("seed", range(3))
def test_clean_portfolios_raise_no_alarm(seed: int) -> None:
    portfolio = simulate(accounts=500, seed=30 + seed)
    for dates in (None, churns_of(portfolio)):
        report = leak_report(dataset_of(portfolio), churn_dates=dates)
        assert report.clean, [finding.message for finding in report.findings]
        assert "score history" in report.skipped
        assert report.to_text().startswith("Leak meter\n==========\nNo leak is suspected.")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_more_clean_portfolios_raise_no_alarm(seed: int) -> None:
    portfolio = simulate(accounts=1500, seed=300 + seed)
    report = leak_report(dataset_of(portfolio), churn_dates=churns_of(portfolio))
    assert report.clean, [finding.message for finding in report.findings]


# --- lags ---


def test_flag_set_when_the_account_leaves_is_steep(dataset: Dataset, churn_dates: pd.Series) -> None:
    rng = np.random.default_rng(0)
    flag = (last_churned(dataset) & (rng.random(dataset.n) < 0.8)) | (rng.random(dataset.n) < 0.02)
    planted = with_metric(dataset, "offboarding_call", flag.astype(float), kind=Kind.YES_NO)
    for dates in (None, churn_dates):
        findings = steep_lags(aucs_by_lag(planted, dates))
        assert named(findings) == {("steep-lag", "offboarding_call")}
        assert "churned rows" in findings[0].message
        assert "add it to [data] ignore" in findings[0].message


def test_value_filled_in_only_near_the_end_is_steep(dataset: Dataset) -> None:
    reason = np.where(last_churned(dataset), "price", None)
    planted = with_metric(dataset, "reason", reason, kind=Kind.CATEGORY)
    assert named(steep_lags(aucs_by_lag(planted))) == {("steep-lag", "reason")}


def test_lag_auc_is_that_of_the_rows_in_the_range(dataset: Dataset, churn_dates: pd.Series) -> None:
    one = only(dataset, "usage_days")
    found = aucs_by_lag(one, churn_dates)
    day = one.account.map(churn_dates).to_numpy() - one.snapshot_date.to_numpy()
    lag = np.where(one.churned == 1.0, day / np.timedelta64(1, "D"), np.nan)
    assert [(part.low, part.high) for part in found] == [(0.0, 30.0), (30.0, 60.0), (60.0, np.inf)]
    half = np.random.default_rng(0).permutation(one.account.nunique()) % 2 == 0
    known = one.is_matured
    risk = unseen_risk(binned(one, one.metrics[0]), one.churned, learn=known, half=half[code_of(one.account)])
    for part in found:
        rows = (lag > part.low) & (lag <= part.high)
        both = rows | (one.churned == 0.0)
        assert part.churns == rows.sum()
        assert part.auc == pytest.approx(roc_auc_score(one.churned[both], risk[both]), abs=1e-12)


def test_unseen_risk_is_learned_on_the_other_half_only() -> None:
    codes, churned = np.array([0, 0, 1, 1]), np.array([1.0, 0.0, 1.0, np.nan])
    half = np.array([True, False, False, True])
    learn = ~np.isnan(churned)
    risk = unseen_risk(codes, churned, learn=learn, half=half)
    # for the half: rows 1 and 2, mean 1/2: level 0 (0 + 1) / 3, level 1 (1 + 1) / 3; for the others: row 0
    np.testing.assert_allclose(risk, [1 / 3, 1.0, 1.0, 2 / 3])


def test_slow_rise_is_no_leak() -> None:
    parts = [LagAuc("usage", low, low + 30.0, auc, 0.01, 200) for low, auc in ((0.0, 0.78), (30.0, 0.70))]
    assert steep_lags((*parts, LagAuc("usage", 60.0, np.inf, 0.66, 0.01, 200))) == ()


# --- times that cannot be ---


def test_dates_made_after_the_snapshot_are_counted_and_named(dataset: Dataset) -> None:
    closed = dataset.snapshot_date - pd.Timedelta(days=10)
    closed[dataset.account == dataset.account[0]] = pd.Timestamp("2030-01-01")
    n = int((dataset.account == dataset.account[0]).sum())
    planted = with_metric(dataset, "case_closed", closed, kind=Kind.DATE)
    (finding,) = dates_after_snapshot(planted)
    assert (finding.code, finding.subject, finding.count) == ("dates-after-snapshot", "case_closed", n)
    day = str(dataset.snapshot_date[0].date())
    assert f"{n:,} of {dataset.n:,} dates" in finding.message
    assert f"{dataset.account[0]} on {day}" in finding.message
    harmless = with_metric(dataset, "last_case", dataset.snapshot_date, kind=Kind.DATE)
    assert dates_after_snapshot(harmless) == ()


def test_ages_below_zero_are_named(dataset: Dataset) -> None:
    days = np.where(np.arange(dataset.n) < 7, -4.0, 30.0)
    (finding,) = negative_ages(with_metric(dataset, "days_since_call", days))
    assert (finding.code, finding.subject, finding.count) == ("negative-age", "days_since_call", 7)
    assert "down to -4" in finding.message
    assert negative_ages(with_metric(dataset, "balance", days)) == ()


def test_snapshots_after_the_churn_are_named(dataset: Dataset, churn_dates: pd.Series) -> None:
    assert snapshots_after_churn(dataset, churn_dates) == ()
    rows = last_churned(dataset)
    moved = replace(dataset, snapshot_date=dataset.snapshot_date + pd.to_timedelta(100.0 * rows, unit="D"))
    (finding,) = snapshots_after_churn(moved, churn_dates)
    assert finding.code == "snapshots-after-churn"
    assert finding.count == rows.sum()
    assert f"{rows.sum():,} of {dataset.n:,} rows" in finding.message


# --- as of today ---


def test_counter_as_of_today_is_frozen(dataset: Dataset) -> None:
    total = dataset.frame["usage_days"].astype(float).groupby(dataset.account).transform("sum")
    (finding,) = frozen_metrics(with_metric(dataset, "total_logins", total))
    assert (finding.code, finding.subject) == ("frozen-metric", "total_logins")
    assert "always" in finding.message
    running = dataset.frame["usage_days"].astype(float).groupby(dataset.account).cumsum()
    assert frozen_metrics(with_metric(dataset, "logins_so_far", running)) == ()


def test_date_as_of_today_is_frozen_and_a_first_date_is_not(dataset: Dataset) -> None:
    last = dataset.snapshot_date.groupby(dataset.account).transform("max")
    planted = with_metric(dataset, "last_login_at", last, kind=Kind.DATE)
    assert ("frozen-metric", "last_login_at") in named(frozen_metrics(planted))
    first = dataset.snapshot_date.groupby(dataset.account).transform("min")
    assert frozen_metrics(with_metric(dataset, "signed_at", first, kind=Kind.DATE)) == ()


def test_constant_that_knows_the_lifetime_is_named_without_a_telling_name(dataset: Dataset) -> None:
    rng = np.random.default_rng(1)
    days = dataset.snapshot_date.groupby(dataset.account).transform("max") - pd.Timestamp("2023-06-01")
    factor = np.exp(rng.normal(0.0, 0.15, dataset.account.nunique()))[code_of(dataset.account)]
    planted = with_metric(dataset, "x17", days.dt.days * factor)
    assert named(frozen_metrics(planted)) == {("knows-lifetime", "x17")}


def test_facts_about_accounts_are_not_frozen_metrics(dataset: Dataset) -> None:
    size = np.random.default_rng(2).lognormal(4.0, 1.0, dataset.account.nunique()).round()
    assert frozen_metrics(with_metric(dataset, "employees", size[code_of(dataset.account)])) == ()


# --- the distance to the renewal ---


@pytest.mark.parametrize("months", [False, True])
def test_distance_to_the_renewal_in_disguise_is_named(dataset: Dataset, months: bool) -> None:
    days = (dataset.keep["renewal_date"] - dataset.snapshot_date).dt.days
    value = (
        12.0 - days // 30 if months else 1.7 - 0.3 * days + np.random.default_rng(0).normal(size=dataset.n)
    )
    planted = with_metric(dataset, "term_used", value)
    (finding,) = renewal_proxies(planted, planted.keep["renewal_date"])
    assert (finding.code, finding.subject) == ("days-to-renewal", "term_used")
    assert "state it as days to renewal" in finding.message
    assert renewal_proxies(dataset, dataset.keep["renewal_date"]) == ()


# --- scores that heal ---


def history_of(dataset: Dataset, after: Callable[[np.ndarray], np.ndarray]) -> tuple[pd.DataFrame, pd.Series]:
    """Monthly readings of 40 accounts; half churn in month 6, and go on being scored."""
    rng = np.random.default_rng(0)
    account = np.repeat(np.arange(40), 12)
    month = np.tile(np.arange(12), 40)
    gone = account < 20
    score = np.where(gone, 45.0, 70.0) + rng.normal(0.0, 6.0, 480)
    late = gone & (month >= 6)
    score[late] = after(score[late])
    date = np.datetime64("2025-01", "M") + month
    frame = pd.DataFrame({"account_id": account, "date": date.astype("datetime64[us]"), "score": score})
    return frame, pd.Series("2025-06-20", index=[str(i) for i in range(20)])


def test_score_that_turns_green_after_churn_is_named(dataset: Dataset) -> None:
    history, churned = history_of(dataset, lambda score: score + 40.0)
    (finding,) = healing_scores(history, churned)
    assert finding.code == "score-heals"
    assert finding.count == 20
    assert "20 of 20 accounts" in finding.message
    report = leak_report(dataset, churn_dates=churned, score_history=history)
    assert named(report.findings) == {("score-heals", "score")}
    assert not report.clean


def test_score_that_stays_or_is_frozen_is_not_named(dataset: Dataset) -> None:
    for after in (lambda score: score, lambda score: np.full(len(score), 40.0)):
        assert healing_scores(*history_of(dataset, after)) == ()
    history, churned = history_of(dataset, lambda score: score + 40.0)
    before = history[history["date"] < "2025-06-20"]
    assert healing_scores(before, churned) == ()


def test_history_without_its_columns_is_refused(dataset: Dataset) -> None:
    history, churned = history_of(dataset, lambda score: score)
    with pytest.raises(InputError, match=r"needs the columns account_id, date and score; it lacks 'score'"):
        healing_scores(history.drop(columns="score"), churned)


# --- splits ---


def test_column_backfilled_for_the_past_fails_out_of_time(dataset: Dataset) -> None:
    rng = np.random.default_rng(3)
    past = (dataset.snapshot_date < "2025-03-01").to_numpy()
    value = np.where(past & (dataset.churned == 1.0), 2.5, 0.0) + rng.normal(size=dataset.n)
    planted = with_metric(dataset, "review", value)
    comparison = compare_splits(planted)
    assert named(split_gaps(comparison)) == {("not-out-of-time", "")}
    assert comparison.accounts.auc > comparison.out_of_time.auc + 0.05
    assert split_gaps(compare_splits(dataset)) == ()


def test_column_that_names_the_account_is_remembered() -> None:
    """Twelve snapshots of each account share one outcome, and nothing but its name tells it."""
    rng = np.random.default_rng(0)
    account = np.repeat(np.arange(120), 12)
    month = np.datetime64("2024-01", "M") + np.tile(np.arange(12), 120)
    frame = pd.DataFrame({"use": rng.normal(size=1440), "site": [f"site {i}" for i in account]})
    made = Dataset(
        frame=frame,
        metrics=(Metric(name="use"), Metric(name="site", kind=Kind.CATEGORY)),
        churned=(rng.random(120) < 0.3).astype(float)[account],
        account=pd.Series(account).astype("str"),
        snapshot_date=pd.Series(month.astype("datetime64[us]")),
        horizon_days=30,
    )
    comparison = compare_splits(made)
    assert named(split_gaps(comparison)) == {("account-memory", "")}
    assert comparison.rows.auc > 0.95
    assert comparison.accounts.auc < 0.65


def test_splits_have_equal_sizes_and_the_gap_an_interval(dataset: Dataset) -> None:
    comparison = compare_splits(dataset, folds=3)
    rows, accounts, late = comparison.scores
    n = int(dataset.is_matured.sum())
    assert rows.n_train == min(late.n_train, 2 * n // 3)
    assert abs(accounts.n_train - rows.n_train) < 60
    assert rows.n_test == accounts.n_test == n
    assert rows.churns == accounts.churns == dataset.n_churned
    gap, interval = comparison.gap(rows, late)
    assert gap == pytest.approx(rows.auc - late.auc)
    half = 1.959964 * np.hypot(rows.auc_error, late.auc_error)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=1e-6)
    again = compare_splits(dataset, folds=3)
    assert again == comparison


def test_too_little_data_is_said(dataset: Dataset) -> None:
    few = dataset.rows(np.flatnonzero(dataset.snapshot_date < "2024-03-01"))
    with pytest.raises(NotEnoughData):
        compare_splits(few)
    report = leak_report(few)
    assert "outcome window" in report.skipped["splits"]
    assert report.splits is None


# --- the report ---


def test_report_takes_over_what_the_door_said_and_is_plain(portfolio: Portfolio) -> None:
    table = portfolio.customers.assign(
        status=portfolio.customers["outcome"].map({"churned": 1.0}).fillna(0.0)
    )
    dataset = build_dataset(load_recipe(portfolio.recipe), table)
    report = leak_report(dataset)
    assert ("suspected-leak", "status") in named(report.findings)
    text = report.to_text()
    assert max(map(len, text.splitlines())) <= 100
    assert "The same model under three splits" in text
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["clean"] is False
    assert [split["split"] for split in plain["splits"]] == ["random rows", "random accounts", "out of time"]
    assert {gap["second"] for gap in plain["split_gaps"]} == {"random accounts", "out of time"}


def test_table_without_dates_says_what_was_not_looked_at(portfolio: Portfolio) -> None:
    plain = portfolio.customers.drop_duplicates("account_id").drop(columns="snapshot_date")
    recipe = portfolio.recipe
    for key in ("snapshot_date", "horizon_days"):
        del recipe["data"][key]
    report = leak_report(build_dataset(load_recipe(recipe), plain))
    assert report.clean
    assert set(report.skipped) == {
        "metrics by lag", "frozen metrics", "days to renewal", "splits", "score history"
    }  # fmt: skip
    assert "[data] snapshot_date" in report.to_text()
