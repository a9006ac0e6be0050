"""Datasets: what the recipe says, built and checked from good and hostile tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chs_ml.dataset import Dataset, build_dataset, check_dataset
from chs_ml.errors import TableError
from chs_ml.metric import Direction, Kind
from chs_ml.recipe import Recipe, load_recipe

N = 80


def table(**columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = {
        "id": [f"A{i:03d}" for i in range(N)],
        "usage": rng.normal(size=N).round(3),
        "plan": rng.choice(["basic", "pro", "team"], N),
        "active": rng.choice(["yes", "no"], N),
        "y": rng.permutation(np.arange(N) % 4 == 0).astype(int),
    }
    return pd.DataFrame({**frame, **columns})


def recipe(metrics: dict[str, Any] | None = None, **data: Any) -> Recipe:
    return load_recipe({"data": {"account": "id", "outcome": "y", **data}, "metrics": metrics or {}})


def codes(made: Recipe, frame: pd.DataFrame) -> dict[str, tuple[str, str, int]]:
    found = check_dataset(made, frame)
    return {finding.code: (finding.severity, finding.subject, finding.count) for finding in found}


def test_columns_become_metrics_in_the_order_of_the_table() -> None:
    made = recipe({"usage": {"direction": "higher", "group": "Product usage", "unit": "%", "label": "Use"}})
    dataset = build_dataset(made, table())
    assert [(metric.name, metric.kind) for metric in dataset.metrics] == [
        ("usage", Kind.NUMBER),
        ("plan", Kind.CATEGORY),
        ("active", Kind.YES_NO),
    ]
    first = dataset.metrics[0]
    assert (first.direction, first.group, first.unit, first.title) == (
        Direction.HIGHER,
        "Product usage",
        "%",
        "Use",
    )
    assert dataset.metrics[1].direction is Direction.UNKNOWN
    assert list(dataset.frame.columns) == ["usage", "plan", "active"]
    assert dataset.churned.tolist() == table()["y"].tolist()
    assert (dataset.n, dataset.n_churned, dataset.base_rate) == (N, 20, 0.25)
    assert dataset.findings == ()


def test_shuffled_and_extra_columns_and_any_index() -> None:
    frame = table(extra=np.arange(N) % 7, note=[[i] for i in range(N)])
    shuffled = frame[frame.columns[::-1]].set_axis(range(1000, 1000 + N), axis=0)
    dataset = build_dataset(recipe(ignore=["extra"]), shuffled)
    assert [metric.name for metric in dataset.metrics] == ["active", "plan", "usage"]
    assert list(dataset.frame.index) == list(range(N))
    assert [finding.code for finding in dataset.findings] == ["not-a-value"]
    assert shuffled.index[0] == 1000


def test_value_segment_and_keep_are_metrics_only_when_declared() -> None:
    frame = table(arr=np.r_[np.nan, np.arange(1, N) * 10.5], tier=["a", "b"] * 40, owner=["x", "y"] * 40)
    made = recipe({"tier": {}}, value="arr", segment="tier", keep=["owner", "arr"])
    dataset = build_dataset(made, frame)
    assert [metric.name for metric in dataset.metrics] == ["usage", "plan", "active", "tier"]
    np.testing.assert_array_equal(dataset.value, frame["arr"])
    assert dataset.segment is not None
    assert dataset.segment.tolist() == frame["tier"].tolist()
    pd.testing.assert_frame_equal(dataset.keep, frame[["owner", "arr"]])
    assert [(finding.code, finding.count) for finding in dataset.findings] == [("blank-values", 1)]


def test_rows_takes_every_part() -> None:
    frame = table(arr=1.0, month="2024-01-31", owner="x")
    frame.loc[[3, 5], "y"] = np.nan
    made = recipe(value="arr", segment="plan", keep=["owner"], snapshot_date="month", horizon_days=90)
    dataset = build_dataset(made, frame)
    part = dataset.rows([5, 0, 7])
    assert part.account.tolist() == ["A005", "A000", "A007"]
    np.testing.assert_array_equal(part.churned, frame["y"].iloc[[5, 0, 7]])
    for column in (part.frame, part.account, part.snapshot_date, part.segment, part.keep):
        assert column is not None
        assert list(column.index) == [0, 1, 2]
    assert part.horizon_days == 90
    assert dataset.matured.n == N - 2
    pd.testing.assert_frame_equal(dataset.rows(dataset.is_matured).frame, dataset.matured.frame)
    assert [finding.code for finding in dataset.findings] == ["open-outcomes"]


def test_a_dataset_made_by_hand() -> None:
    metrics = build_dataset(recipe(), table()).metrics
    frame = table()[["usage", "plan", "active"]]
    made = Dataset(frame, metrics, np.zeros(N), table()["id"])
    assert made.keep.shape == (N, 0)
    assert made.rows([1, 2]).keep.shape == (2, 0)
    with pytest.raises(TableError, match="same number of rows"):
        Dataset(frame, metrics, np.zeros(3), table()["id"])


OUTCOMES = [
    (["Yes", "No"] * 40, {"churned": "Yes"}, [1, 0] * 40),
    (["Yes", "No", " ", None] * 20, {"churned": "Yes"}, [1, 0, np.nan, np.nan] * 20),
    ([1.0, 0.0] * 40, {"churned": 1}, [1, 0] * 40),
    ([0, 1] * 40, {"churned": 0}, [1, 0] * 40),
    ([True, False] * 40, {"churned": True}, [1, 0] * 40),
    ([True, False] * 40, {}, [1, 0] * 40),
    (pd.array([1, 0, None, 0] * 20, dtype="Int64"), {}, [1, 0, np.nan, 0] * 20),
    (pd.Categorical(["lost", "won"] * 40), {"churned": "lost"}, [1, 0] * 40),
    (["lost", "won", "up", "won"] * 20, {"churned": "lost", "renewed": ["won", "up"]}, [1, 0, 0, 0] * 20),
    (["renewed", "Churned", "contracted", "open"] * 20, {}, [0, 1, 0, np.nan] * 20),
    (
        ["renewed", "churned", "contracted", "open"] * 20,
        {"contracted_is_churn": True},
        [0, 1, 1, np.nan] * 20,
    ),
]


@pytest.mark.parametrize(("column", "data", "expected"), OUTCOMES)
def test_outcomes(column: Any, data: dict[str, Any], expected: list[float]) -> None:
    np.testing.assert_array_equal(build_dataset(recipe(**data), table(y=column)).churned, expected)


REFUSED: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = [
    ({"y": None}, {}, {}, "y: outcomes must be known for some rows; all 80 are blank or open"),
    ({"y": 0}, {}, {}, "there must be churned and renewed rows; none of 80 is churned"),
    ({"y": ["Yes", "No"] * 40}, {"churned": "Yess"}, {}, "found also 'Yes'"),
    ({"y": ["Yes", "No"] * 40}, {}, {}, r"80 of 80 are not: 'Yes', 'No'. Name"),
    ({"y": ["lost", "won", "up", "won"] * 20}, {"churned": "lost"}, {}, "Say which of them mean renewed"),
    (
        {"id": ["A", "A", "B", "B"] * 20},
        {},
        {},
        "Each account must stand in one row; 78 rows repeat .* 'A', 'B'",
    ),
    ({"id": [None, " ", *range(78)]}, {}, {}, "2 of 80 have none, the first in row 1"),
    ({}, {"account": "ID"}, {}, "account names the column 'ID', which the table lacks. Did you mean 'id'"),
    ({}, {"keep": ["ownr"]}, {}, r"\[data\] keep names the column 'ownr'.* The table has 5 columns"),
    ({}, {}, {"usge": {}}, r"\[metrics.usge\] names the column 'usge'.* Did you mean 'usage'"),
    ({}, {}, {"plan": {"direction": "higher"}}, "direction = 'higher' cannot hold for a category"),
    ({}, {"ignore": ["usage", "plan", "active"]}, {}, "at least one metric"),
    (
        {"m": "soon"},
        {"snapshot_date": "m", "horizon_days": 9},
        {},
        "m: every snapshot must have a date.*'soon'",
    ),
    (
        {"m": "2024-01-31", "id": "A"},
        {"snapshot_date": "m", "horizon_days": 9},
        {},
        "79 rows repeat one: 'A on 2024-01-31'",
    ),
]


@pytest.mark.parametrize(("columns", "data", "metrics", "message"), REFUSED)
def test_refusals(
    columns: dict[str, Any], data: dict[str, Any], metrics: dict[str, Any], message: str
) -> None:
    made, frame = recipe(metrics, **data), table(**columns)
    with pytest.raises(TableError, match=message):
        build_dataset(made, frame)
    assert check_dataset(made, frame)[0].severity == "error"


def test_all_errors_are_named_at_once() -> None:
    frame = table(y=0, id="A")
    with pytest.raises(TableError, match=r"for 2 reasons:\n- y: there must be .*\n- Each account must stand"):
        build_dataset(recipe(), frame)


def test_duplicate_column_names_and_no_rows() -> None:
    frame = table()
    doubled = pd.concat([frame, frame[["usage"]]], axis=1)
    with pytest.raises(TableError, match="the table has more than once: 'usage'"):
        build_dataset(recipe(), doubled)
    assert [metric.name for metric in build_dataset(recipe(ignore=["usage"]), doubled).metrics] == [
        "plan",
        "active",
    ]
    with pytest.raises(TableError, match="must have rows"):
        build_dataset(recipe(), frame.head(0))


def test_useless_columns_are_left_out_with_a_warning() -> None:
    frame = table(
        same="x",
        none=None,
        name=[f"n{i}" for i in range(N)],
        row=range(N),
        born=["2020-01-01", "2021-01-01"] * 40,
    )
    made = recipe(ignore=["nmae"])
    dataset = build_dataset(made, frame)
    assert [metric.name for metric in dataset.metrics] == ["usage", "plan", "active"]
    assert [(finding.code, finding.subject) for finding in dataset.findings] == [
        ("missing-column", "nmae"),
        ("constant", "same"),
        ("all-missing", "none"),
        ("identifier-like", "name"),
        ("identifier-like", "row"),
        ("date-without-snapshot", "born"),
    ]
    assert "Did you mean 'name'" in dataset.findings[0].message
    declared = build_dataset(recipe({"name": {}}), frame)
    assert "name" in declared.frame
    assert any("it stays because" in finding.message for finding in declared.findings)


def test_a_value_that_only_open_rows_have_is_constant() -> None:
    flag = pd.Series(["a"] * N)
    flag[:5] = "b"
    outcome = table()["y"].astype(float)
    outcome[:5] = np.nan
    assert codes(recipe(), table(flag=flag, y=outcome))["constant"] == ("warning", "flag", 0)


def test_an_identifier_that_repeats_from_snapshot_to_snapshot() -> None:
    frame = pd.concat([table(month=f"2024-0{m}-28", number=np.arange(N) + 500) for m in (1, 2, 3)])
    frame["y"] = np.arange(len(frame)) % 3 == 0
    found = codes(recipe(snapshot_date="month", horizon_days=28), frame)
    assert found["identifier-like"] == ("warning", "number", 0)


def test_hostile_numbers_are_counted_and_missing() -> None:
    usage = ["1.5", "inf", "-inf", " ", None, "many", *map(str, range(74))]
    found = codes(recipe({"usage": {"kind": "number"}}), table(usage=usage))
    assert found["infinite-values"] == ("warning", "usage", 2)
    assert found["unreadable-values"] == ("warning", "usage", 1)
    assert found["blank-values"] == ("note", "usage", 2)
    nullable = pd.array([None, *range(N - 1)], dtype="Int64")
    assert codes(recipe(), table(usage=nullable * nullable))["blank-values"] == ("note", "usage", 1)
    assert codes(recipe(), table(usage=[np.inf, -np.inf] + [0.5, 2.5] * 39))["infinite-values"][2] == 2


@pytest.mark.parametrize("leak", [
    lambda y: y * 3.5 + 1,
    lambda y: -1.0 * y,
    lambda y: np.where(y == 1, np.nan, 7.0),
    lambda y: np.where(y == 1, "price", "")[:],
    lambda y: pd.Series(np.where(y == 1, "gone", "here")),
    lambda y: np.where(y == 1, "yes", "no"),
])  # fmt: skip
def test_a_metric_that_separates_the_outcome_is_named(leak: Any) -> None:
    y = table()["y"].to_numpy()
    frame = table(reason=leak(y), y=y)
    dataset = build_dataset(recipe(), frame)
    assert [
        (finding.code, finding.subject) for finding in dataset.findings if finding.code != "blank-values"
    ] == [("suspected-leak", "reason")]
    assert "reason" in dataset.frame


def test_dates_before_the_snapshot() -> None:
    born = pd.Series(pd.date_range("2022-01-01", periods=N, freq="11D")).dt.strftime("%Y-%m-%d")
    frame = table(month=pd.to_datetime(["2024-01-31 23:00"] * N), born=born)
    dataset = build_dataset(recipe(snapshot_date="month", horizon_days=30, lead_days=10), frame)
    assert [metric.kind for metric in dataset.metrics][-1] is Kind.DATE
    assert dataset.snapshot_date is not None
    assert set(dataset.snapshot_date) == {pd.Timestamp("2024-01-31")}
    assert (dataset.horizon_days, dataset.lead_days) == (30, 10)


@pytest.mark.parametrize(
    "month",
    ["2024-02-29", "2024-02-29T08:00:00+02:00", "20240229", 20240229, pd.Timestamp("2024-02-29", tz="UTC")],
)
def test_snapshot_dates_in_any_dress(month: Any) -> None:
    dataset = build_dataset(recipe(snapshot_date="month", horizon_days=30), table(month=month))
    assert dataset.snapshot_date is not None
    assert set(dataset.snapshot_date) == {pd.Timestamp("2024-02-29")}
    assert dataset.snapshot_date.dtype == "datetime64[us]"


def test_outcome_windows_that_end_after_as_of_are_open() -> None:
    month = pd.Series(["2024-01-31", "2024-03-31"] * 40)
    made = recipe(snapshot_date="month", horizon_days=30, lead_days=1, as_of="2024-04-30")
    dataset = build_dataset(made, table(month=month))
    np.testing.assert_array_equal(dataset.is_matured, month == "2024-01-31")
    assert "open-outcomes" in {finding.code for finding in dataset.findings}


def test_account_ids_are_text_and_may_be_absent() -> None:
    for ids in (
        range(N),
        np.arange(N) * 1.0,
        [f" {i} " for i in range(N)],
        pd.array(range(N), dtype="Int64"),
    ):
        assert build_dataset(recipe(), table(id=ids)).account.tolist() == [str(i) for i in range(N)]
    anonymous = build_dataset(load_recipe({"data": {"outcome": "y"}}), table())
    assert anonymous.account.nunique() == N
    assert {finding.code for finding in anonymous.findings} == {"no-account", "identifier-like"}


EXPECTED = [("telco", 7043, 19, 1869), ("business", 10_000, 30, 1021), ("mlc", 5000, 19, 707)]


@pytest.mark.parametrize(("name", "n", "k", "churned"), EXPECTED)
def test_the_recipes_of_the_repository(
    root: Path, shared_data: Path, name: str, n: int, k: int, churned: int
) -> None:
    dataset = build_dataset(load_recipe(root / "training" / f"{name}.toml"))
    assert (dataset.n, len(dataset.metrics), dataset.n_churned) == (n, k, churned)
    blanks = {
        finding.subject: finding.count for finding in dataset.findings if finding.code == "blank-values"
    }
    assert blanks == ({"TotalCharges": 11} if name == "telco" else {})
    assert not {"suspected-leak", "strong-alone"} & {finding.code for finding in dataset.findings}
    assert shared_data.is_dir()


def test_leaks_of_the_separable_set(shared_data: Path) -> None:
    made = load_recipe(
        {"data": {"path": str(shared_data / "b2b-telecom-pe" / "churn.csv"), "outcome": "churn"}}
    )
    found = {finding.subject for finding in check_dataset(made) if finding.code == "suspected-leak"}
    assert {"risk_score", "motivo_abandono"} & found
