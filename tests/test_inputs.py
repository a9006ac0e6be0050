"""The door: columns go by name, and what training saw is remembered."""

import numpy as np
import pandas as pd
import pytest

from chs_ml.errors import TableError
from chs_ml.inputs import FEW_ROWS, InputColumn, InputSchema, encode_row
from chs_ml.metric import Kind, Metric

NAN = float("nan")
SNAPSHOT = "2024-03-31"

# --- columns ---

THREE = InputSchema(
    (
        InputColumn(metric=Metric(name="usage")),
        InputColumn(metric=Metric(name="plan", kind=Kind.CATEGORY), categories=("a", "b")),
        InputColumn(metric=Metric(name="nps", required=False)),
    )
)


def table(rows: int = 20) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    plans = rng.choice(["a", "b", "c"], rows)
    return pd.DataFrame({"usage": rng.normal(size=rows), "plan": plans, "nps": rng.integers(-100, 100, rows)})


@pytest.mark.parametrize("rows", [0, 1, FEW_ROWS, FEW_ROWS + 1, 50])
def test_columns_go_by_name_in_any_order_and_others_are_ignored(rows: int) -> None:
    frame = table(rows)
    expected = THREE.encode(frame)
    assert expected.values.shape == (rows, 3)
    assert expected.values.flags.f_contiguous
    busy = (
        frame[["nps", "usage", "plan"]]
        .assign(other="x", more=np.inf)
        .set_axis(np.arange(rows) * 7 - 3, axis=0)
    )
    again = THREE.encode(busy[["more", "nps", "other", "plan", "usage"]])
    np.testing.assert_array_equal(again.values, expected.values)
    assert again.absent == ()


@pytest.mark.parametrize("rows", [2, 50])
def test_an_optional_column_may_be_absent(rows: int) -> None:
    encoded = THREE.encode(table(rows).drop(columns="nps"))
    assert encoded.absent == ("nps",)
    assert np.isnan(encoded.values[:, 2]).all()


def test_a_required_column_that_is_missing_names_itself_and_what_is_near() -> None:
    with pytest.raises(TableError, match=r"1 of 2 missing: 'usage'\. Did you mean 'usages'\?"):
        THREE.encode(table().rename(columns={"usage": "usages"}))
    with pytest.raises(
        TableError, match=r"2 of 2 missing: 'usage', 'plan'\. The table has one column, .*delimiter"
    ):
        THREE.encode(pd.DataFrame({"usage;plan;nps": ["1;a;3"]}))
    with pytest.raises(TableError, match=r"2 of 2 missing.*The table has 0 columns"):
        THREE.encode(pd.DataFrame())
    with pytest.raises(TableError, match=r"1 of 2 missing: 'plan'"):
        encode_row(THREE, {"usage": 1})


def test_a_metric_that_stands_there_twice_is_refused_and_other_twins_are_not() -> None:
    frame = table()
    with pytest.raises(TableError, match="must be one column; these stand there twice: 'plan'"):
        THREE.encode(pd.concat([frame, frame[["plan"]]], axis=1))
    twins = pd.DataFrame(0, index=frame.index, columns=["z", "z"])
    np.testing.assert_array_equal(
        THREE.encode(pd.concat([frame, twins], axis=1)).values, THREE.encode(frame).values
    )


def test_the_table_is_not_changed() -> None:
    frame = table().astype({"plan": "category"})
    before = frame.copy(deep=True)
    THREE.encode(frame)
    pd.testing.assert_frame_equal(frame, before)


# --- learning ---


def test_what_training_saw() -> None:
    frame = pd.DataFrame(
        {
            "n": [3.0, NAN, -1.0],
            "full": [1, 2, 3],
            "c": ["b", None, "a"],
            "d": ["2024-03-30", "", "2024-03-01"],
            "none": [None] * 3,
        }
    )
    metrics = [
        Metric(name="full"),
        Metric(name="n"),
        Metric(name="c", kind=Kind.CATEGORY),
        Metric(name="d", kind=Kind.DATE),
        Metric(name="none"),
    ]
    schema = InputSchema.learn(frame, metrics, snapshot=pd.Series([SNAPSHOT] * 3))
    full, n, c, d, none = schema.columns
    assert (full.low, full.high, full.missing_seen) == (1.0, 3.0, False)
    assert (n.low, n.high, n.missing_seen) == (-1.0, 3.0, True)
    assert (c.categories, c.unseen_code, c.missing_seen) == (("a", "b"), 2, True)
    assert (d.low, d.high, d.missing_seen) == (1.0, 30.0, True)
    assert np.isnan([none.low, none.high]).all()
    assert none.missing_seen
    assert schema.names == ("full", "n", "c", "d", "none")
    assert schema.category_positions == [2]
