"""The input schema of a model: which columns it takes, how their values are read, what was seen.

Reading a table of metrics happens once, here: columns are taken by name in any order, numbers may
come as any dtype or as text, categories become integer codes. Everything behind this door is one
float64 matrix in which missing is NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from chs_ml.errors import TableError, first_few, nearest
from chs_ml.metric import Kind, Metric
from chs_ml.outcome import plain_text

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

YES = frozenset({"yes", "y", "true", "t", "1"})
NO = frozenset({"no", "n", "false", "f", "0"})
BLANKS = frozenset({"", "na", "n/a", "nan", "null", "none", "nat", "<na>"})


@dataclass(frozen=True, kw_only=True)
class InputColumn:
    """One metric as a model takes it.

    Attributes
    ----------
    metric : Metric
        The measurement.
    categories : tuple of str
        Categories seen in training, sorted; their position is their code.
    low, high : float
        Range of the numbers seen in training; NaN where none was.
    missing_seen : bool
        Whether training rows lacked a value. Where they did not, a missing value is worth a warning.
    """

    metric: Metric
    categories: tuple[str, ...] = ()
    low: float = float("nan")
    high: float = float("nan")
    missing_seen: bool = True

    @property
    def unseen_code(self) -> int:
        """Code of a category that training never saw: one past the known ones."""
        return len(self.categories)


@dataclass(frozen=True)
class Encoded:
    """A table of metrics behind the door.

    Attributes
    ----------
    values : ndarray of shape (n, k)
        Column-contiguous float64; categories as codes, yes/no as 1 and 0, dates as days before the
        snapshot, missing as NaN.
    unreadable : dict of str to ndarray of shape (n,)
        Per metric, rows whose value is infinite or cannot be read as its kind.
    unseen : dict of str to ndarray of shape (n,)
        Per metric, rows with a category that training never saw.
    absent : tuple of str
        Optional metrics for which the table has no column.
    """

    values: Array
    unreadable: dict[str, Mask] = field(default_factory=dict)
    unseen: dict[str, Mask] = field(default_factory=dict)
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class InputSchema:
    """The columns a model takes, in the order of its matrix."""

    columns: tuple[InputColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Metric names, in matrix order."""
        return tuple(column.metric.name for column in self.columns)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics, in matrix order."""
        return tuple(column.metric for column in self.columns)

    @property
    def category_positions(self) -> list[int]:
        """Positions of the category columns."""
        return [i for i, column in enumerate(self.columns) if column.metric.is_category]

    @property
    def needs_dates(self) -> bool:
        """Whether a metric is a date, read as days before the snapshot."""
        return any(column.metric.kind is Kind.DATE for column in self.columns)

    @classmethod
    def of_numbers(cls, n: int) -> "InputSchema":
        """Schema of n plain numeric metrics of unknown direction, ``x0 ... x{n-1}``."""
        return cls(tuple(InputColumn(metric=Metric(name=f"x{i}")) for i in range(n)))

    @classmethod
    def learn(
        cls, frame: pd.DataFrame, metrics: Sequence[Metric], *, snapshot: pd.Series | None = None
    ) -> "InputSchema":
        """Learn categories and ranges from a training table.

        Parameters
        ----------
        frame : DataFrame of shape (n, >= k)
            Holds a column per metric.
        metrics : sequence of k Metric
            In the order the matrix will have.
        snapshot : Series of shape (n,), optional
            Snapshot dates; required where a metric is a date.
        """
        return cls(tuple(_learned_column(frame[m.name], m, snapshot) for m in metrics))

    def encode(self, frame: pd.DataFrame, *, snapshot: pd.Series | None = None) -> Encoded:
        """Read a table of metrics.

        Parameters
        ----------
        frame : DataFrame of shape (n, any)
            Columns by name, in any order; others are ignored.
        snapshot : Series of shape (n,), optional
            Snapshot dates; required where a metric is a date.

        Returns
        -------
        Encoded
            One row per input row, same order.

        Raises
        ------
        TableError
            Where a required column is missing, or a column stands there twice.
        """
        self._check_columns(frame.columns)
        if self.needs_dates and snapshot is None:
            raise TableError(
                "This model reads dates as days before the snapshot: the table must have the snapshot date "
                "column that the recipe names."
            )
        values = np.full((len(frame), len(self.columns)), np.nan, order="F")
        unreadable: dict[str, Mask] = {}
        unseen: dict[str, Mask] = {}
        present = set(frame.columns)
        for i, column in enumerate(self.columns):
            name = column.metric.name
            if name not in present:
                continue
            read, bad = read_values(frame[name], column.metric.kind, snapshot)
            strange = np.zeros(0, dtype=bool)
            if column.metric.is_category:
                read, strange = _codes(read, column)
            values[:, i] = read
            for mask, where in ((bad, unreadable), (strange, unseen)):
                if mask.any():
                    where[name] = mask
        absent = tuple(name for name in self.names if name not in present)
        return Encoded(values, unreadable, unseen, absent)

    def _check_columns(self, found: pd.Index) -> None:
        required = [c.metric.name for c in self.columns if c.metric.required]
        lacking = [name for name in required if name not in found]
        if lacking:
            names = [str(name) for name in found]
            hint = nearest(lacking[0], names) or _wrong_delimiter_hint(names)
            raise TableError(
                f"The table must have a column for each required metric; {len(lacking)} of {len(required)} "
                f"missing: {first_few(lacking)}.{hint}"
            )
        twice = [name for name in self.names if (found == name).sum() > 1]
        if twice:
            raise TableError(f"Each metric must be one column; these stand there twice: {first_few(twice)}.")


def _wrong_delimiter_hint(names: list[str]) -> str:
    if len(names) != 1:
        return f" The table has {len(names)} columns."
    return f" The table has one column, {names[0][:60]!r}: is its delimiter a comma?"


def _learned_column(series: pd.Series, metric: Metric, snapshot: pd.Series | None) -> InputColumn:
    read, _ = read_values(series, metric.kind, snapshot)
    if metric.is_category:
        labels = sorted({label for label in pd.unique(read) if label is not None})
        missing = bool(np.any([label is None for label in read]))
        return InputColumn(metric=metric, categories=tuple(labels), missing_seen=missing)
    known = read[~np.isnan(read)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (np.nan, np.nan)
    return InputColumn(metric=metric, low=low, high=high, missing_seen=len(known) < len(read))


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
    return np.where(infinite, np.nan, values), bad | infinite


def read_numbers(series: pd.Series) -> tuple[Array, Mask]:
    """Read a column of numbers of any dtype, or of text; blanks are missing, not unreadable."""
    if pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype):
        if isinstance(series.dtype, np.dtype) and not np.issubdtype(series.dtype, np.complexfloating):
            return series.to_numpy().astype(np.float64), np.zeros(len(series), dtype=bool)
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return values, np.zeros(len(series), dtype=bool)
    return _numbers_in_text(series)


def _numbers_in_text(series: pd.Series) -> tuple[Array, Mask]:
    try:  # Arrow reads clean columns quickly, and rounds as Python does
        text = pa.array(series, type=pa.string(), from_pandas=True)
        numbers = pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False)
        return np.asarray(numbers, dtype=np.float64), np.zeros(len(series), dtype=bool)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        read = [number_in(value) for value in series]
        values = np.array([np.nan if value is None else value for value in read], dtype=np.float64)
        return values, np.array([value is None for value in read], dtype=bool)


def number_in(value: Any) -> float | None:
    """One value as a float, NaN where it is blank, None where it is no number."""
    if value is None or value is pd.NA or value is pd.NaT:
        return float("nan")
    if isinstance(value, str) and value.strip().lower() in BLANKS:
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _yes_no(series: pd.Series) -> tuple[Array, Mask]:
    if pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype):
        values, _ = read_numbers(series)
        bad = ~(np.isnan(values) | np.isin(values, (0.0, 1.0)))
        return np.where(bad, np.nan, values), bad
    codes, words = pd.factorize(series)
    read = [yes_no_in(word) for word in words]
    table = np.array([*(np.nan if value is None else value for value in read), np.nan], dtype=np.float64)
    bad_table = np.array([*(value is None for value in read), False], dtype=bool)
    return table[codes], bad_table[codes]


def yes_no_in(value: Any) -> float | None:
    """One value as 1.0 or 0.0, NaN where it is blank, None where it is neither."""
    word = "" if pd.isna(value) else plain_text(value).lower()
    if word in BLANKS:
        return float("nan")
    return 1.0 if word in YES else 0.0 if word in NO else None


def _days_before(series: pd.Series, snapshot: pd.Series | None) -> tuple[Array, Mask]:
    dates = pd.to_datetime(series, errors="coerce", format="ISO8601", utc=False)
    blank = series.isna() | series.astype("str").str.strip().str.lower().isin(BLANKS)
    bad = (dates.isna() & ~blank).to_numpy()
    if snapshot is None:
        raise TableError("A date is read as days before the snapshot: name the snapshot date column.")
    reference = pd.to_datetime(snapshot, errors="coerce", format="ISO8601")
    days = (reference.reset_index(drop=True) - dates.reset_index(drop=True)) / pd.Timedelta(days=1)
    return days.to_numpy(dtype=np.float64, na_value=np.nan), bad


def _labels(series: pd.Series) -> NDArray[np.object_]:
    codes, words = pd.factorize(series)
    table = np.array([*(label_in(word) for word in words), None], dtype=object)
    return table[codes]


def label_in(value: Any) -> str | None:
    """One value as a category label, None where it is blank."""
    if pd.isna(value):
        return None
    return plain_text(value) or None


def _codes(labels: NDArray[np.object_], column: InputColumn) -> tuple[Array, Mask]:
    code_of: dict[str | None, float] = {label: float(i) for i, label in enumerate(column.categories)}
    code_of[None] = np.nan
    positions, words = pd.factorize(labels, use_na_sentinel=False)
    missing = [None if not isinstance(word, str) else word for word in words]
    table = np.array([code_of.get(word, float(column.unseen_code)) for word in missing], dtype=np.float64)
    codes = table[positions] if len(table) else np.zeros(0)
    return codes, codes == column.unseen_code


def encode_row(schema: InputSchema, row: Mapping[str, Any], *, snapshot: Any = None) -> Encoded:
    """Read one account given as a mapping from metric name to value, without a frame.

    Parameters
    ----------
    schema : InputSchema
        What to read.
    row : mapping of str to scalar
        Values by metric name; other keys are ignored.
    snapshot : date-like, optional
        Snapshot date; required where a metric is a date.

    Returns
    -------
    Encoded
        One row, equal to what ``schema.encode`` gives for a frame of that row.
    """
    schema._check_columns(pd.Index(list(row)))
    values = np.full((1, len(schema.columns)), np.nan, order="F")
    unreadable: dict[str, Mask] = {}
    unseen: dict[str, Mask] = {}
    for i, column in enumerate(schema.columns):
        name = column.metric.name
        if name not in row:
            continue
        value, strange = _scalar(row[name], column, snapshot)
        if value is None:
            unreadable[name] = np.ones(1, dtype=bool)
        else:
            values[0, i] = value
        if strange:
            unseen[name] = np.ones(1, dtype=bool)
    absent = tuple(name for name in schema.names if name not in row)
    return Encoded(values, unreadable, unseen, absent)


def _scalar(value: Any, column: InputColumn, snapshot: Any) -> tuple[float | None, bool]:
    kind = column.metric.kind
    if kind is Kind.CATEGORY:
        label = label_in(value)
        if label is None:
            return float("nan"), False
        known = label in column.categories
        return float(column.categories.index(label) if known else column.unseen_code), not known
    if kind is Kind.DATE:
        days, bad = _days_before(pd.Series([value]), None if snapshot is None else pd.Series([snapshot]))
        return (None if bad[0] else float(days[0])), False
    number = yes_no_in(value) if kind is Kind.YES_NO else number_in(value)
    return (None if number is None or np.isinf(number) else number), False
