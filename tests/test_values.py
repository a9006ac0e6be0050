"""Values: every way people store numbers, yes and no, categories and dates gives the same matrix."""

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chs_ml.errors import TableError
from chs_ml.inputs import FEW_ROWS, Encoded, InputColumn, InputSchema, encode_row
from chs_ml.metric import Kind, Metric
from chs_ml.values import labelled, read_values

NAN = float("nan")
SNAPSHOT = "2024-03-31"
KINDS = list(Kind)


def schema_of(kind: Kind, *, categories: tuple[str, ...] = (), required: bool = True) -> InputSchema:
    return InputSchema(
        (InputColumn(metric=Metric(name="m", kind=kind, required=required), categories=categories),)
    )


def plain(encoded: Encoded, row: int = 0) -> tuple[list[float], list[str], list[str]]:
    unreadable = [name for name, mask in encoded.unreadable.items() if mask[row]]
    unseen = [name for name, mask in encoded.unseen.items() if mask[row]]
    return encoded.values[row].tolist(), unreadable, unseen


# --- numbers ---

NUMBERS = [
    pd.Series([1, 0, 7], dtype="int64"),
    pd.Series([1, 0, 7], dtype="int8"),
    pd.Series([1, 0, 7], dtype="uint64"),
    pd.Series([1, 0, 7], dtype="float32"),
    pd.Series([1, 0, 7], dtype="float16"),
    pd.Series([1, 0, 7], dtype="Int64"),
    pd.Series([1, 0, 7], dtype="Float32"),
    pd.Series([1, 0, 7], dtype="int32[pyarrow]"),
    pd.Series([1, 0, 7], dtype="double[pyarrow]"),
    pd.Series(
        [decimal.Decimal(1), decimal.Decimal(0), decimal.Decimal(7)], dtype=pd.ArrowDtype(pa.decimal128(5, 2))
    ),
    pd.Series(["1", "0", "7"], dtype="str"),
    pd.Series(["1", "0", "7"], dtype="string[pyarrow]"),
    pd.Series(["1", "0", "7"], dtype="string[python]"),
    pd.Series(["1", "0", "7"], dtype=object),
    pd.Series([" 1.0 ", "-0", "+7e0"], dtype="str"),
    pd.Series(["1", "0", "7"], dtype="category"),
    pd.Series([1.0, 0.0, 7.0], dtype="category"),
    pd.Series([True, 0, "7"], dtype=object),
    pd.Series([np.float32(1), decimal.Decimal(0), np.int8(7)], dtype=object),
    pd.Series(pd.arrays.SparseArray([1.0, 0.0, 7.0])),
]


@pytest.mark.parametrize("copies", [1, 10])
@pytest.mark.parametrize("series", NUMBERS, ids=lambda s: str(s.dtype))
def test_numbers_of_any_dtype(series: pd.Series, copies: int) -> None:
    frame = pd.DataFrame({"m": pd.concat([series] * copies, ignore_index=True)})
    encoded = schema_of(Kind.NUMBER).encode(frame)
    np.testing.assert_array_equal(encoded.values[:, 0], [1.0, 0.0, 7.0] * copies)
    assert encoded.values.dtype == np.float64
    assert (encoded.unreadable, encoded.unseen, encoded.absent) == ({}, {}, ())


@pytest.mark.parametrize("copies", [1, 10])
@pytest.mark.parametrize(
    "series",
    [
        pd.Series([2.0, NAN]),
        pd.Series([2, pd.NA], dtype="Int64"),
        pd.Series([2, pd.NA], dtype="Float64"),
        pd.Series([2, None], dtype="int64[pyarrow]"),
        pd.Series(["2", None], dtype="str"),
        pd.Series(["2", None], dtype="string[pyarrow]"),
        pd.Series(["2", None], dtype="category"),
        pd.Series([2, None], dtype=object),
        pd.Series(["2", pd.NaT], dtype=object),
        *(
            pd.Series(["2", blank], dtype="str")
            for blank in ("", "  ", "NA", "n/a", "NaN", "null", "None", "<NA>")
        ),
    ],
    ids=str,
)
def test_blanks_are_missing_and_not_unreadable(series: pd.Series, copies: int) -> None:
    frame = pd.DataFrame({"m": pd.concat([series] * copies, ignore_index=True)})
    encoded = schema_of(Kind.NUMBER).encode(frame)
    np.testing.assert_array_equal(encoded.values[:, 0], [2.0, NAN] * copies)
    assert encoded.unreadable == {}


