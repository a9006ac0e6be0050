"""The embedded engine: what DuckDB says becomes what its callers know."""

import subprocess
import sys
from pathlib import Path

import pytest

from chs_ml.errors import TableError
from chs_ml.raw.duckdb_engine import DuckDBEngine

LONG_QUERY = """
import os, signal, sys, tempfile, threading
from chs_ml.raw.duckdb_engine import DuckDBEngine
tempfile.tempdir = sys.argv[1]
with DuckDBEngine(threads=1) as engine:
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    try:
        engine.frame("SELECT SUM(a.range * b.range) FROM range(1000000) a, range(1000000) b")
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_a_statement_that_cannot_run_is_told_in_a_line() -> None:
    with DuckDBEngine() as engine, pytest.raises(TableError, match=r"A raw table cannot be used: .*nowhere"):
        engine.frame("SELECT * FROM nowhere")


def test_an_interrupted_query_is_an_interrupt_and_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LONG_QUERY, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (run.returncode, run.stdout, run.stderr) == (0, "interrupted\n", "")
    assert list(tmp_path.iterdir()) == []
