"""Tables: exact, streamed like whole, atomic, and clear about damage."""

import csv
import gzip
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chs_ml.errors import TableError
from chs_ml.table import TableWriter, csv_files, iter_table, read_table, write_table


def make(folder: Path, content: bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def cells(frame: pd.DataFrame) -> list[list[object]]:
    return [[None if pd.isna(value) else value for value in row] for row in frame.to_numpy(dtype=object)]


def test_csv_is_text_and_only_the_empty_string_is_missing(tmp_path: Path) -> None:
    frame = read_table(make(tmp_path, b'a,b,c\n1,NA,"x, ""y"""\n 01 ,,"two\nlines"\nnan,"",null\n'))
    assert cells(frame) == [["1", "NA", 'x, "y"'], [" 01 ", None, "two\nlines"], ["nan", None, "null"]]
    assert {str(dtype) for dtype in frame.dtypes} == {"str"}


def test_byte_order_mark_crlf_and_blank_lines_are_no_data(tmp_path: Path) -> None:
    frame = read_table(make(tmp_path, b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n3,4\r\n"))
    assert list(frame.columns) == ["a", "b"]
    assert cells(frame) == [["1", "2"], ["3", "4"]]


def test_zipped_csv_reads_like_plain(tmp_path: Path) -> None:
    content = b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(500))
    plain, zipped = make(tmp_path, content), make(tmp_path, gzip.compress(content), "T.CSV.GZ")
    pd.testing.assert_frame_equal(read_table(plain), read_table(zipped))


TEXT = st.text(alphabet=st.sampled_from('ab1 ",;\n\r\té–'), max_size=6)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=12), chunk=st.integers(1, 5))
def test_csv_agrees_with_pythons_reader_whole_and_streamed(
    tmp_path: Path, rows: list[tuple[str, ...]], chunk: int
) -> None:
    path = tmp_path / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("a", "b", "c"), *rows])
    expected = [[value or None for value in row] for row in rows]
    assert cells(read_table(path)) == expected
    parts = list(iter_table(path, rows=chunk))
    assert [len(part) for part in parts[:-1]] == [chunk] * (len(parts) - 1)
    assert cells(pd.concat(parts)) == expected
    assert list(pd.concat(parts).index) == list(range(len(rows)))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8), zipped=st.booleans())
def test_what_is_written_is_read_back(tmp_path: Path, rows: list[tuple[str, ...]], zipped: bool) -> None:
    frame = pd.DataFrame([[v or None for v in row] for row in rows], columns=["a", "b,c"], dtype="str")
    path = tmp_path / ("t.csv.gz" if zipped else "t.csv")
    write_table(frame, path)
    pd.testing.assert_frame_equal(read_table(path), frame)


def test_one_column_with_gaps_loses_no_row(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["x", None, "y"]}, dtype="str")
    write_table(frame, tmp_path / "t.csv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.csv"), frame)


def test_blocks_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f'{i},"line\n{i}, ""q"""' for i in range(400)]
    path = make(tmp_path, ("a,b\n" + "\n".join(rows) + "\n").encode())
    whole = read_table(path)
    monkeypatch.setattr(csv_files, "_BLOCK_BYTES", 200)
    pd.testing.assert_frame_equal(read_table(path), whole)
    assert whole["b"].tolist() == [f'line\n{i}, "q"' for i in range(400)]


