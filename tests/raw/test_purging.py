"""Who may train and who is judged, on datasets from raw tables, against loops over the contract terms."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chs_ml.dataset import Dataset, build_dataset
from chs_ml.recipe import load_recipe
from chs_ml.splits import grouped_folds, test_split
from chs_ml.synthetic import simulate
from chs_ml.validation import rolling_origins

LEAD, HORIZON, GRACE = 14, 60, 25


@dataclass(frozen=True)
class Terms:
    """Contract terms, one product per account, and the recipe's parts that they need."""

    frame: pd.DataFrame
    folder: Path
    first: str
    cut: str

    def dataset(self, **snapshots: Any) -> Dataset:
        return build_dataset(load_recipe(self.recipe(**snapshots)))

    def recipe(self, *, grace: int = GRACE, **snapshots: Any) -> dict[str, Any]:
        columns = {"start": "start_date", "end": "end_date", "mrr": "mrr"}
        calendar = {"first": self.first, "horizon_days": HORIZON, "lead_days": LEAD, "data_cut": self.cut}
        return {
            "data": {"path": str(self.folder)},
            "tables": {"terms": {"role": "contracts", "path": "terms.parquet", "columns": columns}},
            "snapshots": calendar | snapshots,
            "outcomes": {"from": "terms", "grace_days": grace},
        }