@pytest.mark.parametrize("copies", [1, 10])
@pytest.mark.parametrize(
    "series",
    [
        pd.Series([1.0, np.inf]),
        pd.Series([1.0, -np.inf], dtype="float32"),
        pd.Series(["1", "inf"]),
        pd.Series(["1", "1e999"]),
        pd.Series(["1", "twelve"]),
        pd.Series(["1", "12 %"]),
        pd.Series(["1", "1,5"]),
        pd.Series([1, 10**400], dtype=object),
        pd.Series([1, [2]], dtype=object),
        pd.Series([1, {"a": 2}], dtype=object),
        pd.Series([1, dt.date(2024, 1, 1)], dtype=object),
        pd.Series([1, 1j], dtype=object),
        pd.Series(["1", "\ud800"], dtype=object),
    ],
    ids=lambda s: repr(s[1]),
)
def test_infinite_and_unreadable_numbers_are_marked_row_by_row(series: pd.Series, copies: int) -> None:
    frame = pd.DataFrame({"m": pd.concat([series] * copies, ignore_index=True)})
    encoded = schema_of(Kind.NUMBER).encode(frame)
    np.testing.assert_array_equal(encoded.values[:, 0], [1.0, NAN] * copies)
    np.testing.assert_array_equal(encoded.unreadable["m"], [False, True] * copies)


@pytest.mark.parametrize("copies", [1, 10])
@pytest.mark.parametrize(
    "series",
    [
        pd.Series(pd.to_datetime(["2024-01-01"])),
        pd.Series(pd.to_datetime(["2024-01-01"])).dt.tz_localize("Asia/Tokyo"),
        pd.Series(pd.period_range("2024-01", periods=1, freq="M")),
        pd.Series(pd.to_timedelta([3], unit="D")),
        pd.Series([1 + 2j]),
    ],
    ids=lambda s: str(s.dtype),
)
@pytest.mark.parametrize("kind", [Kind.NUMBER, Kind.YES_NO])
def test_a_column_of_another_nature_is_unreadable(series: pd.Series, kind: Kind, copies: int) -> None:
    frame = pd.DataFrame({"m": pd.concat([series] * copies, ignore_index=True)})
    assert schema_of(kind).encode(frame).unreadable["m"].tolist() == [True] * copies


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_written_numbers_are_read_to_the_last_bit(numbers: list[float]) -> None:
    read, bad = read_values(pd.Series([repr(number) for number in numbers]), Kind.NUMBER)
    np.testing.assert_array_equal(read, numbers)
    assert not bad.any()


# --- yes and no ---


@pytest.mark.parametrize("copies", [1, 10])
@pytest.mark.parametrize(
    "series",
    [
        pd.Series(["Yes", "no", None]),
        pd.Series([" y ", "N", ""]),
        pd.Series(["TRUE", "false", "NA"]),
        pd.Series(["t", "F", None], dtype="category"),
        pd.Series([True, False, None], dtype="boolean"),
        pd.Series([True, False, None], dtype="bool[pyarrow]"),
        pd.Series([True, False, None], dtype=object),
        pd.Series([1, 0, None], dtype="Int64"),
        pd.Series([1.0, 0.0, NAN]),
        pd.Series(["1", "0", None], dtype="string[pyarrow]"),
        pd.Series(["1.0", "0.0", ""]),
        pd.Series([1, "no", pd.NA], dtype=object),
    ],
    ids=str,
)
def test_yes_and_no(series: pd.Series, copies: int) -> None:
    frame = pd.DataFrame({"m": pd.concat([series] * copies, ignore_index=True)})
    encoded = schema_of(Kind.YES_NO).encode(frame)
    np.testing.assert_array_equal(encoded.values[:, 0], [1.0, 0.0, NAN] * copies)
    assert encoded.unreadable == {}


