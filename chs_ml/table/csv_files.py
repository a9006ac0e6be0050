"""CSV as exact text: Arrow reads it, Python's csv module finds what is wrong where Arrow cannot."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.csv as pa_csv

from chs_ml.errors import TableError, first_few
from chs_ml.table.files import CSV_GZ, check_header, ending_of, first_line

_BLOCK_BYTES = 1 << 23
_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_UNREADABLE = (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error)


def batches(source: Path) -> Iterator[pa.RecordBatch]:
    """Stream a CSV as batches of text columns in which only the empty string is missing.

    Raises
    ------
    TableError
        Where it is not UTF-8, not rectangular, cut short or separated by another mark.
    """
    try:
        yield from _arrow_batches(source)
    except _UNREADABLE as error:
        raise TableError(f"The table {source.name} cannot be read: {_damage(source, error)}") from error


def _arrow_batches(source: Path) -> Iterator[pa.RecordBatch]:
    names = _header(source)
    with (
        pa.input_stream(str(source), compression=_compression(source)) as stream,
        pa_csv.open_csv(
            stream,
            read_options=pa_csv.ReadOptions(block_size=_BLOCK_BYTES),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        ) as reader,
    ):
        yield from reader


def _compression(source: Path) -> str | None:
    return "gzip" if ending_of(source) == CSV_GZ else None


def _open_bytes(source: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(source, "rb")) if _compression(source) else source.open("rb")


def _rows(source: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number where it ends, and fields, of each row that is not a blank line."""
    with _open_bytes(source) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text)
        for row in reader:
            if row:
                yield reader.line_num, row


def _header(source: Path) -> list[str]:
    lines = _rows(source)
    first, second = next(lines, None), next(lines, None)
    if first is None:
        raise TableError(f"The table {source.name} holds nothing but blank lines.")
    names = first[1]
    check_header(names, source)
    for mark, word in _OTHER_DELIMITERS.items():
        if len(names) == 1 and mark in names[0]:
            raise TableError(
                f"A CSV must be separated by commas; the header of {source.name} is one column, "
                f"{names[0][:60]!r}, that looks separated by {word}. Save it with commas."
            )
    if second is None:
        raise TableError(f"The table {source.name} has a header and no rows.")
    return names


def _damage(source: Path, error: Exception) -> str:
    """Find out what is wrong by reading once more; only on the way to an error message."""
    try:
        return _bad_byte(source) or _ragged_row(source) or _unknown_damage(error)
    except csv.Error as found:
        return f"{found} (is a quote left open?)."
    except (OSError, EOFError, zlib.error):
        return f"the file is damaged or cut short ({first_line(error)})."


def _bad_byte(source: Path) -> str:
    with _open_bytes(source) as raw:
        start = 0
        for number, line in enumerate(raw, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as bad:
                return (
                    f"it must be UTF-8 text; line {number} holds the byte 0x{line[bad.start]:02x} "
                    f"at position {start + bad.start} of the file. Save it as UTF-8."
                )
            start += len(line)
    return ""


def _ragged_row(source: Path) -> str:
    rows = _rows(source)
    expected = len(next(rows)[1])
    for line, row in rows:
        if len(row) != expected:
            return (
                f"every row must have {expected} fields like the header; the row that ends in line {line} "
                f"has {len(row)}: {first_few([value[:20] for value in row], limit=3)}. "
                f"Is a comma or a quote in a value not quoted?"
            )
    return ""


def _unknown_damage(error: Exception) -> str:
    if "straddling" in str(error):
        return f"a row is longer than {_BLOCK_BYTES >> 20} MB (is a quote left open?)."
    return f"{first_line(error)}."
