"""Publication: every row gets a status, and rows that must not have a score lose it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chs_ml.inputs import Encoded, InputColumn, InputSchema
from chs_ml.metric import Kind, Metric
from chs_ml.scores import Publication, publish
from chs_ml.tiers import Tiers

NAN = float("nan")
SCHEMA = InputSchema(
    (
        InputColumn(metric=Metric(name="usage"), missing_seen=False),
        InputColumn(metric=Metric(name="nps"), missing_seen=True),
        InputColumn(metric=Metric(name="plan", kind=Kind.CATEGORY), categories=("a",), missing_seen=False),
    )
)


def mask(*rows: int) -> Any:
    return np.isin(np.arange(6), rows)


def made(*, floor: float = 0.0, coverage: Any = 1.0, **parts: Any) -> Publication:
    values = parts.pop("values", np.ones((6, 3)))
    encoded = Encoded(values, **parts)
    numbers: Mapping[str, Any] = {
        "churn_probability": np.full(6, 0.1),
        "health_score": np.array([90, 75, 74.9, 50, 49.9, 1]),
    }
    known = np.broadcast_to(np.asarray(coverage, dtype=float), (6,))
    return publish(numbers, encoded, SCHEMA, tiers=Tiers(), coverage=known, floor=floor)


def test_all_is_well() -> None:
    frame = made().to_frame(pd.Index(list("uvwxyz")))
    assert list(frame.columns) == [
        "churn_probability",
        "health_score",
        "tier",
        "coverage",
        "status",
        "status_detail",
    ]
    assert frame.index.tolist() == list("uvwxyz")
    assert frame["tier"].tolist() == ["Healthy", "Healthy", "At-Risk", "At-Risk", "Critical", "Critical"]
    assert set(frame["status"]) == {"ok"}
    assert set(frame["status_detail"]) == {""}


def test_surprises_degrade_and_keep_the_score() -> None:
    values = np.ones((6, 3))
    values[1, 0] = values[2, 1] = values[3, 2] = np.nan
    frame = made(values=values, unseen={"plan": mask(0, 1)}).to_frame(pd.RangeIndex(6))
    assert frame["status"].tolist() == ["degraded", "degraded", "ok", "degraded", "ok", "ok"]
    assert frame["status_detail"].tolist() == [
        "unseen category: plan", "missing: usage; unseen category: plan", "", "missing: plan", "", "",
    ]  # fmt: skip
    assert frame["health_score"].notna().all()


def test_an_absent_column_degrades_every_row() -> None:
    values = np.ones((6, 3))
    values[:, 1] = np.nan
    frame = made(values=values, absent=("nps",)).to_frame(pd.RangeIndex(6))
    assert set(frame["status"]) == {"degraded"}
    assert set(frame["status_detail"]) == {"missing: nps"}


def test_below_the_floor_and_where_nothing_is_known_scores_are_withheld() -> None:
    coverage = [1.0, 0.5, 0.4999, 0.0, 0.8, 0.2]
    frame = made(coverage=coverage, floor=0.5).to_frame(pd.RangeIndex(6))
    assert frame["status"].tolist() == ["ok", "ok", "withheld", "withheld", "ok", "withheld"]
    assert frame["status_detail"][2] == "coverage below 50%"
    assert frame.loc[[2, 3, 5], ["churn_probability", "health_score", "tier"]].isna().all(axis=None)
    frame = made(coverage=coverage).to_frame(pd.RangeIndex(6))
    assert frame["status"].tolist() == ["ok", "ok", "ok", "withheld", "ok", "ok"]
    assert frame["status_detail"][3] == "no metric has a value"


def test_unreadable_values_make_a_row_invalid_whatever_else_it_is() -> None:
    values = np.ones((6, 3))
    values[0, 0] = np.nan
    made_so = made(
        values=values,
        coverage=[0.1, 1, 1, 1, 1, 1],
        floor=0.5,
        unreadable={"usage": mask(0), "nps": mask(0, 2)},
    )
    frame = made_so.to_frame(pd.RangeIndex(6))
    assert frame["status"].tolist() == ["invalid", "ok", "invalid", "ok", "ok", "ok"]
    assert frame["status_detail"][2] == "unreadable or infinite: nps"
    assert "unreadable or infinite: usage; unreadable or infinite: nps" in frame["status_detail"][0]
    assert "missing: usage" not in frame["status_detail"][0]
    assert frame["health_score"].isna().tolist() == [True, False, True, False, False, False]


def test_the_first_row_as_plain_values() -> None:
    assert made().first() == {
        "churn_probability": 0.1,
        "health_score": 90.0,
        "tier": "Healthy",
        "coverage": 1.0,
        "status": "ok",
        "status_detail": "",
    }
    withheld = made(coverage=0.0).first()
    assert (withheld["health_score"], withheld["churn_probability"], withheld["tier"]) == (None, None, None)


@pytest.mark.parametrize("name", ["churn_probability", "health_score", "coverage"])
def test_numbers_are_plain_floats(name: str) -> None:
    assert type(made().first()[name]) is float
