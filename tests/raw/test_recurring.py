"""Upsells, told by hand for every kind of contract history."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from chs_ml.errors import RecipeError
from chs_ml.raw import build_snapshots
from chs_ml.recipe import load_recipe

GRACE = 5
TERMS: dict[str, list[tuple[str, str, str, float]]] = {
    "new": [("core", "01-01", "12-01", 100.0)],
    "same": [("core", "01-01", "02-01", 100.0), ("core", "02-01", "12-01", 100.0)],
    "raised at renewal": [("core", "01-01", "02-01", 100.0), ("core", "02-01", "12-01", 120.0)],
    "upgraded in mid-term": [("core", "01-01", "06-01", 100.0), ("core", "02-15", "12-01", 150.0)],
    "an add-on that ends with it": [("core", "01-01", "12-01", 100.0), ("core", "02-15", "12-01", 10.0)],
    "another product": [("core", "01-01", "12-01", 100.0), ("extra", "02-15", "12-01", 10.0)],
    "late, same": [("core", "01-01", "02-01", 100.0), ("core", "02-06", "12-01", 100.0)],
    "late, raised": [("core", "01-01", "02-01", 100.0), ("core", "02-06", "12-01", 101.0)],
    "lapsed product": [
        ("core", "01-01", "12-01", 100.0),
        ("extra", "01-01", "02-01", 50.0),
        ("extra", "02-04", "12-01", 50.0),
    ],
    "left and returned": [("core", "01-01", "02-01", 100.0), ("core", "02-08", "12-01", 300.0)],
    "lowered, raised": [
        ("core", "01-01", "02-01", 100.0),
        ("core", "02-01", "03-01", 50.0),
        ("core", "03-01", "12-01", 80.0),
    ],
    "twice": [
        ("core", "01-01", "02-01", 100.0),
        ("core", "02-01", "03-01", 110.0),
        ("core", "03-01", "12-01", 120.0),
    ],
    "not yet": [("core", "01-01", "05-01", 100.0), ("core", "05-01", "12-01", 120.0)],
}
UPSELLS = {
    "raised at renewal": 1.0,
    "upgraded in mid-term": 1.0,
    "an add-on that ends with it": 1.0,
    "another product": 1.0,
    "late, raised": 1.0,
    "lowered, raised": 1.0,
    "twice": 2.0,
}


def recipe(folder: Path, **metrics: Any) -> dict[str, Any]:
    rows = [
        (account, product, f"2024-{start}", f"2024-{end}", mrr)
        for account, terms in TERMS.items()
        for product, start, end, mrr in terms
    ]
    columns = ["account_id", "product", "start", "end", "mrr"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "contracts.csv", index=False)
    return {
        "data": {"path": str(folder)},
        "tables": {"contracts": {"path": "contracts.csv", "columns": {name: name for name in columns[1:]}}},
        "snapshots": {
            "first": "2024-03-31",
            "last": "2024-03-31",
            "data_cut": "2024-06-30",
            "horizon_days": 30,
        },
        "outcomes": {"from": "contracts", "grace_days": GRACE},
        "metrics": metrics,
    }


def test_upsells_so_far(tmp_path: Path) -> None:
    lately = {"from": "contracts", "measure": "upsells", "days": 40}
    frame = build_snapshots(load_recipe(recipe(tmp_path, lately=lately))).frame.set_index("account_id")
    assert frame["contracts_upsells"].to_dict() == {name: UPSELLS.get(name, 0.0) for name in TERMS}
    in_march = {"lowered, raised", "twice"}  # the others rose up to February 15, more than 40 days before
    assert frame["lately"].to_dict() == {name: float(name in in_march) for name in TERMS}


def test_an_upsell_booked_late_counts_from_its_booking(tmp_path: Path) -> None:
    content = recipe(tmp_path)
    terms = pd.read_csv(tmp_path / "contracts.csv")
    raised = terms["mrr"] == 120.0
    terms.assign(signed=terms["start"].mask(raised, "2024-04-20")).to_csv(
        tmp_path / "contracts.csv", index=False
    )
    content["tables"]["contracts"]["time"] = "signed"
    content["snapshots"] |= {"last": "2024-04-30"}
    found = build_snapshots(load_recipe(content)).frame.set_index(["snapshot_date", "account_id"])
    march, april = (found.loc[pd.Timestamp(f"2024-{day}"), "contracts_upsells"] for day in ("03-31", "04-30"))
    assert "twice" not in march.index  # it lapsed on March 1, as far as was known
    assert april["twice"] == 1.0  # that of February; what came after a gap of weeks is a new contract
    assert april["raised at renewal"] == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"where": {"mrr": {"at_least": 1}}},
        {"of": "mrr"},
        {"active": True},
    ],
)
def test_upsells_take_a_window_and_nothing_else(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="they take from and days, nothing else"):
        load_recipe(recipe(tmp_path, bad={"from": "contracts", "measure": "upsells", **wrong}))


def test_upsells_need_a_recurring_value(tmp_path: Path) -> None:
    content = recipe(tmp_path, bad={"from": "contracts", "measure": "upsells"})
    del content["tables"]["contracts"]["columns"]["mrr"]
    with pytest.raises(
        RecipeError, match=r"upsells are those of a table of role contracts with the column mrr"
    ):
        load_recipe(content)
