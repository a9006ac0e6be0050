"""Renewal outcomes, computed by hand for every kind of contract history."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from chs_ml.dataset import build_dataset, check_dataset
from chs_ml.errors import TableError, first_few
from chs_ml.raw import SnapshotTable, build_snapshots
from chs_ml.recipe import load_recipe

Term = tuple[str, str, str, str | None, float]
Tell = Callable[..., SnapshotTable]


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    """Build the snapshot table of terms (account, product, start, end, mrr)."""

    def build(terms: list[Term], *, grace: int = 5, later: bool = False, **snapshots: Any) -> SnapshotTable:
        frame = pd.DataFrame(terms, columns=["account_id", "product", "start", "end", "mrr"])
        frame.to_csv(tmp_path / "contracts.csv", index=False)
        return build_snapshots(load_recipe(recipe(tmp_path, grace=grace, later=later, **snapshots)))

    return build


def recipe(folder: Path, *, grace: int = 5, later: bool = False, **snapshots: Any) -> dict[str, Any]:
    columns = {key: key for key in ("start", "end", "product", "mrr")}
    contracts = {"path": "contracts.csv", "columns": columns, "later": {"end": []} if later else {}}
    return {
        "data": {"path": str(folder)},
        "tables": {"contracts": contracts},
        "snapshots": {"kind": "renewal", "lead_days": 10, "data_cut": "2024-06-30", **snapshots},
        "outcomes": {"from": "contracts", "grace_days": grace},
    }


def outcomes(table: SnapshotTable) -> dict[str, str]:
    """Outcome by account and due date, ten days after the snapshot."""
    due = (table.frame["snapshot_date"] + pd.Timedelta(days=10)).dt.strftime("%m-%d")
    return dict(zip(table.frame["account_id"] + " " + due, table.frame["outcome"], strict=True))


def year(account: str, *terms: tuple[str, str | None, float], product: str = "core") -> list[Term]:
    return [(account, product, f"2024-{start}", end and f"2024-{end}", mrr) for start, end, mrr in terms]


def test_one_product(tell: Tell) -> None:
    terms = [
        *year("same", ("01-01", "02-01", 100.0), ("02-01", "03-01", 100.0)),
        *year("more", ("01-01", "02-01", 100.0), ("02-04", "07-01", 120.0)),
        *year("less", ("01-01", "02-01", 100.0), ("02-01", "07-01", 99.0)),
        *year("gone", ("01-01", "02-01", 100.0)),
        *year("gap within grace", ("01-01", "02-01", 100.0), ("02-06", "07-01", 100.0)),
        *year("gap too long", ("01-01", "02-01", 100.0), ("02-07", "07-01", 100.0)),
        *year("early", ("01-01", "02-01", 100.0), ("01-30", "07-01", 100.0)),
    ]
    assert outcomes(tell(terms)) == {
        "same 02-01": "renewed",
        "same 03-01": "churned",
        "more 02-01": "renewed",
        "more 07-01": "open",
        "less 02-01": "contracted",
        "less 07-01": "open",
        "gone 02-01": "churned",
        "gap within grace 02-01": "renewed",
        "gap within grace 07-01": "open",
        "gap too long 02-01": "churned",
        "gap too long 07-01": "open",
        "early 02-01": "renewed",
        "early 07-01": "open",
    }


def test_several_products(tell: Tell) -> None:
    terms = [
        *year("one ends", ("01-01", "02-01", 100.0)),
        *year("one ends", ("01-01", "12-01", 50.0), product="extra"),
        *year("co-termed", ("01-01", "02-01", 100.0), ("02-01", "12-01", 150.0)),
        *year("co-termed", ("01-10", "02-01", 50.0)),  # an add-on of the same product, same end
        *year("switched", ("01-01", "02-01", 100.0)),
        *year("switched", ("02-01", "12-01", 100.0), product="extra"),
        *year("both gone", ("01-01", "02-01", 100.0)),
        *year("both gone", ("01-01", "02-01", 50.0), product="extra"),
        *year("upgraded", ("01-01", "04-01", 100.0), ("02-15", "12-01", 200.0)),
    ]
    found = {key: word for key, word in outcomes(tell(terms)).items() if "12-01" not in key}
    assert found == {
        "one ends 02-01": "contracted",
        "co-termed 02-01": "renewed",
        "switched 02-01": "renewed",
        "both gone 02-01": "churned",
    }  # the upgraded term was replaced in February: nothing came due in April


def test_churn_and_return_are_two_lives(tell: Tell) -> None:
    terms = year("back", ("01-01", "02-01", 100.0), ("03-01", "04-01", 100.0), ("04-01", "05-01", 80.0))
    table = tell(terms)
    assert outcomes(table) == {"back 02-01": "churned", "back 04-01": "contracted", "back 05-01": "churned"}
    soon = [finding for finding in table.findings if finding.code == "soon-back"]
    assert [finding.count for finding in soon] == [1]
    assert "1 churns are followed by a new contract term within 60 days" in soon[0].message


CUTS = {  # renewed, churned, contracted, open
    "2024-01-31": (0, 0, 0, 5),
    "2024-02-01": (1, 0, 0, 5),  # b's next term is seen, and comes due in June; a and c are within grace
    "2024-02-05": (1, 0, 0, 5),
    "2024-02-06": (1, 2, 0, 3),
    "2024-03-05": (1, 2, 0, 3),
    "2024-03-06": (1, 2, 1, 2),
    "2024-06-06": (1, 3, 1, 1),
}


@pytest.mark.parametrize("cut", CUTS)
def test_shifting_the_data_cut(tell: Tell, cut: str) -> None:
    terms = [
        *year("a", ("01-01", "02-01", 100.0)),
        *year("b", ("01-01", "02-01", 100.0), ("02-01", "06-01", 100.0)),
        *year("c", ("01-01", "02-01", 100.0)),
        *year("d", ("01-01", "03-01", 100.0)),
        *year("d", ("01-01", "12-01", 10.0), product="extra"),
    ]
    counts = tell(terms, data_cut=cut).renewals
    assert tuple(counts[word] for word in ("renewed", "churned", "contracted", "open")) == CUTS[cut]


def test_ends_that_are_filled_in_later(tell: Tell) -> None:
    terms: list[Term] = [
        *year("stays", ("01-01", None, 100.0)),
        *year("left", ("01-01", "02-15", 100.0)),
        *year("leaves later", ("01-01", "12-01", 100.0)),
    ]
    table = tell(terms, kind="calendar", lead_days=0, horizon_days=30, later=True, last="2024-03-31")
    found = table.frame.assign(month=table.frame["snapshot_date"].dt.month).set_index(["account_id", "month"])
    assert found["outcome"].to_dict() == {
        ("left", 1): "churned",
        **{("stays", month): "renewed" for month in (1, 2, 3)},
        **{("leaves later", month): "renewed" for month in (1, 2, 3)},
    }
    assert table.renewals == {"renewed": 0, "churned": 1, "contracted": 0, "open": 0}


def test_a_calendar_with_lead_time_and_horizon(tell: Tell) -> None:
    terms = [
        *year("long", ("01-01", "12-01", 100.0)),
        *year("soon", ("01-01", "02-05", 100.0)),
        *year("inside", ("01-01", "02-20", 100.0)),
        *year("last day", ("01-01", "03-11", 100.0)),
        *year("after", ("01-01", "03-12", 100.0)),
        *year("shrinks", ("01-01", "02-20", 100.0), ("02-20", "12-01", 50.0)),
    ]
    calendar = {"kind": "calendar", "first": "2024-01-31", "last": "2024-01-31", "lead_days": 10}
    told = {"long": "renewed", "soon": "open", "inside": "churned", "last day": "churned", "after": "renewed"}
    table = tell(terms, **calendar, horizon_days=30, data_cut="2024-03-16")
    assert dict(zip(table.frame["account_id"], table.frame["outcome"], strict=True)) == told | {
        "shrinks": "contracted"
    }
    day_before = tell(terms, **calendar, horizon_days=30, data_cut="2024-03-15")
    assert set(day_before.frame["outcome"]) == {"open"}


def test_snapshots_before_renewals_leave_out_who_was_no_customer(tell: Tell) -> None:
    terms = year("a", ("01-01", "01-08", 100.0), ("01-08", "03-08", 100.0))
    table = tell(terms)  # ten days before January 8 there was no contract
    assert outcomes(table) == {"a 03-08": "churned"}
    assert table.frame["contracts_mrr"].tolist() == [100.0]


def test_outcomes_read_from_a_table_of_renewals(tmp_path: Path) -> None:
    terms = [
        *year("a", ("01-01", "02-01", 1.0)),
        *year("b", ("01-01", "02-01", 1.0)),
        *year("c", ("01-01", "09-01", 1.0)),
    ]
    pd.DataFrame(terms, columns=["account_id", "product", "start", "end", "mrr"]).to_csv(
        tmp_path / "contracts.csv", index=False
    )
    rows = [
        ("a", "2024-02-01", "lost", 5, None),
        ("b", "2024-02-01", "won", 5, 4),
        ("c", "2024-09-01", "lost", 5, 5),
    ]
    renewals = pd.DataFrame(rows, columns=["account_id", "due", "result", "mrr", "mrr_next"])
    renewals.to_csv(tmp_path / "renewals.csv", index=False)
    content = recipe(tmp_path)
    columns = {"due": "due", "outcome": "result", "mrr": "mrr", "mrr_next": "mrr_next"}
    content["tables"]["renewals"] = {"path": "renewals.csv", "columns": columns, "catalogue": False}
    content["outcomes"] = {"from": "renewals", "churned": "lost", "renewed": ["won"]}
    table = build_snapshots(load_recipe(content))
    assert outcomes(table) == {"a 02-01": "churned", "b 02-01": "contracted"}
    assert table.renewals == {"renewed": 0, "churned": 1, "contracted": 1, "open": 1}
    told = [finding for finding in table.findings if finding.code == "outcome-after-the-cut"]
    assert [(finding.count, "'c'" in finding.message) for finding in told] == [(1, True)]


def test_the_snapshot_table_goes_through_the_same_door(
    tmp_path: Path, make_company: Any, make_recipe: Any
) -> None:
    content = make_recipe(make_company(3, accounts=60), tmp_path, horizon_days=60)
    content["data"] |= {"value": "contracts_mrr", "segment": "plan", "ignore": ["usage_recency"]}
    content["metrics"] = {"usage_30d": {"label": "Events"}}
    made = load_recipe(content)
    dataset = build_dataset(made)
    assert dataset.horizon_days == 60
    assert dataset.snapshot_date is not None
    metrics = {metric.name: metric for metric in dataset.metrics}
    assert metrics["usage_30d"].label == "Events"
    assert metrics["usage_30d"].group == "Product usage"
    assert "usage_recency" not in metrics
    assert {finding.code for finding in check_dataset(made)} >= {"after-the-cut"}
    frame = build_snapshots(made).frame
    again = build_dataset(made, frame)
    pd.testing.assert_frame_equal(again.frame, dataset.frame)


def test_strange_days_are_counted_with_the_first_accounts(
    tmp_path: Path, make_company: Any, make_recipe: Any
) -> None:
    tables = make_company(3)
    tables["surveys"]["answered"] = pd.NaT
    tables["surveys"].loc[[4, 9], "answered"] = tables["surveys"].loc[[4, 9], "sent"] - pd.Timedelta(days=1)
    content = make_recipe(tables, tmp_path)
    told = {(f.code, f.subject): f for f in build_snapshots(load_recipe(content)).findings}
    rows = tables["surveys"]["account_id"]
    early = ", ".join(repr(str(account)) for account in sorted(set(rows[[4, 9]])))
    assert told["filled-in-before", "surveys"].count == 2
    assert f"(accounts {early})." in told["filled-in-before", "surveys"].message
    late = tables["usage"][tables["usage"]["at"] >= "2024-01-01"]
    finding = told["after-the-cut", "usage"]
    assert finding.count == len(late) > 0
    assert f"cut (accounts {first_few(map(str, sorted(set(late['account_id']))))})" in finding.message


def test_two_rows_of_one_id_are_an_error_until_they_are_rejected(
    tmp_path: Path, make_company: Any, make_recipe: Any
) -> None:
    tables = make_company(3)
    first = tables["accounts"].iloc[[0]]
    tables["accounts"] = pd.concat([tables["accounts"], first.assign(plan="zz")])
    tables["usage"].loc[[0, 1], "at"] = pd.NaT
    dateless = sorted(set(tables["usage"].loc[[0, 1], "account_id"]))
    content = make_recipe(tables, tmp_path)
    with pytest.raises(TableError, match="for 2 reasons") as caught:
        build_dataset(load_recipe(content))
    assert "accounts: each account_id must stand in one row; 1 stand in several: '1'." in str(caught.value)
    whose = ", ".join(repr(str(account)) for account in dateless)
    told = "usage.at: every row must have a date such as 2024-01-31; 2 of 1,000 have none"
    assert f"{told} (accounts {whose})." in str(caught.value)
    content["snapshots"]["on_invalid"] = "reject"
    table = build_snapshots(load_recipe(content))
    assert {name: len(rows) for name, rows in table.rejected.items()} == {"accounts": 1, "usage": 2}
    assert set(table.rejected["usage"]["rejected_because"]) == {"no date"}
    files = table.write(tmp_path / "snapshots.parquet")
    assert [file.name for file in files] == [
        "snapshots.parquet",
        "snapshots.rejected.accounts.csv",
        "snapshots.rejected.usage.csv",
    ]
    assert all(file.is_file() for file in files)