@pytest.mark.parametrize("copies", [1, 10])
@pytest.mark.parametrize("value", ["maybe", 2, 0.5, np.inf, [1], {"a": 1}], ids=repr)
def test_neither_yes_nor_no(value: Any, copies: int) -> None:
    frame = pd.DataFrame({"m": pd.Series(["yes", value] * copies, dtype=object)})
    encoded = schema_of(Kind.YES_NO).encode(frame)
    np.testing.assert_array_equal(encoded.values[:, 0], [1.0, NAN] * copies)
    np.testing.assert_array_equal(encoded.unreadable["m"], [False, True] * copies)


# --- categories ---


@pytest.mark.parametrize("copies", [1, 10])
@pytest.mark.parametrize(
    "series",
    [
        pd.Series([2, 10, None], dtype="Int64"),
        pd.Series([2.0, 10.0, NAN]),
        pd.Series([2.0, 10.0, NAN], dtype="float32"),
        pd.Series(["2", "10", None]),
        pd.Series([" 2", "10 ", ""]),
        pd.Series(["2", "10", None], dtype="string[pyarrow]"),
        pd.Series(["2", "10", None], dtype="category"),
        pd.Series([2, 10, None], dtype="category"),
        pd.Series([2, "10", None], dtype=object),
        pd.Series(["2", "10", None], dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))),
    ],
    ids=lambda s: str(s.dtype),
)
def test_categories_of_any_dtype(series: pd.Series, copies: int) -> None:
    frame = pd.DataFrame({"m": pd.concat([series] * copies, ignore_index=True)})
    learned = InputSchema.learn(frame, [Metric(name="m", kind=Kind.CATEGORY)])
    assert learned.columns[0].categories == ("10", "2")
    assert learned.columns[0].missing_seen
    np.testing.assert_array_equal(learned.encode(frame).values[:, 0], [1.0, 0.0, NAN] * copies)


def test_an_unseen_category_has_a_code_of_its_own_and_is_marked() -> None:
    encoded = schema_of(Kind.CATEGORY, categories=("a", "b")).encode(
        pd.DataFrame({"m": ["b", "c", None, "A"]})
    )
    np.testing.assert_array_equal(encoded.values[:, 0], [1.0, 2.0, NAN, 2.0])
    assert encoded.unseen["m"].tolist() == [False, True, False, True]
    assert encoded.unreadable == {}


@pytest.mark.parametrize("copies", [1, 10])
def test_true_and_1_are_two_categories_whatever_stands_around_them(copies: int) -> None:
    schema = schema_of(Kind.CATEGORY, categories=("1", "True"))
    frame = pd.DataFrame({"m": pd.Series([True, 1, 1.0, "1"] * copies, dtype=object)})
    np.testing.assert_array_equal(schema.encode(frame).values[:, 0], [1.0, 0.0, 0.0, 0.0] * copies)


@pytest.mark.parametrize("value", [["a"], {"a": 1}, {"a"}, np.array([1, 2])], ids=repr)
@pytest.mark.parametrize("copies", [1, 10])
def test_what_is_no_single_value_is_no_known_category(value: Any, copies: int) -> None:
    column = np.empty(2 * copies, dtype=object)
    column[::2] = "a"
    for i in range(1, 2 * copies, 2):
        column[i] = value
    encoded = schema_of(Kind.CATEGORY, categories=("a",)).encode(pd.DataFrame({"m": column}))
    marked = encoded.unseen.get("m", np.zeros(2 * copies)) + encoded.unreadable.get("m", np.zeros(2 * copies))
    assert (marked > 0).tolist() == [False, True] * copies


