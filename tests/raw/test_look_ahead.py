"""Nothing after the snapshot: metrics of whole tables equal those of the tables as they stood that day."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chs_ml.raw import build_snapshots, with_catalogue
from chs_ml.recipe import load_recipe

DAYS = ["2023-05-31", "2023-09-30", "2023-11-30"]
Make = Callable[..., Any]


def metrics_of(content: dict[str, Any]) -> pd.DataFrame:
    frame = build_snapshots(load_recipe(content)).frame
    return frame.drop(columns="outcome")


def on(content: dict[str, Any], day: str) -> dict[str, Any]:
    """The recipe for one snapshot, told on that day."""
    return {**content, "snapshots": {**content["snapshots"], "first": day, "last": day, "data_cut": day}}


def assert_same_bits(one: pd.DataFrame, other: pd.DataFrame) -> None:
    assert list(one.columns) == list(other.columns)
    assert len(one) == len(other)
    assert len(one) > 0
    for name in one.columns:
        left, right = one[name].to_numpy(), other[name].to_numpy()
        if left.dtype == np.float64:
            np.testing.assert_array_equal(left.view(np.int64), right.view(np.int64), err_msg=name)
        else:
            pd.testing.assert_series_equal(
                one[name].reset_index(drop=True), other[name].reset_index(drop=True), check_dtype=False
            )


def random_metrics(seed: int, n: int = 25) -> dict[str, Any]:
    """Definitions over all tables, measures, windows and conditions."""
    rng = np.random.default_rng(seed)

    def pick(*options: Any) -> Any:
        return options[int(rng.integers(len(options)))]

    numbers = {
        "usage": ["n", "minutes"],
        "tickets": ["hours", "csat"],
        "surveys": ["score"],
        "invoices": ["amount"],
        "contracts": ["mrr", "seats"],
        "active_users": ["users"],
    }
    words = {
        "usage": ["feature", "user"],
        "touchpoints": ["kind"],
        "tickets": ["priority"],
        "contracts": ["product"],
    }
    dates = {"tickets": ["closed_at"], "invoices": ["due", "paid"], "surveys": ["answered"]}
    where = {
        "usage": [{}, {"feature": "x"}, {"n": {"at_least": 4}}, {"feature": {"known": False}}],
        "tickets": [{}, {"closed_at": {"known": False}}, {"csat": {"at_most": 3}}, {"escalated": True}],
        "surveys": [{}, {"score": {"known": True}}, {"score": {"at_least": 9}}],
        "invoices": [{}, {"paid": {"known": False}, "due": {"past": True}}, {"failed": True}],
        "contracts": [{}, {"product": "core"}, {"product": {"not_in": ["core"]}}],
        "touchpoints": [{}, {"kind": ["call", "visit"]}],
        "active_users": [{}],
    }
    made: dict[str, Any] = {}
    for i in range(n):
        measure = pick(
            *("count", "sum", "mean", "min", "max", "distinct", "active_days", "share", "slope", "recency"),
            *("age", "latest", "until"),
        )
        source = numbers
        if measure in ("distinct",):
            source = words
        if measure == "until":
            source = dates
        table = pick(*source)
        entry: dict[str, Any] = {"from": table, "measure": measure, "where": pick(*where[table])}
        if measure in ("sum", "mean", "min", "max", "slope", "latest", "distinct", "until"):
            entry["of"] = pick(*source[table])
        if measure == "share":
            entry["where"] = where[table][-1] or {"users": {"at_least": 20}}
        if measure in ("active_days", "slope") or rng.random() < 0.6:
            entry["days"] = int(rng.integers(1, 150))
        if table == "contracts" and measure not in ("active_days", "slope") and rng.random() < 0.5:
            entry |= {"active": True}
        made[f"m{i}"] = entry
    counted = [name for name, entry in made.items() if entry["measure"] in ("count", "sum", "mean")]
    for i in range(3):
        made[f"ratio{i}"] = {"measure": "ratio", "of": pick(*counted), "per": pick(*counted)}
        made[f"change{i}"] = {"measure": "change", "of": pick(*counted), "days": int(rng.integers(5, 60))}
        made[f"growth{i}"] = {**made[f"change{i}"], "measure": "growth", "times": 100}
    made["upsells"] = {"from": "contracts", "measure": "upsells", "days": int(rng.integers(30, 200))}
    made["half"] = {**made[counted[0]], "times": 0.5, "empty": -1}
    return made


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_every_metric_of_the_catalogue(
    tmp_path: Path, make_company: Make, cut_tables: Make, make_recipe: Make, ending: str
) -> None:
    tables = make_company(1)
    content = make_recipe(tables, tmp_path / "whole", ending=ending)
    assert len(with_catalogue(load_recipe(content)).metrics) >= 60
    whole = metrics_of(content)
    for day in DAYS:
        known = make_recipe(cut_tables(tables, pd.Timestamp(day)), tmp_path / day, ending=ending)
        assert_same_bits(whole[whole["snapshot_date"] == day], metrics_of(on(known, day)))


@pytest.mark.parametrize("seed", range(6))
def test_random_recipes(
    tmp_path: Path, make_company: Make, cut_tables: Make, make_recipe: Make, seed: int
) -> None:
    tables, metrics = make_company(seed), random_metrics(seed)
    content = make_recipe(tables, tmp_path / "whole", metrics=metrics)
    for table in content["tables"].values():
        table["catalogue"] = False
    whole = metrics_of(content)
    day = DAYS[seed % len(DAYS)]
    known = {**content, "data": {"path": str(tmp_path / day)}}
    make_recipe(cut_tables(tables, pd.Timestamp(day)), tmp_path / day)
    assert_same_bits(whole[whole["snapshot_date"] == day], metrics_of(on(known, day)))


def test_the_order_of_rows_does_not_matter(tmp_path: Path, make_company: Make, make_recipe: Make) -> None:
    tables = make_company(2)
    shuffled = {name: frame.sample(frac=1.0, random_state=3) for name, frame in tables.items()}
    one = build_snapshots(load_recipe(make_recipe(tables, tmp_path / "one"))).frame
    other = build_snapshots(load_recipe(make_recipe(shuffled, tmp_path / "other"))).frame
    assert_same_bits(one, other)


def test_more_snapshots_change_no_metric(tmp_path: Path, make_company: Make, make_recipe: Make) -> None:
    tables = make_company(4)
    content = make_recipe(tables, tmp_path)
    monthly, weekly = (
        metrics_of(content),
        metrics_of({**content, "snapshots": {**content["snapshots"], "every": "week"}}),
    )
    both = sorted(set(monthly["snapshot_date"]) & set(weekly["snapshot_date"]))
    assert both
    for day in both:
        assert_same_bits(monthly[monthly["snapshot_date"] == day], weekly[weekly["snapshot_date"] == day])


def test_an_upgrade_takes_over_only_when_it_is_known(tmp_path: Path, make_recipe: Make) -> None:
    columns = ["account_id", "product", "start", "end", "signed", "mrr", "seats", "term_id"]
    rows = [
        (1, "core", "2023-01-01", "2024-01-01", "2023-01-01", 100.0, 5, 0),
        (1, "core", "2023-05-20", "2024-06-01", "2023-06-10", 150.0, 8, 1),  # booked three weeks late
    ]
    terms = pd.DataFrame(rows, columns=columns)
    content = make_recipe(
        {"contracts": terms}, tmp_path, ending=".csv", first="2023-05-01", last="2023-06-30"
    )
    frame = metrics_of(content).set_index("snapshot_date")
    assert frame["contracts_mrr"].tolist() == [100.0, 150.0]
    assert frame["contracts_running"].tolist() == [1.0, 1.0]
