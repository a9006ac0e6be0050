"""The input schema of a model: which columns it takes, how their values are read, what was seen.

Reading a table of metrics happens once, here: columns are taken by name in any order, numbers may
come as any dtype or as text, categories become integer codes. Everything behind this door is one
float64 matrix in which missing is NaN.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.errors import TableError, first_few, nearest
from chs_ml.metric import Kind, Metric
from chs_ml.values import (
    days_between,
    label_in,
    number_in,
    read_values,
    yes_no_in,
)

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FEW_ROWS = 8
"""Tables of at most this many rows are read value by value."""


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
    source : str
        Column of the table that it is read from; empty: the one with the metric's name. Two lines of a
        scorecard may read one column.
    """

    metric: Metric
    categories: tuple[str, ...] = ()
    low: float = float("nan")
    high: float = float("nan")
    missing_seen: bool = True
    source: str = ""

    @property
    def reads(self) -> str:
        """Column of the table that it is read from."""
        return self.source or self.metric.name

    @property
    def unseen_code(self) -> int:
        """Code of a category that training never saw: one past the known ones."""
        return len(self.categories)

    @cached_property
    def code_of(self) -> dict[str | None, float]:
        """Code per category; missing is NaN."""
        return {None: float("nan")} | {label: float(i) for i, label in enumerate(self.categories)}


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

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Metric names, in matrix order."""
        return tuple(column.metric.name for column in self.columns)

    @cached_property
    def required_names(self) -> tuple[str, ...]:
        """Columns without which a table is refused."""
        return tuple(dict.fromkeys(column.reads for column in self.columns if column.metric.required))

    @cached_property
    def inputs(self) -> dict[str, InputColumn]:
        """The columns that are read from a table, by name; one where several metrics read the same."""
        found: dict[str, InputColumn] = {}
        for column in self.columns:
            found.setdefault(column.reads, column)
        return found

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics, in matrix order."""
        return tuple(column.metric for column in self.columns)

    @cached_property
    def category_positions(self) -> list[int]:
        """Positions of the category columns."""
        return [i for i, column in enumerate(self.columns) if column.metric.is_category]

    @cached_property
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
                "Dates are read as days before the snapshot: the table must have the snapshot date column "
                "that the recipe names (a scorecard alone takes it as as_of)."
            )
        present = set(frame.columns)
        if len(frame) <= FEW_ROWS:
            rows = {name: frame[name].tolist() for name in self.inputs if name in present}
            dates = [None] * len(frame) if snapshot is None else snapshot.tolist()
            return _encoded_scalars(self, rows, dates)
        values = np.full((len(frame), len(self.columns)), np.nan, order="F")
        unreadable: dict[str, Mask] = {}
        unseen: dict[str, Mask] = {}
        for i, column in enumerate(self.columns):
            name = column.metric.name
            if column.reads not in present:
                continue
            read, bad = read_values(frame[column.reads], column.metric.kind, snapshot)
            strange = np.zeros(0, dtype=bool)
            if column.metric.is_category:
                read, strange = _codes(read, column)
            values[:, i] = read
            for mask, where in ((bad, unreadable), (strange, unseen)):
                if mask.any():
                    where[name] = mask
        absent = tuple(c.metric.name for c in self.columns if c.reads not in present)
        return Encoded(values, unreadable, unseen, absent)

    def _check_columns(self, found: pd.Index) -> None:
        required = self.required_names
        lacking = [name for name in required if name not in found]
        if lacking:
            names = [str(name) for name in found]
            hint = nearest(lacking[0], names) or _wrong_delimiter_hint(names)
            raise TableError(
                f"The table must have a column for each required metric; {len(lacking)} of {len(required)} "
                f"missing: {first_few(lacking)}.{hint}"
            )
        if not found.is_unique and (twice := [name for name in self.inputs if (found == name).sum() > 1]):
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


def _codes(labels: NDArray[np.object_], column: InputColumn) -> tuple[Array, Mask]:
    positions, words = pd.factorize(labels, use_na_sentinel=False)
    missing = [None if not isinstance(word, str) else word for word in words]
    table = np.array(
        [column.code_of.get(word, float(column.unseen_code)) for word in missing], dtype=np.float64
    )
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
    lacking = [name for name in schema.required_names if name not in row]
    if lacking:
        schema._check_columns(pd.Index(list(row)))
    return _encoded_scalars(schema, {name: [row[name]] for name in schema.inputs if name in row}, [snapshot])


def _encoded_scalars(schema: InputSchema, lists: Mapping[str, list[Any]], dates: list[Any]) -> Encoded:
    """Read few rows value by value: a column of one costs a frame library far more than it is worth."""
    n = len(dates)
    values = np.full((n, len(schema.columns)), np.nan, order="F")
    unreadable: dict[str, Mask] = {}
    unseen: dict[str, Mask] = {}
    for k, column in enumerate(schema.columns):
        name = column.metric.name
        if column.reads not in lists:
            continue
        for i, value in enumerate(lists[column.reads]):
            number, strange = _scalar(value, column, dates[i])
            if number is None:
                unreadable.setdefault(name, np.zeros(n, dtype=bool))[i] = True
            else:
                values[i, k] = number
            if strange:
                unseen.setdefault(name, np.zeros(n, dtype=bool))[i] = True
    absent = tuple(c.metric.name for c in schema.columns if c.reads not in lists)
    return Encoded(values, unreadable, unseen, absent)


def _scalar(value: Any, column: InputColumn, snapshot: Any) -> tuple[float | None, bool]:
    """One value as its number, None where it is unreadable; and whether its category is new."""
    kind = column.metric.kind
    if kind is Kind.CATEGORY:
        code = column.code_of.get(label_in(value))
        return (float(column.unseen_code), True) if code is None else (code, False)
    if kind is Kind.DATE:
        return days_between(value, snapshot), False
    number = yes_no_in(value) if kind is Kind.YES_NO else number_in(value)
    return (None if number is None or math.isinf(number) else number), False
