"""Reading the values of a column: numbers, yes or no, dates and categories, of any dtype or as text.

Value by value or a column at once, alone or among a million, a value reads the same.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from chs_ml.errors import TableError
from chs_ml.metric import Kind
from chs_ml.outcome import plain_text

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

YES = frozenset({"yes", "y", "true", "t", "1"})
NO = frozenset({"no", "n", "false", "f", "0"})
_ISO_DAY = re.compile(r"(?:1[7-9]|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}")
BLANKS = frozenset({"", "na", "n/a", "nan", "null", "none", "nat", "<na>"})


def read_values(series: pd.Series, kind: Kind, snapshot: pd.Series | None = None) -> tuple[Any, Mask]:
    """Read a column as its kind.

    Parameters
    ----------
    series : Series of shape (n,)
        Any dtype; text is read as a person would.
    kind : Kind
        How to read it.
    snapshot : Series of shape (n,), optional
        Snapshot dates, for dates.

    Returns
    -------
    values : ndarray of shape (n,)
        float64 with NaN for missing; for categories an object array of labels with None for missing.
    unreadable : ndarray of bool, shape (n,)
        Rows whose value is infinite or cannot be read as the kind (their value is missing).
    """
    if kind is Kind.CATEGORY:
        return _labels(series), np.zeros(len(series), dtype=bool)
    if kind is Kind.DATE:
        values, bad = _days_before(series, snapshot)
    elif kind is Kind.YES_NO:
        values, bad = _yes_no(series)
    else:
        values, bad = read_numbers(series)
    infinite = np.isinf(values)
    return (np.where(infinite, np.nan, values), bad | infinite) if infinite.any() else (values, bad)


def read_numbers(series: pd.Series) -> tuple[Array, Mask]:
    """Read a column of numbers of any dtype, or of text; blanks are missing, not unreadable."""
    if _holds_numbers(series.dtype):
        if isinstance(series.dtype, np.dtype):
            return series.to_numpy().astype(np.float64, copy=False), np.zeros(len(series), dtype=bool)
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return values, np.zeros(len(series), dtype=bool)
    return _numbers_in_text(series)


def _holds_numbers(dtype: Any) -> bool:
    is_real = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype)
    return is_real or pd.api.types.is_bool_dtype(dtype)


def _numbers_in_text(series: pd.Series) -> tuple[Array, Mask]:
    numbers = _clean_numbers(series)
    if numbers is not None:
        return numbers, np.zeros(len(series), dtype=bool)
    read = [number_in(value) for value in series]
    values = np.array([np.nan if value is None else value for value in read], dtype=np.float64)
    return values, np.array([value is None for value in read], dtype=bool)


def _clean_numbers(series: pd.Series) -> Array | None:
    """Let Arrow read a clean column, quickly and rounded as Python does; None where it is not clean."""
    if not (series.dtype == object or isinstance(series.dtype, pd.StringDtype | pd.CategoricalDtype)):
        return None
    try:
        text = pa.array(series, type=pa.string(), from_pandas=True)
        numbers = pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False)
    except (TypeError, ValueError, NotImplementedError):  # Arrow's errors are of these kinds too
        return None
    spelled = int(np.isnan(numbers).sum()) > text.null_count  # Arrow takes "nan(1)" for a number
    return None if spelled else np.asarray(numbers, dtype=np.float64)


def number_in(value: Any) -> float | None:
    """One value as a float, NaN where it is blank, None where it is no number."""
    if value is None or value is pd.NA or value is pd.NaT:
        return float("nan")
    if isinstance(value, str) and value.strip().lower() in BLANKS:
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _yes_no(series: pd.Series) -> tuple[Array, Mask]:
    if _holds_numbers(series.dtype):
        values, _ = read_numbers(series)
        bad = ~(np.isnan(values) | np.isin(values, (0.0, 1.0)))
        return np.where(bad, np.nan, values), bad
    codes, words = distinct(series)
    read = [yes_no_in(word) for word in words]
    table = np.array([*(np.nan if value is None else value for value in read), np.nan], dtype=np.float64)
    bad_table = np.array([*(value is None for value in read), False], dtype=bool)
    return table[codes], bad_table[codes]


def yes_no_in(value: Any) -> float | None:
    """One value as 1.0 or 0.0, NaN where it is blank, None where it is neither."""
    word = "" if type(value) is not str and is_missing(value) else plain_text(value).lower()
    if word in BLANKS:
        return float("nan")
    if word in YES or word in NO:
        return float(word in YES)
    number = number_in(value)  # "1.0", as a table writes a 1 beside blanks
    return number if number in (0.0, 1.0) else None


def _days_before(series: pd.Series, snapshot: pd.Series | None) -> tuple[Array, Mask]:
    if snapshot is None:
        raise TableError("A date is read as days before the snapshot: name the snapshot date column.")
    dates, reference = calendar_days(series), calendar_days(snapshot)
    blank = series.isna() | _stripped(series).str.lower().isin(BLANKS)
    bad = np.isnat(dates) & ~blank.to_numpy()
    days = (reference - dates) / np.timedelta64(1, "D")
    return np.where(np.isnat(dates) | np.isnat(reference), np.nan, days), bad


def calendar_days(series: pd.Series) -> NDArray[np.datetime64]:
    """Dates of any form as the days they were written as, of shape (n,); NaT where there is none.

    A time of day and a time zone are left out: a snapshot is the end of a day where the company lives.
    """
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_localize(None)
    if not pd.api.types.is_datetime64_dtype(series.dtype):
        text = _stripped(series).str.slice(0, 10)
        text = text.where(text.str.match("[0-9]{4}"))  # pandas takes "-1" for a year, at times
        series = pd.to_datetime(text, errors="coerce", format="ISO8601")
    return series.to_numpy().astype("datetime64[D]")


def _stripped(series: pd.Series) -> pd.Series:
    if series.dtype == object:  # JSON can hold half a character, a text column cannot
        series = series.map(lambda v: v.encode(errors="replace").decode() if isinstance(v, str) else v)
    return series.astype("str").str.strip()


def distinct(series: pd.Series) -> tuple[NDArray[np.intp], Any]:
    """Number the distinct values; each row its own where two may count as one, or do not hash."""
    try:
        codes, words = pd.factorize(series)
    except TypeError:  # lists and the like do not hash
        return np.arange(len(series)), series.tolist()
    if series.dtype == object and any(type(word) is not str and word in (0, 1) for word in words):
        return np.arange(len(series)), series.tolist()  # True counts as 1
    return codes, words


def is_missing(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _labels(series: pd.Series) -> NDArray[np.object_]:
    codes, words = distinct(series)
    table = np.array([*(label_in(word) for word in words), None], dtype=object)
    return table[codes]


def labelled(words: Sequence[str], codes: NDArray[np.intp]) -> Any:
    """A text column from the positions of its words, of shape (n,); -1 is missing."""
    positions = pa.array(codes, mask=codes < 0)
    return pd.array(pa.array(list(words), type=pa.large_string()).take(positions), dtype="str")


def label_in(value: Any) -> str | None:
    """One value as a category label, None where it is blank."""
    return None if type(value) is not str and is_missing(value) else plain_text(value) or None


def days_between(value: Any, snapshot: Any) -> float | None:
    day, reference = _plain_day(value), _plain_day(snapshot)
    if day is not None and reference is not None:
        return float((reference - day).days)
    as_read = None if snapshot is None else pd.Series([snapshot], dtype=object)
    days, bad = _days_before(pd.Series([value], dtype=object), as_read)
    return None if bad[0] else float(days[0])


def _plain_day(value: Any) -> date | None:
    """The day of a date that is written or stored as most are, None for every other value."""
    if isinstance(value, datetime):
        return None if value is pd.NaT else value.date()
    if isinstance(value, date):
        return value
    text = value.strip()[:10] if isinstance(value, str) else ""
    if not _ISO_DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