# --- dates ---


@pytest.mark.parametrize("copies", [1, 10])
@pytest.mark.parametrize(
    "series",
    [
        pd.Series(["2024-03-01", "2024-04-02", None]),
        pd.Series(["2024-03-01 23:59:59", "2024-04-02T00:00:00Z", ""]),
        pd.Series(pd.to_datetime(["2024-03-01", "2024-04-02", None])),
        pd.Series(pd.to_datetime(["2024-03-01 23:30", "2024-04-02 00:30", None])),
        pd.Series(pd.to_datetime(["2024-03-01 23:30", "2024-04-02 00:30", None])).dt.tz_localize(
            "America/New_York"
        ),
        pd.Series(pd.to_datetime(["2024-03-01", "2024-04-02", None])).dt.tz_localize("Asia/Tokyo"),
        pd.Series(pd.to_datetime(["2024-03-01", "2024-04-02", None])).astype("datetime64[ns]"),
        pd.Series(pd.to_datetime(["2024-03-01", "2024-04-02", None])).astype("timestamp[us][pyarrow]"),
        pd.Series([dt.date(2024, 3, 1), dt.date(2024, 4, 2), None], dtype=object),
        pd.Series([dt.date(2024, 3, 1), dt.date(2024, 4, 2), None], dtype="date32[pyarrow]"),
        pd.Series([pd.Timestamp("2024-03-01"), "2024-04-02", pd.NaT], dtype=object),
        pd.Series(["2024-03-01", "2024-04-02", None], dtype="category"),
    ],
    ids=lambda s: str(s.dtype),
)
def test_dates_become_days_before_the_snapshot(series: pd.Series, copies: int) -> None:
    frame = pd.DataFrame({"m": pd.concat([series] * copies, ignore_index=True)})
    for snapshot in (
        pd.Series([SNAPSHOT] * len(frame)),
        pd.Series(pd.to_datetime([f"{SNAPSHOT} 18:00"] * len(frame))),
    ):
        encoded = schema_of(Kind.DATE).encode(frame, snapshot=snapshot)
        np.testing.assert_array_equal(encoded.values[:, 0], [30.0, -2.0, NAN] * copies)
        assert encoded.unreadable == {}


@pytest.mark.parametrize("copies", [1, 10])
@pytest.mark.parametrize("value", ["yesterday", "2024-13-01", "31.03.2024", "0", [1]], ids=repr)
def test_what_is_no_date_is_unreadable(value: Any, copies: int) -> None:
    frame = pd.DataFrame({"m": pd.Series(["2024-03-30", value] * copies, dtype=object)})
    encoded = schema_of(Kind.DATE).encode(frame, snapshot=pd.Series([SNAPSHOT] * 2 * copies))
    np.testing.assert_array_equal(encoded.values[:, 0], [1.0, NAN] * copies)
    assert encoded.unreadable["m"].tolist() == [False, True] * copies


def test_dates_need_a_snapshot() -> None:
    schema = schema_of(Kind.DATE)
    assert schema.needs_dates
    with pytest.raises(TableError, match="must have the snapshot date column that the recipe names"):
        schema.encode(pd.DataFrame({"m": ["2024-01-01"]}))
    with pytest.raises(TableError, match="snapshot date"):
        encode_row(schema, {"m": "2024-01-01"})


# --- one row is as many ---