@pytest.fixture(scope="module", params=["simulated", "crm5"])
def terms(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Terms:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "simulated":
        frame = simulate(accounts=300, seed=8).raw_tables().subscriptions
        found = Terms(frame, folder, "2024-02-29", "2025-12-31")
    else:
        shared = request.getfixturevalue("shared_data") / "saas-crm5"
        frame = pd.read_parquet(shared / "subscriptions.parquet")
        frame = frame[frame["account_id"] % 4 == 0]
        found = Terms(frame, folder, "2022-06-30", "2023-12-15")
    found.frame.to_parquet(folder / "terms.parquet")
    return found


def days(*numbers: int) -> pd.Timedelta:
    return pd.Timedelta(days=sum(numbers))


def lives(terms: Terms, grace: int, cut: pd.Timestamp) -> dict[str, list[pd.Timestamp]]:
    """By account, the days on which it had ended a term and began none within the grace period."""
    gone: dict[str, list[pd.Timestamp]] = {}
    for account, rows in terms.frame[terms.frame["start_date"] <= cut].groupby("account_id"):
        starts, ends = rows["start_date"].to_list(), rows["end_date"].to_list()
        spans = list(zip(starts, ends, strict=True))
        gone[str(account)] = [
            end
            for end in sorted(set(ends))
            if end <= cut and not any(s <= end + days(grace) and e > end for s, e in spans)
        ]
    return gone


def word(snapshot: pd.Timestamp, gone: list[pd.Timestamp], cut: pd.Timestamp) -> float:
    """1 churned, 0 kept, NaN open, of a snapshot on a calendar."""
    if snapshot + days(LEAD, HORIZON, GRACE) > cut:
        return np.nan
    if any(snapshot < day <= snapshot + days(LEAD) for day in gone):
        return np.nan
    return float(any(snapshot + days(LEAD) < day <= snapshot + days(LEAD, HORIZON) for day in gone))


def by_hand(terms: Terms, dataset: Dataset, cut: pd.Timestamp) -> np.ndarray:
    gone = lives(terms, GRACE, cut)
    pairs = zip(dataset.account, dataset.snapshot_date, strict=True)
    return np.array([word(snapshot, gone[account], cut) for account, snapshot in pairs])


@pytest.mark.parametrize("back", [0, 1, 31, 100])
def test_outcomes_and_open_rows_follow_the_data_cut(terms: Terms, back: int) -> None:
    cut = pd.Timestamp(terms.cut) - days(back)
    dataset = terms.dataset(data_cut=str(cut.date()))
    wanted = by_hand(terms, dataset, cut)
    np.testing.assert_array_equal(dataset.churned, wanted)
    assert (wanted == 1.0).sum() > 5
    assert np.isnan(wanted).sum() > 50


@pytest.mark.parametrize("test_share", [0.2, 0.5])
def test_no_training_outcome_is_decided_after_a_test_snapshot(terms: Terms, test_share: float) -> None:
    dataset = terms.dataset()
    wanted = by_hand(terms, dataset, pd.Timestamp(terms.cut))
    split = test_split(dataset, test_share=test_share, random_state=0)
    snapshot = list(dataset.snapshot_date)
    first = min(snapshot[i] for i in split.test)
    for i in split.train:
        assert snapshot[i] + days(LEAD, HORIZON) < first
        assert snapshot[i] + days(LEAD, HORIZON, GRACE) <= first
        assert not np.isnan(wanted[i])
    assert not np.isnan(wanted[split.test]).any()
    fits = [day + days(LEAD, HORIZON, GRACE) <= first for day in snapshot]
    known = ~np.isnan(wanted)
    purged = [i for i, day in enumerate(snapshot) if known[i] and day < first and not fits[i]]
    assert split.purged == len(purged) > 0
    assert Counter([*split.train, *split.test, *purged]) == Counter(np.flatnonzero(known))


def test_the_grace_period_purges_a_month_more(terms: Terms) -> None:
    assert GRACE < 28
    patient, hasty = terms.dataset(), terms.dataset(grace=0)
    last = [
        one.snapshot_date.iloc[test_split(one, test_share=0.3, random_state=0).train].max()
        for one in (
            patient,
            # the rows and outcomes that grace leaves, so that only the purge differs
            Dataset(
                frame=patient.frame,
                metrics=patient.metrics,
                churned=patient.churned,
                account=patient.account,
                snapshot_date=patient.snapshot_date,
                horizon_days=hasty.horizon_days,
                lead_days=hasty.lead_days,
            ),
        )
    ]
    assert last[0] + pd.offsets.MonthEnd(1) == last[1]


def test_backtests_purge_the_same_rows(terms: Terms) -> None:
    dataset = terms.dataset()
    start = dataset.snapshot_date.sort_values().iloc[dataset.n // 2]
    (origin,) = rolling_origins(
        dataset.snapshot_date,
        origins=[str(start.date())],
        horizon_days=HORIZON,
        lead_days=LEAD,
        settle_days=dataset.settle_days,
    )
    for i in origin.train:
        assert dataset.snapshot_date.iloc[i] + days(LEAD, HORIZON, GRACE) <= start
    assert origin.purged == sum(
        day < start < day + days(LEAD, HORIZON, GRACE) for day in dataset.snapshot_date
    )


def test_no_account_is_on_both_sides_of_an_inner_fold(terms: Terms) -> None:
    dataset = terms.dataset()
    train = dataset.rows(test_split(dataset, test_share=0.3, random_state=0).train)
    folds = grouped_folds(train.account, train.churned, n_folds=4, random_state=1)
    sides: dict[str, set[int]] = {}
    for account, fold in zip(train.account, folds, strict=True):
        sides.setdefault(account, set()).add(int(fold))
    assert max(Counter(train.account).values()) > 5
    assert all(len(found) == 1 for found in sides.values())


def test_a_renewal_near_the_cut_is_open_however_well_it_went(terms: Terms) -> None:
    """Else only those that went well would be known, and churn would look rarer."""
    cut = pd.Timestamp(terms.cut)
    dataset = terms.dataset(kind="renewal", horizon_days=None)
    gone = lives(terms, GRACE, cut)
    due = dataset.snapshot_date + days(LEAD)
    near = due + days(GRACE) > cut
    assert ((due <= cut) & near).sum() > 10
    assert np.isnan(dataset.churned[near]).all()
    far = np.flatnonzero(~near)
    wanted = [float(due.iloc[i] in gone[dataset.account.iloc[i]]) for i in far]
    np.testing.assert_array_equal(dataset.churned[~near], wanted)
