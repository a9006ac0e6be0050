"""Tables from files, whole or in chunks of bounded size."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa

from chs_ml.errors import TableError
from chs_ml.table import csv_files, parquet_files
from chs_ml.table.files import PARQUET, ending_of

ROWS_AT_ONCE = 100_000


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table as a whole.

    Parameters
    ----------
    path : str or Path
        A file that ends in .csv, .csv.gz or .parquet.

    Returns
    -------
    DataFrame of shape (n, k)
        Rows in the order of the file. From CSV every column is text (dtype ``str``) and only the
        empty string is missing; from Parquet as stored, integers and booleans with missing values
        as pandas' nullable dtypes, decimals as floats.

    Raises
    ------
    TableError
        Where the file is absent, empty, without rows, damaged, not UTF-8 or not rectangular.
    """
    source = _checked(path)
    gaps = _with_gaps(source)
    return parquet_files.as_frame(pa.Table.from_batches(_arrow_batches(source, ROWS_AT_ONCE)), gaps)


def iter_table(path: str | Path, *, rows: int = ROWS_AT_ONCE) -> Iterator[pd.DataFrame]:
    """Read a table in chunks of bounded size, in file order.

    Parameters
    ----------
    path : str or Path
        As in `read_table`.
    rows : int, default=100_000
        Rows per chunk; the last one may be shorter.

    Yields
    ------
    DataFrame of shape (<= rows, k)
        With a RangeIndex that counts on through the file; dtypes are those of the whole table.

    Raises
    ------
    TableError
        As in `read_table`; for damage deep in the file, when its chunk is reached.
    """
    if rows < 1:
        raise TableError(f"A chunk must hold at least one row; got rows = {rows}.")
    source = _checked(path)
    gaps = _with_gaps(source)
    start = 0
    for table in _rebatched(_arrow_batches(source, rows), rows):
        frame = parquet_files.as_frame(table, gaps)
        yield frame.set_axis(pd.RangeIndex(start, start + len(frame)), axis=0)
        start += len(frame)


def _checked(path: str | Path) -> Path:
    source = Path(path)
    ending_of(source)
    if not source.exists():
        raise TableError(f"No table at {source}: the file does not exist.")
    if not source.is_file():
        raise TableError(f"A table must be a file; {source} is a folder.")
    if source.stat().st_size == 0:
        raise TableError(f"The table {source.name} is an empty file (0 bytes).")
    return source


def _arrow_batches(source: Path, rows: int) -> Iterator[pa.RecordBatch]:
    found = 0
    is_parquet = ending_of(source) == PARQUET
    for batch in parquet_files.batches(source, rows) if is_parquet else csv_files.batches(source):
        found += batch.num_rows
        yield batch
    if not found:
        raise TableError(f"The table {source.name} has a header and no rows.")


def _rebatched(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        while count >= rows:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, rows)
            waiting = table.slice(rows).to_batches()
            count -= rows
    if count:
        yield pa.Table.from_batches(waiting)


def _with_gaps(source: Path) -> frozenset[str]:
    return parquet_files.with_gaps(source) if ending_of(source) == PARQUET else frozenset()
