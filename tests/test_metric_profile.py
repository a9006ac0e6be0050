"""Profiles of metrics against independent computations."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, chi2_contingency, rankdata, spearmanr
from sklearn.metrics import roc_auc_score

from chs_ml.dataset import Dataset, build_dataset
from chs_ml.errors import InputError, NotEnoughData
from chs_ml.metric import Direction, Kind, Metric
from chs_ml.metric_profile import associations, metric_groups, metric_profile, metric_profiles, metric_report
from chs_ml.metric_profile.association import correlation_ratio, cramers_v
from chs_ml.metric_profile.profiles import quantile_codes
from chs_ml.recipe import load_recipe
from chs_ml.synthetic import simulate
from chs_ml.validation.intervals import churn_rate


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    portfolio = simulate(accounts=500, seed=6)
    return build_dataset(load_recipe(portfolio.recipe), portfolio.customers)


def small(values: Any, churned: Any, *, account: Any = None, **about: Any) -> Dataset:
    """A dataset of one metric."""
    n = len(churned)
    accounts = range(n) if account is None else account
    return Dataset(
        frame=pd.DataFrame({"m": values}),
        metrics=(Metric(name="m", **about),),
        churned=np.asarray(churned, dtype=np.float64),
        account=pd.Series(list(accounts)).astype("str"),
    )


def test_bins_rates_and_jeffreys_intervals_by_hand() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=1000), (rng.random(1000) < 0.2).astype(float)
    (profile,) = metric_profiles(small(x, y))
    bins = np.floor((rankdata(x) - 0.5) / 1000 * 10).astype(int)
    assert len(profile.bins) == 10
    for i, part in enumerate(profile.bins):
        rows = bins == i
        k, n = int(y[rows].sum()), int(rows.sum())
        assert (part.rate.n, part.rate.events, part.rate.value) == (n, k, k / n)
        expected = beta.ppf([0.025, 0.975], k + 0.5, n - k + 0.5)
        np.testing.assert_allclose([part.rate.interval.low, part.rate.interval.high], expected)
        assert (part.low, part.high) == (x[rows].min(), x[rows].max())
    assert profile.missing.n == 0
    assert profile.missing_share == 0.0


def test_equal_values_stay_together_and_few_values_are_bins() -> None:
    codes, ends = quantile_codes(np.array([0.0] * 60 + list(range(1, 41))), 10)
    assert set(codes[:60]) == {0}
    assert ends[0] == (0.0, 0.0)
    assert (np.diff(codes) >= 0).all()
    assert len(ends) <= 10
    assert set(np.diff(np.unique(codes))) == {1}
    codes, ends = quantile_codes(np.array([3.0, 1.0, np.nan, 1.0]), 10)
    assert codes.tolist() == [1, 0, -1, 0]
    assert ends == [(1.0, 1.0), (3.0, 3.0)]
    assert quantile_codes(np.full(3, np.nan), 10)[1] == []


def test_missing_values_have_a_rate_of_their_own() -> None:
    x = np.array([np.nan] * 30 + [1.0, 2.0] * 35)
    y = np.array([1.0] * 15 + [0.0] * 15 + [1.0] * 7 + [0.0] * 63)
    (profile,) = metric_profiles(small(x, y))
    assert profile.missing_share == 0.3
    assert (profile.missing.n, profile.missing.value) == (30, 0.5)
    assert profile.n == 100


def test_repeated_accounts_widen_the_interval() -> None:
    account = np.repeat(np.arange(100), 6)
    y = np.repeat((np.random.default_rng(1).random(100) < 0.3).astype(float), 6)
    x = np.zeros(600)
    (clustered,) = metric_profiles(small(x, y, account=account))
    (plain,) = metric_profiles(small(x, y))
    rate, other = clustered.bins[0].rate, plain.bins[0].rate
    assert rate.interval == churn_rate(y, account).interval
    assert rate.accounts == 100
    width = rate.interval.high - rate.interval.low
    assert width > 2.0 * (other.interval.high - other.interval.low)


@pytest.mark.parametrize(("direction", "sign"), [("higher", -1.0), ("lower", 1.0)])
def test_auc_is_in_the_declared_direction(direction: str, sign: float) -> None:
    rng = np.random.default_rng(2)
    y = (rng.random(800) < 0.3).astype(float)
    x = y + rng.normal(size=800)  # large values churn
    x[:50] = np.nan
    (profile,) = metric_profiles(small(x, y, direction=Direction(direction)))
    assert profile.auc == pytest.approx(roc_auc_score(y[50:], sign * x[50:]), abs=1e-12)
    assert profile.auc_interval.holds(profile.auc)
    assert profile.against_direction == (direction == "higher")
    (free,) = metric_profiles(small(x, y))
    assert free.auc == pytest.approx(roc_auc_score(y[50:], x[50:]), abs=1e-12)
    assert not free.declared_direction


def test_categories_by_level_and_rare_ones_together() -> None:
    levels = np.array(["big"] * 200 + ["small"] * 100 + [f"rare {i:02d}" for i in range(20)], dtype=object)
    y = np.array([1.0, 0.0] * 160)
    (profile,) = metric_profiles(small(levels, y, kind=Kind.CATEGORY))
    assert [part.label for part in profile.bins][:2] == ["big", "small"]
    assert profile.bins[-1].label == "(other levels)"
    assert len(profile.bins) == 12
    assert profile.bins[-1].rate.n == 20 - 9
    assert sum(part.rate.n for part in profile.bins) == 320
    assert not profile.auc_interval.known


def test_yes_no_and_dates_are_read_as_what_they_are() -> None:
    y = np.array([0.0, 1.0] * 50)
    (profile,) = metric_profiles(small(["yes", "no"] * 50, y, kind=Kind.YES_NO))
    assert [part.label for part in profile.bins] == ["no", "yes"]
    assert [part.rate.value for part in profile.bins] == [1.0, 0.0]
    made = small(pd.date_range("2024-01-01", periods=100), y, kind=Kind.DATE)
    made = replace(made, snapshot_date=pd.Series(pd.Timestamp("2024-06-01"), index=range(100)))
    profile = metric_profile(made, made.metrics[0])
    assert profile.bins[0].low == (pd.Timestamp("2024-06-01") - pd.Timestamp("2024-04-09")).days


def test_open_rows_do_not_count_and_none_known_is_refused() -> None:
    y = np.array([0.0, 1.0, np.nan, np.nan])
    (profile,) = metric_profiles(small([1.0, 2.0, 3.0, 4.0], y))
    assert profile.n == 2
    assert np.isnan(profile.auc)
    with pytest.raises(NotEnoughData, match="all are open"):
        metric_profiles(small([1.0], [np.nan]))
    with pytest.raises(InputError, match=r"bins must lie between 2 and 10 .* got 11 and 0.95"):
        metric_profiles(small([1.0], [1.0]), bins=11)


# --- association ---


def test_association_of_numbers_is_spearman_on_complete_pairs(dataset: Dataset) -> None:
    found = associations(dataset)
    names = [metric.name for metric in dataset.metrics]
    assert list(found.index) == list(found.columns) == names
    np.testing.assert_array_equal(found, found.T)
    assert (np.diag(found) == 1.0).all()
    assert found.to_numpy().min() >= 0.0
    assert found.to_numpy().max() <= 1.0
    for a, b in (("usage_days", "logins_per_seat"), ("nps", "csat"), ("usage_change", "resolve_hours")):
        pair = dataset.frame[[a, b]].dropna()
        assert found.loc[a, b] == pytest.approx(abs(spearmanr(pair[a], pair[b]).statistic), abs=1e-12)


def test_cramers_v_with_its_bias_correction() -> None:
    rng = np.random.default_rng(3)
    a = rng.integers(0, 4, 500)
    b = np.where(rng.random(500) < 0.6, a % 3, rng.integers(0, 3, 500))
    chi2 = chi2_contingency(pd.crosstab(a, b), correction=False).statistic
    phi2 = max(0.0, chi2 / 500 - 3 * 2 / 499)
    expected = np.sqrt(phi2 / (min(4 - 9 / 499, 3 - 4 / 499) - 1))
    assert cramers_v(a, b) == pytest.approx(expected, abs=1e-12)
    assert cramers_v(a, a) == pytest.approx(1.0, abs=1e-9)
    assert cramers_v(a, rng.permutation(a)) < 0.15


def test_correlation_ratio_is_adjusted_r2() -> None:
    rng = np.random.default_rng(4)
    levels = rng.integers(0, 5, 300)
    values = levels + rng.normal(size=300)
    means = pd.Series(values).groupby(levels).transform("mean")
    r2 = 1.0 - np.sum((values - means) ** 2) / np.sum((values - values.mean()) ** 2)
    expected = np.sqrt(1.0 - (1.0 - r2) * 299 / 295)
    assert correlation_ratio(levels, values) == pytest.approx(expected, abs=1e-12)
    assert correlation_ratio(np.arange(10), np.arange(10.0)) == 0.0


def test_twins_are_a_group_and_strangers_are_not(dataset: Dataset) -> None:
    twin = dataset.frame["usage_days"] * 3.0 + np.random.default_rng(5).normal(size=dataset.n)
    level = pd.cut(dataset.frame["tenure_months"], [-1, 6, 12, 24, 48, 200]).astype("str")
    frame = dataset.frame.assign(minutes=twin, age_band=level)
    extra = (Metric(name="minutes"), Metric(name="age_band", kind=Kind.CATEGORY))
    planted = replace(dataset, frame=frame, metrics=(*dataset.metrics, *extra))
    groups = metric_groups(associations(planted), bound=0.8)
    assert set(groups) == {("tenure_months", "age_band"), ("usage_days", "minutes")}
    assert metric_groups(associations(dataset), bound=0.95) == ()
    assert metric_groups(pd.DataFrame([[1.0]], index=["a"], columns=["a"])) == ()


def test_large_tables_are_sampled_and_stay_near() -> None:
    rng = np.random.default_rng(6)
    a = rng.normal(size=30_000)
    frame = pd.DataFrame({"a": a, "b": a + rng.normal(size=30_000)})
    made = Dataset(
        frame=frame,
        metrics=(Metric(name="a"), Metric(name="b")),
        churned=np.zeros(30_000),
        account=pd.Series(range(30_000)).astype("str"),
    )
    expected = spearmanr(frame["a"], frame["b"]).statistic
    assert associations(made).loc["a", "b"] == pytest.approx(expected, abs=0.02)


# --- the report ---


def test_report_reads_well_and_is_plain(dataset: Dataset) -> None:
    report = metric_report(dataset)
    text = report.to_text()
    assert max(map(len, text.splitlines())) <= 100
    assert "Usage frequency (usage_days)" in text
    assert "(missing)" in report.chart("nps")
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [metric["name"] for metric in plain["metrics"]] == [metric.name for metric in dataset.metrics]
    frame = report.to_frame()
    assert frame.groupby("metric")["n"].sum().unique().tolist() == [dataset.is_matured.sum()]
    assert frame.groupby("metric")["churns"].sum().unique().tolist() == [dataset.n_churned]
    assert (frame["rate_low"] <= frame["churn_rate"]).all()
    assert (frame["churn_rate"] <= frame["rate_high"]).all()
    assert report.base_rate == dataset.base_rate


def test_bars_are_as_long_as_rates() -> None:
    y = np.array([1.0] * 40 + [0.0] * 60 + [1.0] * 20 + [0.0] * 80)
    made = small(np.repeat([1.0, 2.0], 100), y)
    bars = [line.count("█") for line in metric_report(made).chart("m").splitlines() if "█" in line]
    assert bars == [24, 12]