TEXT = st.sampled_from(
    [
        "",
        " ",
        "NA",
        "nan",
        "NaN",
        "-nan",
        "nan(1)",
        "inf",
        "-Infinity",
        "1",
        "1.0",
        "01",
        "1e5",
        "1e400",
        "+3",
        "1_000",
        "0x10",
        " 7 ",
        "٣",
        "½",
        "yes",
        "No",
        "T",
        "TRUE",
        "2024-03-01",
        "2024-03",
        "20240301",
        "2024-02-30",
        "<NA>",
        "None",
        "a",
        "A",
        "b ",
        "\x00",
        "é",
        "1,5",
        "--",
        "2024-03-01T25:00",
    ]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | TEXT
    | st.dates(dt.date(1700, 1, 1), dt.date(2200, 1, 1))
    | st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
    | st.decimals(allow_nan=False)
    | st.sampled_from(
        [
            pd.NA,
            pd.NaT,
            np.float32(0.1),
            np.int8(3),
            np.bool_(True),
            np.str_("yes"),
            np.str_(""),
            np.float64("nan"),
            pd.Timestamp("2024-03-01 23:00", tz="Asia/Tokyo"),
            np.datetime64("2024-03-01"),
            10**400,
            b"yes",
            ("a",),
            decimal.Decimal("NaN"),
            "\ud800",
        ]
    )
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(value=SCALAR, others=st.lists(SCALAR, min_size=FEW_ROWS + 1, max_size=FEW_ROWS + 4))
@example(value=-1, others=[None] * (FEW_ROWS + 1))
@example(value="nan(1)", others=["1"] * (FEW_ROWS + 1))
@example(value=1, others=[True] * (FEW_ROWS + 1))
@example(value=np.float32(0.1), others=[0.1] * (FEW_ROWS + 1))
def test_one_row_reads_as_it_does_among_others(kind: Kind, value: Any, others: list[Any]) -> None:
    schema = schema_of(kind, categories=("1", "2024-03-01", "False", "a", "yes"))

    def read(values: list[Any]) -> Encoded:
        column = np.empty(len(values), dtype=object)
        for i, v in enumerate(values):
            column[i] = v
        frame = pd.DataFrame({"m": pd.Series(column, dtype=object)})
        return schema.encode(frame, snapshot=pd.Series([SNAPSHOT] * len(values)))

    alone = plain(encode_row(schema, {"m": value, "other": 1}, snapshot=SNAPSHOT))
    np.testing.assert_equal(plain(read([value])), alone)
    np.testing.assert_equal(plain(read([*others, value]), len(others)), alone)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "series",
    [
        *NUMBERS,
        pd.Series([0.1, 1.5, NAN], dtype="float32"),
        pd.Series([0.1, 1.5, NAN], dtype="float16"),
        pd.Series([0.1, 1.5, None], dtype="Float32"),
        pd.Series([0.1, 1.5, None], dtype="float[pyarrow]"),
        pd.Series([True, False, None], dtype="boolean"),
        pd.Series([True, False, None], dtype="bool[pyarrow]"),
        pd.Series([True, False, True]),
        pd.Series(pd.to_datetime(["2024-03-01 10:00", None])),
        pd.Series(pd.to_datetime(["2024-03-01", "2024-03-02"])).dt.tz_localize("Asia/Tokyo"),
        pd.Series(pd.to_datetime(["2024-03-01", None])).astype("timestamp[us][pyarrow]"),
        pd.Series([dt.date(2024, 3, 1), None], dtype="date32[pyarrow]"),
    ],
    ids=lambda s: str(s.dtype),
)
def test_every_dtype_reads_alike_in_few_rows_and_in_many(kind: Kind, series: pd.Series) -> None:
    schema = schema_of(kind, categories=("0", "0.1", "1", "True", "2024-03-01"))
    frame = pd.DataFrame({"m": pd.concat([series] * FEW_ROWS, ignore_index=True)})
    snapshot = pd.Series([SNAPSHOT] * len(frame))
    many = schema.encode(frame, snapshot=snapshot)
    for i in range(len(series)):
        few = schema.encode(frame.iloc[[i]], snapshot=snapshot.iloc[[i]])
        np.testing.assert_equal(plain(few), plain(many, i))


def test_words_by_position_are_text() -> None:
    found = pd.Series(labelled(["ok", "withheld"], np.array([1, 0, -1, 1])))
    pd.testing.assert_series_equal(found, pd.Series(["withheld", "ok", None, "withheld"], dtype="str"))
    assert len(labelled(["ok"], np.zeros(0, dtype=np.intp))) == 0