HOSTILE = [
    ("t.csv", b"", r"empty file \(0 bytes\)"),
    ("t.csv", b"\n\n", "nothing but blank lines"),
    ("t.csv", b"a,b\n", "a header and no rows"),
    ("t.csv", b"a,b", "a header and no rows"),
    ("t.csv", b"a,b\n1,2\n1,2,3\n", r"must have 2 fields like the header; the row that ends in line 3 has 3"),
    ("t.csv", b'a,b\n"x\ny",2\n1\n', r"the row that ends in line 4 has 1"),
    ("t.csv", b"a,b\n1,2\nx,\xff\n", r"must be UTF-8 text; line 3 holds the byte 0xff at position 10"),
    ("t.csv", b"\xffa,b\n1,2\n", r"must be UTF-8 text; line 1"),
    ("t.csv", "a,b\n1,2\n".encode("utf-16"), "must be UTF-8 text"),
    ("t.csv", b"a;b\n1;2\n", "separated by commas.*separated by semicolons"),
    ("t.csv", b"a\tb\n1\t2\n", "separated by tabs"),
    ("t.csv", b"a|b\n1|2\n", "separated by vertical bars"),
    ("t.csv", b"a,b,a\n1,2,3\n", "Each column must have its own name.*'a' more than once"),
    ("t.csv", b'a,b\n"' + b"x" * 200_000 + b"\n1,2\n", "is a quote left open"),
    ("t.csv.gz", b"a,b\n1,2\n", "damaged or cut short"),
    ("t.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 50, mtime=0)[:-6], "damaged or cut short"),
    ("t.parquet", b"PAR1 and then nothing", "damaged, cut short, or no Parquet file"),
    ("t.parquet", b"", "empty file"),
    ("t.xlsx", b"a", r"must end in .csv, .csv.gz, .parquet; got 't.xlsx'"),
]


@pytest.mark.parametrize(("name", "content", "message"), HOSTILE)
def test_hostile_files_are_refused_in_words(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = make(tmp_path, content, name)
    with pytest.raises(TableError, match=message):
        read_table(path)
    with pytest.raises(TableError, match=message):
        list(iter_table(path))


def test_messages_do_not_repeat_a_whole_file(tmp_path: Path) -> None:
    path = make(tmp_path, b'a,b\n1,2\n"open,2\n' + b"3,4\n" * 5000)
    with pytest.raises(TableError, match="line 5003 has 1") as caught:
        read_table(path)
    assert len(str(caught.value)) < 400


def test_absent_file_and_folder_and_chunk_of_no_rows(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="does not exist"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(TableError, match="is a folder"):
        read_table(tmp_path / "folder.csv")
    with pytest.raises(TableError, match="at least one row; got rows = 0"):
        list(iter_table(make(tmp_path, b"a\n1\n"), rows=0))


def test_damage_deep_in_a_stream_comes_after_the_good_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "_BLOCK_BYTES", 1000)
    chunks = iter_table(make(tmp_path, b"a,b\n" + b"1,2\n" * 5000 + b"1,2,3\n"), rows=100)
    assert cells(next(chunks))[0] == ["1", "2"]
    with pytest.raises(TableError, match="line 5002 has 3"):
        list(chunks)


# --- parquet ---


def parquet_frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": pd.array([1, 2, 2**60 + 1, 4], dtype="Int64"),
            "gap": pd.array([1, None, 2**60 + 1, 4], dtype="Int64"),
            "x": [0.1 + 0.2, np.nan, np.inf, -1e300],
            "flag": pd.array([True, None, False, True], dtype="boolean"),
            "when": pd.to_datetime(["2024-01-31", None, "2024-02-29", "2024-03-31"]),
            "name": pd.Series(["é", None, "", "z"], dtype="str"),
            "plan": pd.Categorical(["a", "b", None, "a"]),
        }
    )


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_parquet_chunks_have_the_dtypes_of_the_whole(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.Table.from_pandas(parquet_frame()), path, row_group_size=3)
    whole = read_table(path)
    parts = list(iter_table(path, rows=rows))
    assert all((part.dtypes == whole.dtypes).all() for part in parts)
    assert cells(pd.concat(parts)) == cells(whole) == cells(parquet_frame())
    assert [str(whole[name].dtype) for name in ("id", "gap", "flag")] == ["int64", "Int64", "boolean"]


def test_a_stream_of_parquet_holds_no_more_than_a_few_chunks(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(100_000, 20))
    table = pd.DataFrame(values, columns=[f"m{i}" for i in range(20)])
    table.to_parquet(tmp_path / "t.parquet", row_group_size=2_000)
    size = (tmp_path / "t.parquet").stat().st_size
    assert size > 16_000_000
    before, held = pa.total_allocated_bytes(), []
    for chunk in iter_table(tmp_path / "t.parquet", rows=2_000):
        held.append(pa.total_allocated_bytes() - before)
        del chunk
    assert len(held) == 50
    assert max(held) < size / 4  # Arrow's own default holds all of it


