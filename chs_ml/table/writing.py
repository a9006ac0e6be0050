"""Tables to files: streamed, and under their name only when complete."""

import gzip
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chs_ml.errors import TableError
from chs_ml.files import part_of, sync_folder
from chs_ml.table.files import CSV_GZ, PARQUET, ending_of, first_line

_ROWS_AT_ONCE = 50_000


class _Sink(Protocol):
    def write(self, table: pa.Table) -> None: ...

    def close(self) -> None: ...


class TableWriter:
    """Write a table frame by frame; the file appears under its name only when it is complete.

    Use it as a context manager. Frames go to a temporary file in the same folder, which replaces the
    target when the block ends, and is removed when the block fails.

    Parameters
    ----------
    path : str or Path
        Ends in .csv, .csv.gz or .parquet; its folder must exist.

    Raises
    ------
    TableError
        Where the ending is unknown, the folder is absent, frames do not fit together, nothing was
        written, or the disk refuses.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._kind = ending_of(self._path)
        self._temporary = part_of(self._path)
        self._names: list[str] | None = None
        self._raw: IO[bytes] | None = None
        self._sink: _Sink | None = None

    def __enter__(self) -> Self:
        if not self._path.parent.is_dir():
            raise TableError(f"Cannot write {self._path.name}: there is no folder {self._path.parent}.")
        try:
            self._raw = self._temporary.open("xb")
        except OSError as error:
            raise TableError(f"Cannot write {self._path}: {error.strerror}.") from error
        return self

    def write(self, frame: pd.DataFrame) -> None:
        """Append the rows of a frame of shape (n, k); later frames must have the columns of the first."""
        if self._raw is None:
            raise TableError("A TableWriter must be used in a `with` block.")
        names = [str(name) for name in frame.columns]
        if self._names is not None and names != self._names:
            raise TableError(f"Frames of one table must have the same columns; {names} after {self._names}.")
        table = _as_arrow(frame)
        try:
            if self._sink is None:
                self._names = names
                self._sink = _open_sink(self._kind, self._raw, table.schema)
            self._sink.write(table)
        except (OSError, pa.ArrowException) as error:
            raise TableError(f"Cannot write {self._path}: {_said(error)}.") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._publish()
        finally:
            if self._sink is not None:
                with suppress(OSError, pa.ArrowException):  # the failure that led here is the one to tell
                    self._sink.close()
            if self._raw is not None:
                with suppress(OSError):  # a full disk refuses the rest of a file that is given up
                    self._raw.close()
            with suppress(FileNotFoundError):
                self._temporary.unlink()

    def _publish(self) -> None:
        if self._sink is None or self._raw is None:
            raise TableError(f"Cannot write {self._path.name}: no rows were given.")
        try:
            self._sink.close()
            self._raw.flush()
            os.fsync(self._raw.fileno())
            self._temporary.replace(self._path)
        except (OSError, pa.ArrowException) as error:
            raise TableError(f"Cannot write {self._path}: {_said(error)}.") from error
        sync_folder(self._path.parent)


def _said(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or first_line(error)


def write_table(frames: pd.DataFrame | Iterable[pd.DataFrame], path: str | Path) -> None:
    """Write a frame, or frames one after the other, as one table.

    Parameters
    ----------
    frames : DataFrame or iterable of DataFrame
        With the same columns; their index is not written.
    path : str or Path
        As for `TableWriter`.
    """
    with TableWriter(path) as writer:
        for frame in [frames] if isinstance(frames, pd.DataFrame) else frames:
            writer.write(frame)


def _as_arrow(frame: pd.DataFrame) -> pa.Table:
    columns = [_arrow_column(frame.iloc[:, i]) for i in range(frame.shape[1])]
    return pa.table(columns, names=[str(name) for name in frame.columns])


def _arrow_column(series: pd.Series) -> pa.Array:
    try:
        column = pa.array(series, from_pandas=True)
    except pa.ArrowException:  # an object column of several types
        column = pa.array([None if value is None else str(value) for value in series], pa.large_string())
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type) or pa.types.is_string(column.type):
        return column.cast(pa.large_string())
    return column


def _open_sink(kind: str, raw: IO[bytes], schema: pa.Schema) -> _Sink:
    if kind == PARQUET:
        return _ParquetSink(raw, schema)
    return _CsvSink(raw, schema.names, zipped=kind == CSV_GZ)


class _ParquetSink:
    def __init__(self, raw: IO[bytes], schema: pa.Schema) -> None:
        self._schema = schema
        # a dictionary of floats is as long as the column: it would be built and thrown away
        repeating = [field.name for field in schema if not pa.types.is_floating(field.type)]
        self._writer = pq.ParquetWriter(raw, schema, use_dictionary=repeating)

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table.cast(self._schema))

    def close(self) -> None:
        self._writer.close()


class _CsvSink:
    """Quotes only what needs quotes; equal frames give equal bytes, whatever the chunks."""

    def __init__(self, raw: IO[bytes], names: list[str], *, zipped: bool) -> None:
        # no name and no time in the gzip header: equal tables, equal files
        self._out: Any = gzip.GzipFile("", "wb", 6, raw, mtime=0) if zipped else raw
        self._close = self._out.close if zipped else self._out.flush
        self._write_lines([_quoted(pa.array([name], pa.large_string())) for name in names])

    def write(self, table: pa.Table) -> None:
        for start in range(0, table.num_rows, _ROWS_AT_ONCE):
            part = table.slice(start, _ROWS_AT_ONCE)
            self._write_lines([_csv_text(column.combine_chunks()) for column in part.columns])

    def _write_lines(self, columns: list[pa.Array]) -> None:
        if len(columns) == 1:  # a blank line would be no row
            columns = [pc.if_else(pc.equal(columns[0], ""), '""', columns[0])]
        lines = pc.binary_join_element_wise(*columns, _text(","))
        text = pc.binary_join(pa.LargeListArray.from_arrays([0, len(lines)], lines), _text("\n"))
        self._out.write(text[0].as_buffer())
        self._out.write(b"\n")

    def close(self) -> None:
        self._close()


def _csv_text(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        text = _iso_times(column)
    elif pa.types.is_nested(column.type):
        text = pa.array([None if value is None else str(value) for value in column.to_pylist()])
    else:
        text = column
    return _quoted(pc.fill_null(text.cast(pa.large_string()), ""))


def _iso_times(column: pa.Array) -> pa.Array:
    """ISO text, without the time of day where it is midnight: decided per value, not per chunk."""
    moment = "%Y-%m-%dT%H:%M:%S" + ("%z" if column.type.tz else "")
    day = pc.strftime(column, format="%Y-%m-%d")
    at_midnight = pc.equal(pc.floor_temporal(column, unit="day"), column)
    return pc.if_else(at_midnight, day, pc.strftime(column, format=moment))


def _text(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())


def _quoted(text: pa.Array) -> pa.Array:
    needs = pc.match_substring_regex(text, '[",\r\n]')
    if not pc.any(needs).as_py():
        return text
    doubled = pc.replace_substring(text, '"', '""')
    quoted = pc.binary_join_element_wise(_text('"'), doubled, _text('"'), _text(""))
    return pc.if_else(needs, quoted, text)
