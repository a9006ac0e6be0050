"""Splits, against their definition row by row."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chs_ml.dataset import Dataset
from chs_ml.errors import InputError, NotEnoughData
from chs_ml.metric import Metric
from chs_ml.splits import TestSplit, few_folds, grouped_folds, test_split


def made(
    account: list[str],
    churned: list[float],
    *,
    days: list[int] | None = None,
    horizon: int | None = None,
    lead: int = 0,
) -> Dataset:
    snapshot = (
        None if days is None else pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(days, unit="D"))
    )
    return Dataset(
        frame=pd.DataFrame({"x": np.arange(float(len(account)))}),
        metrics=(Metric(name="x"),),
        churned=np.array(churned, dtype=float),
        account=pd.Series(account, dtype="str"),
        snapshot_date=snapshot,
        horizon_days=horizon,
        lead_days=lead,
    )


ROW = st.tuples(st.integers(0, 15), st.sampled_from([0.0, 1.0, np.nan]), st.integers(0, 120))


@given(
    rows=st.lists(ROW, min_size=20, max_size=60), lead=st.integers(0, 10), horizon=st.integers(1, 40),
    share=st.floats(0.1, 0.6), chosen=st.none() | st.integers(20, 120),
)  # fmt: skip
def test_no_training_window_reaches_the_test(
    rows: list[tuple[int, float, int]], lead: int, horizon: int, share: float, chosen: int | None
) -> None:
    account, churned, days = map(list, zip(*rows, strict=True))
    dataset = made([str(a) for a in account], churned, days=days, horizon=horizon, lead=lead)
    start = None if chosen is None else (pd.Timestamp("2024-01-01") + pd.Timedelta(days=chosen)).date()
    try:
        split = test_split(dataset, test_share=share, test_from=start, random_state=0)
    except NotEnoughData:
        assume(False)
    first = min(days[i] for i in split.test)
    assert split.out_of_time
    assert split.test_from == (pd.Timestamp("2024-01-01") + pd.Timedelta(days=first)).date()
    matured = {i for i in range(len(rows)) if not np.isnan(churned[i])}
    assert set(split.test) == {i for i in matured if days[i] >= first}
    assert set(split.train) == {i for i in matured if days[i] + lead + horizon < first}
    assert split.purged == len(matured) - len(split.test) - len(split.train)
    seen = {account[i] for i in split.train}
    assert split.new_account.tolist() == [account[i] not in seen for i in split.test]
    for side in (split.train, split.test):
        assert {churned[i] for i in side} == {0.0, 1.0}
    if chosen is not None:
        assert first >= chosen


def test_default_start_leaves_about_the_share() -> None:
    months = np.repeat(np.arange(12) * 30, 50)
    churned = np.arange(600) % 5 == 0
    dataset = made([str(i) for i in range(600)], list(churned), days=list(months), horizon=30)
    split = test_split(dataset, test_share=0.25, random_state=0)
    assert len(split.test) == 150
    assert split.purged == 50
    assert split.test_from == date(2024, 9, 27)


def panel(**changes: object) -> Dataset:
    values = {"account": list("abcdefgh"), "churned": [0, 1] * 4, "days": [0, 0, 30, 30, 60, 60, 90, 90]}
    return made(**{**values, "horizon": 29, **changes})  # type: ignore[arg-type]


def test_a_purge_that_empties_training_raises() -> None:
    assert len(test_split(panel(), test_share=0.25, random_state=0).train) == 6
    with pytest.raises(
        NotEnoughData, match=r"training side .* 0 churned and 0 renewed.*6 earlier rows.*test_from"
    ):
        test_split(panel(horizon=365), test_share=0.25, random_state=0)


def test_a_one_sided_or_empty_test_raises() -> None:
    with pytest.raises(
        NotEnoughData, match="test side must hold churned and renewed rows; it holds 0 churned"
    ):
        test_split(panel(churned=[0, 1, 0, 1, 0, 1, 0, 0]), test_share=0.25, random_state=0)
    with pytest.raises(
        NotEnoughData, match="No row with a known outcome has a snapshot on or after 2030-01-01"
    ):
        test_split(panel(), test_share=0.25, test_from=date(2030, 1, 1), random_state=0)
    with pytest.raises(NotEnoughData, match="No row has a known outcome"):
        test_split(panel(churned=[np.nan] * 8), test_share=0.25, random_state=0)


def test_wrong_use() -> None:
    with pytest.raises(InputError, match=r"test_share must lie between 0 and 1; got 1.0"):
        test_split(panel(), test_share=1.0, random_state=0)
    with pytest.raises(InputError, match="test_from needs snapshot dates"):
        test_split(panel(days=None), test_share=0.5, test_from=date(2024, 1, 1), random_state=0)
    with pytest.raises(InputError, match="horizon_days"):
        test_split(panel(horizon=None), test_share=0.5, random_state=0)
    with pytest.raises(InputError, match="at least 2 folds; got 1"):
        grouped_folds(["a"], np.zeros(1), n_folds=1, random_state=0)


def accounts(n: int = 400, seed: int = 0) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(seed)
    account = [f"A{i}" for i in rng.integers(0, n // 2, n)]
    churned = (rng.random(n) < 0.2).astype(float)
    churned[rng.random(n) < 0.1] = np.nan
    return account, churned


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_without_dates_by_account_and_stratified(share: float) -> None:
    account, churned = accounts()
    split = test_split(made(account, list(churned)), test_share=share, random_state=3)
    names = np.array(account)
    assert not set(names[split.train]) & set(names[split.test])
    assert sorted([*split.train, *split.test]) == np.flatnonzero(~np.isnan(churned)).tolist()
    assert (split.out_of_time, split.test_from, split.purged) == (False, None, 0)
    assert split.new_account.all()
    ever = set(names[churned == 1.0])
    others = set(names[~np.isnan(churned)]) - ever
    for stratum in (ever, others):
        assert len(stratum & set(names[split.test])) == round(share * len(stratum))


def test_the_seed_decides() -> None:
    account, churned = accounts()
    splits: list[TestSplit] = [
        test_split(made(account, list(churned)), test_share=0.3, random_state=seed) for seed in (1, 1, 2)
    ]
    assert splits[0].test.tolist() == splits[1].test.tolist() != splits[2].test.tolist()
    folds = [grouped_folds(account, churned, n_folds=4, random_state=seed).tolist() for seed in (1, 1, 2)]
    assert folds[0] == folds[1] != folds[2]


@given(n_folds=st.integers(2, 8), seed=st.integers(0, 1000))
def test_folds_are_grouped_and_balanced(n_folds: int, seed: int) -> None:
    account, churned = accounts(seed=seed)
    folds = grouped_folds(pd.Series(account), churned, n_folds=n_folds, random_state=seed)
    table = pd.DataFrame({"account": account, "fold": folds, "churned": churned == 1.0})
    assert (table.groupby("account")["fold"].nunique() == 1).all()
    per_account = table.groupby("account").agg(fold=("fold", "first"), ever=("churned", "max"))
    for _, stratum in per_account.groupby("ever"):
        counts = stratum["fold"].value_counts().reindex(range(n_folds), fill_value=0)
        assert counts.max() - counts.min() <= 1
    sizes = table["fold"].value_counts().reindex(range(n_folds), fill_value=0)
    assert sizes.max() - sizes.min() <= 0.35 * len(table) / n_folds


def test_folds_that_lack_a_side_raise() -> None:
    account = [str(i) for i in range(20)]
    with pytest.raises(NotEnoughData, match=r"Each of 5 folds .* the 4 churned"):
        grouped_folds(account, np.arange(20) < 4, n_folds=5, random_state=0)
    one = grouped_folds(account, np.arange(20) < 5, n_folds=5, random_state=0)
    assert np.bincount(one[:5], minlength=5).tolist() == [1] * 5
    with pytest.raises(NotEnoughData, match="belong to too few accounts"):
        grouped_folds(["a"] * 10 + ["b"] * 10, np.arange(20) % 2, n_folds=3, random_state=0)


def test_few_churns_make_few_folds() -> None:
    account = np.arange(40)
    churned = np.zeros(40)
    churned[:3] = 1.0
    folds = few_folds(account, churned, most=5, random_state=0)
    assert np.unique(folds).tolist() == [0, 1, 2]
    assert sorted(folds[:3].tolist()) == [0, 1, 2]  # a churn in each
    assert np.unique(few_folds(account, 1.0 - churned, most=5, random_state=0)).tolist() == [0, 1, 2]
    churned[:30] = 1.0
    assert len(np.unique(few_folds(account, churned, most=5, random_state=0))) == 5
