"""Parquet, with dtypes that do not depend on the chunk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from chs_ml.errors import TableError
from chs_ml.table.files import check_header, first_line

_STREAMED = {"pre_buffer": False, "buffer_size": 1 << 18}
"""Arrow would hold all bytes of the file that it has read, or those of a row group, however large it is."""
_UNREADABLE = (pa.ArrowException, OSError)


def batches(source: Path, rows: int) -> Iterator[pa.RecordBatch]:
    """Stream a Parquet file in batches of at most so many rows.

    Raises
    ------
    TableError
        Where it is damaged or cut short, or a column name stands there twice.
    """
    try:
        with pq.ParquetFile(source, **_STREAMED) as file:
            names = list(file.schema_arrow.names)
            check_header(names, source)
            # an unnamed index that pandas wrote beside the columns is not one of them
            kept = [name for name in names if not name.startswith("__index_level_")]
            yield from file.iter_batches(batch_size=rows, columns=kept)
    except _UNREADABLE as error:
        raise _damaged(source, error) from error


def with_gaps(source: Path) -> frozenset[str]:
    """Return the columns that may have missing values anywhere in the file.

    Known before the first chunk is read, so that every chunk gets the same dtype.
    """
    try:
        with pq.ParquetFile(source) as file:
            return frozenset(file.schema_arrow.names) - _gapless(file.metadata)
    except _UNREADABLE as error:
        raise _damaged(source, error) from error


def _damaged(source: Path, error: Exception) -> TableError:
    return TableError(
        f"The table {source.name} cannot be read: it is damaged, cut short, or no Parquet file "
        f"({first_line(error)})."
    )


def _gapless(metadata: Any) -> set[str]:
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    chunks = [group.column(j) for group in groups for j in range(group.num_columns)]
    gapped = {chunk.path_in_schema for chunk in chunks if not _known_without_nulls(chunk.statistics)}
    return {chunk.path_in_schema for chunk in chunks} - gapped


def _known_without_nulls(statistics: Any) -> bool:
    return statistics is not None and statistics.has_null_count and statistics.null_count == 0


_NULLABLE: dict[pa.DataType, Any] = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def as_frame(table: pa.Table, gaps: frozenset[str]) -> pd.DataFrame:
    """Turn an Arrow table into a frame; integers and booleans in `gaps` become nullable dtypes."""
    plain = _without_decimals(table)
    nullable = [field.name for field in plain.schema if field.name in gaps and field.type in _NULLABLE]
    others = [name for name in plain.column_names if name not in nullable]
    frame: pd.DataFrame = plain.select(others).to_pandas(ignore_metadata=True, date_as_object=False)
    if not nullable:
        return frame
    exact = plain.select(nullable).to_pandas(ignore_metadata=True, types_mapper=_NULLABLE.get)
    together: pd.DataFrame = pd.concat([frame, exact], axis=1)[plain.column_names]
    return together


def _without_decimals(table: pa.Table) -> pa.Table:
    fields = [
        field.with_type(pa.float64()) if pa.types.is_decimal(field.type) else field for field in table.schema
    ]
    return table.cast(pa.schema(fields))
