"""The real data sets: counts that were told beforehand, and faults that must be named."""

from pathlib import Path

import pandas as pd
import pytest

from chs_ml.dataset import check_dataset
from chs_ml.findings import Finding
from chs_ml.raw import SnapshotTable, build_snapshots
from chs_ml.recipe import load_recipe


def built(root: Path, shared_data: Path, name: str, folder: str) -> SnapshotTable:
    recipe = load_recipe(root / "training" / f"{name}.toml").with_data(shared_data / folder)
    return build_snapshots(recipe)


def told(table: SnapshotTable, code: str, subject: str) -> Finding:
    found = [finding for finding in table.findings if (finding.code, finding.subject) == (code, subject)]
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def crm5(root: Path, shared_data: Path) -> SnapshotTable:
    return built(root, shared_data, "crm5", "saas-crm5")


@pytest.fixture(scope="module")
def ravenstack(root: Path, shared_data: Path) -> SnapshotTable:
    return built(root, shared_data, "ravenstack", "saas-ravenstack")


def test_renewals_of_crm5_from_its_contract_terms_alone(crm5: SnapshotTable) -> None:
    assert crm5.renewals == {"renewed": 18_364 - 354, "contracted": 354, "churned": 411, "open": 1_787}


def test_crm5_names_the_four_churns_after_the_cut(crm5: SnapshotTable) -> None:
    finding = told(crm5, "outcome-after-the-cut", "renewals")
    assert finding.count == 4
    assert "'1399', '1993', '991', '1850'" in finding.message


def test_churn_of_crm5_within_90_days(crm5: SnapshotTable) -> None:
    test = crm5.frame[crm5.frame["snapshot_date"] >= "2023-06-01"]
    assert (len(test), (test["outcome"] == "churned").sum()) == (5_912, 251)
    assert test.loc[test["outcome"] == "churned", "account_id"].nunique() == 136
    assert not (crm5.frame["outcome"] == "open").any()


def test_usage_of_crm5_by_hand(crm5: SnapshotTable, shared_data: Path) -> None:
    events = pd.read_parquet(shared_data / "saas-crm5" / "events_daily.parquet")
    day = pd.Timestamp("2023-06-30")
    window = events[(events["event_date"] <= day) & (events["event_date"] > day - pd.Timedelta(days=90))]
    wanted = window.groupby("account_id")["n_events"].sum()
    found = crm5.frame[crm5.frame["snapshot_date"] == day].set_index("account_id")["events_90d"]
    wanted.index = wanted.index.astype("str")
    pd.testing.assert_series_equal(
        found, wanted.reindex(found.index, fill_value=0).astype("float64"), check_names=False
    )


def test_ravenstack_names_its_faults(ravenstack: SnapshotTable) -> None:
    early = told(ravenstack, "before-contract", "usage")
    assert "(76.6%) are dated before the contract term they belong to" in early.message
    assert told(ravenstack, "duplicate-ids", "usage").count == 21
    assert told(ravenstack, "labels-disagree", "churn_events.churn_event_id").count == 277
    assert told(ravenstack, "labels-disagree", "subscriptions.churn_flag").count == 240 + 38
    assert (ravenstack.frame["outcome"] == "churned").sum() == 110
    assert len(ravenstack.rejected["usage"]) == 21


def test_five_undated_tables_of_telecom_pe(root: Path, shared_data: Path) -> None:
    table = built(root, shared_data, "telecom_pe", "b2b-telecom-pe")
    assert len(table.frame) == 5_000
    assert (table.frame["outcome"] == "churned").mean() == pytest.approx(0.168)
    tickets = pd.read_csv(shared_data / "b2b-telecom-pe" / "tickets.csv.gz")
    wanted = tickets[tickets["severidad"].isin(["Critica", "Alta"])].groupby("company_id").size()
    found = table.frame.set_index("account_id")["critical_tickets"]
    assert (found == wanted.rename(index=str).reindex(found.index, fill_value=0)).all()
    for column in ("risk_score", "motivo_abandono"):
        assert "alone separates churned accounts" in told(table, "suspected-leak", column).message
    recipe = load_recipe(root / "training" / "telecom_pe.toml").with_data(shared_data / "b2b-telecom-pe")
    assert not [finding for finding in check_dataset(recipe) if finding.severity == "error"]