def test_parquet_of_pandas_with_an_index_and_decimals(tmp_path: Path) -> None:
    frame = pd.DataFrame({"m": [Decimal("1.50"), None]}, index=pd.Index(["a", "b"], name="account"))
    frame.to_parquet(tmp_path / "named.parquet")
    assert cells(read_table(tmp_path / "named.parquet")) == [[1.5, "a"], [None, "b"]]
    frame.rename_axis(None).to_parquet(tmp_path / "unnamed.parquet")
    assert list(read_table(tmp_path / "unnamed.parquet").columns) == ["m"]


def test_truncated_and_empty_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet_frame().to_parquet(path)
    whole = path.read_bytes()
    for end in (10, len(whole) // 2, len(whole) - 1):
        with pytest.raises(TableError, match="damaged, cut short, or no Parquet"):
            read_table(make(tmp_path, whole[:end], "cut.parquet"))
    parquet_frame().head(0).to_parquet(path)
    with pytest.raises(TableError, match="a header and no rows"):
        read_table(path)


# --- writing ---


def test_values_written_to_csv(tmp_path: Path) -> None:
    times = ["2024-01-31", None, "2024-02-29T12:30", "2024-03-31"]
    frame = parquet_frame().assign(when=pd.to_datetime(times, format="ISO8601"))
    write_table([frame.head(1), frame.tail(3)], tmp_path / "t.csv")
    rows = list(csv.reader((tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0] == list(frame.columns)
    assert [float(row[2]) if row[2] else None for row in rows[1:]] == [0.1 + 0.2, None, np.inf, -1e300]
    assert [row[1] for row in rows[1:]] == ["1", "", str(2**60 + 1), "4"]
    assert rows[3][4].startswith("2024-02-29T12:30:00")
    assert rows[1][4] == "2024-01-31"


def test_bytes_do_not_depend_on_the_chunks(tmp_path: Path) -> None:
    frame = pd.concat([parquet_frame()] * 3, ignore_index=True)
    for ending in ("csv", "csv.gz"):
        one, many = tmp_path / f"one.{ending}", tmp_path / f"many.{ending}"
        write_table(frame, one)
        write_table((frame.iloc[i : i + 5] for i in range(0, len(frame), 5)), many)
        pd.testing.assert_frame_equal(read_table(one), read_table(many))
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "many.csv").read_bytes()


def test_parquet_frames_whose_first_has_no_value(tmp_path: Path) -> None:
    frames = [pd.DataFrame({"owner": [None, None]}), pd.DataFrame({"owner": ["ann", None]})]
    write_table(frames, tmp_path / "t.parquet")
    assert cells(read_table(tmp_path / "t.parquet")) == [[None], [None], ["ann"], [None]]


class BrokenError(Exception):
    pass


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, name: str) -> None:
    write_table(pd.DataFrame({"a": ["old"]}), tmp_path / name)
    with pytest.raises(BrokenError), TableWriter(tmp_path / name) as writer:  # noqa: PT012
        writer.write(pd.DataFrame({"a": ["new"]}))
        raise BrokenError
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert cells(read_table(tmp_path / name)) == [["old"]]


def test_writing_refuses(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1]})
    with pytest.raises(TableError, match="must end in"):
        write_table(frame, tmp_path / "t.txt")
    with pytest.raises(TableError, match="there is no folder"):
        write_table(frame, tmp_path / "none" / "t.csv")
    with pytest.raises(TableError, match="no rows were given"):
        write_table([], tmp_path / "t.csv")
    with pytest.raises(TableError, match="must have the same columns"):
        write_table([frame, frame.rename(columns={"a": "b"})], tmp_path / "t.csv")
    with pytest.raises(TableError, match="`with` block"):
        TableWriter(tmp_path / "t.csv").write(frame)
    assert list(tmp_path.iterdir()) == []
