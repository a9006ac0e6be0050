"""Batch runs: every row once, whatever happens in between; nothing twice, nothing half."""

import errno
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import numpy as np
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
    calls = itertools.count(1)

    def failing(*arguments: object) -> pd.DataFrame:
        if next(calls) >= 4:
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


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_disk_that_is_full_leaves_nothing_half_and_a_second_run_completes(
    tmp_path: Path, ending: str
) -> None:
    """A file may not grow beyond 20,000 bytes: what a full disk says, another number."""
    table, target = hostile_table(3000), tmp_path / f"out.{ending}"
    small_model().save(tmp_path / "model")
    write_table(table, tmp_path / "in.csv")
    for more in ([], ["--resume"]):
        command = ["score", str(tmp_path / "model"), str(tmp_path / "in.csv"), str(target), *more]
        run = chs_ml_with_small_files(command)
        assert run.returncode == 2
        assert re.search(r"Error: Cannot write \S+(csv|parquet): File too large\.", run.stderr)
        assert "Traceback" not in run.stderr
        assert not target.exists()
        assert list(tmp_path.rglob("*.part")) == []
    assert "Finished chunks are kept" in run.stderr
    run_batch(small_model(), tmp_path / "in.csv", target, options=Options(version="v"))
    found = read_table(target)
    assert found["account_id"].to_list() == table["account_id"].to_list()
    if ending == "parquet":
        assert comparable(found) == comparable(small_model().score(table))


def chs_ml_with_small_files(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
        "from chs_ml.cli import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


def test_what_a_killed_run_was_writing_is_removed(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    for left in (
        target / ".a.parquet.0123abcd.part",
        target / "month=2" / ".c.parquet.0123abcd.part",
        tmp_path / ".out.run.json.0123abcd.part",
    ):
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_text("PAR1")
    theirs = target / ".another.parquet.0123abcd.part"
    theirs.write_text("of a run that is under way")
    run_batch(small_model(), source, target, options=OPTIONS)
    assert list(tmp_path.rglob("*.part")) == [theirs]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_disk_that_refuses_the_last_step(tmp_path: Path, failing: str) -> None:
    write_table(hostile_table(250), tmp_path / "in.csv")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    where = {"fsync": (os, "fsync"), "replace": (Path, "replace")}[failing]
    with patch.object(*where, side_effect=full), pytest.raises(TableError, match="No space left on device"):
        run_batch(small_model(), tmp_path / "in.csv", tmp_path / "out.csv", options=OPTIONS)
    assert not (tmp_path / "out.csv").exists()
    assert list(tmp_path.rglob("*.part")) == []
    assert run_batch(small_model(), tmp_path / "in.csv", tmp_path / "out.csv", options=OPTIONS)["rows"] == 250


def test_a_table_that_may_not_be_read_is_named(source: Path, tmp_path: Path) -> None:
    original = Path.open

    def refusing(path: Path, *arguments: object, **more: object) -> object:
        if path.name == "b.parquet":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return original(path, *arguments, **more)  # type: ignore[arg-type]

    with patch.object(Path, "open", refusing), pytest.raises(TableError, match=r"b\.parquet .*Permission"):
        run_batch(small_model(), source, tmp_path / "out", options=OPTIONS)
    assert comparable(read_table(tmp_path / "out" / "a.parquet")) == expected(0)
    assert run_batch(small_model(), source, tmp_path / "out", options=OPTIONS)["rows"] == 453


RUNNER = """
import os, sys
from chs_ml.batch import Reasons, prepare
from chs_ml.batch_run import Options, run_batch
from chs_ml.bundle import load_model
model = load_model(sys.argv[1])
prepare(model, Reasons())  # or most kills would meet a run that has not begun
for line in sys.stdin:  # each line names a target: starting interpreters takes long
    child = os.fork()
    if child == 0:
        run_batch(model, sys.argv[2], line.strip(), options=Options(version="v", rows=100))
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.slow
def test_fifty_kills_at_any_moment_lose_and_double_nothing(source: Path, tmp_path: Path) -> None:
    small_model().save(tmp_path / "model")
    tables = {
        "a": hostile_table(4000),
        "b": hostile_table(151, seed=1),
        "month=2/c": hostile_table(152, seed=2),
    }
    write_table(tables["a"], source / "a.csv")
    whole = {name: comparable(small_model().score(table)) for name, table in tables.items()}
    command = [sys.executable, "-c", RUNNER, str(tmp_path / "model"), str(source)]
    rng, kills, targets, longest = np.random.default_rng(0), 0, 0, 1.0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdin is not None
        assert runner.stdout is not None
        while kills < 50:
            target = tmp_path / f"out-{targets}"
            print(target, file=runner.stdin, flush=True)
            child = int(runner.stdout.readline())
            time.sleep(rng.uniform(0.0, longest))
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            ended = int(runner.stdout.readline())
            kills += ended == -signal.SIGKILL
            for path in target.rglob("[!.]*.parquet"):  # never half
                if not any(part.startswith(".") for part in path.relative_to(target).parts):
                    assert comparable(read_table(path)) == whole[str(path.relative_to(target))[:-8]]
            longest *= 0.7 if ended == 0 else 1.1  # so that some runs end, on any machine
            if ended == 0:  # nothing to kill any more: start anew
                assert {str(p.relative_to(target))[:-8] for p in target.rglob("*.parquet")} == set(whole)
                targets += 1
    run_batch(small_model(), source, target, options=Options(version="v", rows=100))
    for name, rows in whole.items():
        assert comparable(read_table(target / f"{name}.parquet")) == rows
    assert [path for path in target.rglob(".*")] == []
    assert targets >= 1  # a run that is killed over and over gets there
