"""Batch runs: every row once, whatever happens in between; nothing twice, nothing half."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import pytest

from chs_ml import batch_run
from chs_ml.batch_run import Options, run_batch
from chs_ml.errors import InputError, TableError
from chs_ml.table import read_table, write_table
from tests.hostile_rows import comparable, hostile_table
from tests.small_model import small_model

OPTIONS = Options(version="v1", rows=100)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with three tables, one of them deeper, and files that are none."""
    folder = tmp_path / "in"
    (folder / "month=2").mkdir(parents=True)
    for seed, name in enumerate(("a.csv", "b.parquet", "month=2/c.csv.gz")):
        write_table(hostile_table(150 + seed, seed=seed), folder / name)
    (folder / "_SUCCESS").write_text("")
    (folder / ".hidden.csv").write_text("x")
    (folder / "notes.txt").write_text("x")
    return folder


def expected(seed: int) -> list[tuple[object, ...]]:
    return comparable(small_model().score(hostile_table(150 + seed, seed=seed)))


def test_a_folder_becomes_a_folder_with_every_row_once(source: Path, tmp_path: Path) -> None:
    done = []
    summary = run_batch(small_model(), source, tmp_path / "out", options=OPTIONS, progress=done.append)
    for seed, name in enumerate(("a.parquet", "b.parquet", "month=2/c.parquet")):
        assert comparable(read_table(tmp_path / "out" / name)) == expected(seed)
    assert summary["rows"] == 150 + 151 + 152 == sum(summary["statuses"].values()) == done[-1]
    assert json.loads((tmp_path / "out.run.json").read_bytes()) == summary
    assert list((tmp_path / "out").rglob(".*")) == []
    assert done == sorted(done)


def test_what_is_done_is_not_done_again(source: Path, tmp_path: Path) -> None:
    first = run_batch(small_model(), source, tmp_path / "out", options=OPTIONS)
    with patch.object(batch_run, "scored_chunk", side_effect=AssertionError("scored again")):
        assert run_batch(small_model(), source, tmp_path / "out", options=OPTIONS) == first
    write_table(hostile_table(20, seed=9), source / "a.csv")
    (tmp_path / "out" / "b.parquet").unlink()
    with patch.object(batch_run, "scored_chunk", wraps=batch_run.scored_chunk) as scored:
        again = run_batch(small_model(), source, tmp_path / "out", options=OPTIONS)
    assert scored.call_count == 1 + 2  # the changed table, and the two chunks of the lost one
    assert again["rows"] == 20 + 151 + 152
    newer = Options(version="v2", rows=100)
    with patch.object(batch_run, "scored_chunk", wraps=batch_run.scored_chunk) as scored:
        run_batch(small_model(leaves=6), source, tmp_path / "out", options=newer)
    assert scored.call_count == 5


def test_a_run_goes_on_after_the_last_complete_chunk(tmp_path: Path) -> None:
    write_table(hostile_table(450), tmp_path / "in.csv")
    whole = comparable(small_model().score(hostile_table(450)))
    calls = 0

    def failing(*arguments: object) -> pd.DataFrame:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return original(*arguments)  # type: ignore[arg-type]

    original = batch_run.scored_chunk
    with patch.object(batch_run, "scored_chunk", failing), pytest.raises(KeyboardInterrupt):
        run_batch(small_model(), tmp_path / "in.csv", tmp_path / "out.csv", options=OPTIONS)
    assert not (tmp_path / "out.csv").exists()
    with patch.object(batch_run, "scored_chunk", wraps=original) as scored:
        run_batch(small_model(), tmp_path / "in.csv", tmp_path / "out.parquet", options=OPTIONS)
        assert scored.call_count == 5  # another target, another run
        run_batch(small_model(), tmp_path / "in.csv", tmp_path / "out.csv", options=OPTIONS)
    assert scored.call_count == 5 + 2
    assert comparable(read_table(tmp_path / "out.parquet")) == whole
    assert len(read_table(tmp_path / "out.csv")) == 450
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "in.csv", "out.csv", "out.csv.run.json", "out.parquet", "out.parquet.run.json",
    ]  # fmt: skip


def test_an_unreadable_table_is_named_and_the_rest_is_kept(source: Path, tmp_path: Path) -> None:
    good = (source / "b.parquet").read_bytes()
    (source / "b.parquet").write_bytes(good[:-200])
    with pytest.raises(TableError, match=r"b\.parquet"):
        run_batch(small_model(), source, tmp_path / "out", options=OPTIONS)
    assert comparable(read_table(tmp_path / "out" / "a.parquet")) == expected(0)
    assert not (tmp_path / "out" / "b.parquet").exists()
    (source / "b.parquet").write_bytes(good)
    assert run_batch(small_model(), source, tmp_path / "out", options=OPTIONS)["rows"] == 453


def test_stamps_and_reasons(tmp_path: Path) -> None:
    write_table(hostile_table(30), tmp_path / "in.csv")
    options = Options(version="v1", stamp=True, reasons=2)
    summary = run_batch(small_model(), tmp_path / "in.csv", tmp_path / "out.csv", options=options)
    found = read_table(tmp_path / "out.csv")
    assert (found["model_version"] == "v1").all()
    assert (found["input_fingerprint"] == summary["files"]["in.csv"]["key"]["input"]).all()
    assert {"reason_1", "reason_2"} <= set(found.columns)


def test_places_that_cannot_be(source: Path, tmp_path: Path) -> None:
    for target, said in (
        (tmp_path / "x.csv", "is a file"),
        (source / "out", "outside of it"),
    ):
        with pytest.raises(InputError, match=said):
            run_batch(small_model(), source, target, options=OPTIONS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no table"):
        run_batch(small_model(), tmp_path / "empty", tmp_path / "out", options=OPTIONS)
    write_table(hostile_table(20), source / "a.parquet")
    with pytest.raises(InputError, match="different names"):
        run_batch(small_model(), source, tmp_path / "out", options=OPTIONS)
    with pytest.raises(TableError, match="does not exist"):
        run_batch(small_model(), tmp_path / "none.csv", tmp_path / "out.csv", options=OPTIONS)


@pytest.mark.slow
def test_kills_at_any_moment_lose_and_double_nothing(tmp_path: Path) -> None:
    small_model().save(tmp_path / "model")
    write_table(hostile_table(4000), tmp_path / "in.csv")
    code = (
        "import sys; from chs_ml import load_model; from chs_ml.batch_run import Options, run_batch; "
        "print('go', flush=True); run_batch(load_model(sys.argv[1]), sys.argv[2], sys.argv[3], "
        "options=Options(version='v', rows=40))"
    )
    command = [sys.executable, "-c", code, *(str(tmp_path / n) for n in ("model", "in.csv", "out.parquet"))]
    for attempt in range(12):
        run = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert run.stdout is not None
        run.stdout.readline()
        time.sleep(0.05 + 0.1 * attempt)
        if run.poll() is None:
            os.kill(run.pid, signal.SIGKILL)
        run.communicate()
        if (tmp_path / "out.parquet").exists():  # never half
            assert len(read_table(tmp_path / "out.parquet")) == 4000
        if run.returncode == 0:
            break
    else:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = comparable(read_table(tmp_path / "out.parquet"))
    assert found == comparable(small_model().score(hostile_table(4000)))
