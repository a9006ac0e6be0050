"""Every door gives the same bits: frame, mapping, files, command line, HTTP, MLflow; alone and together.

Spark is compared in `test_spark`, by the same rows.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from chs_ml.batch import score_file
from chs_ml.cli import app
from chs_ml.table import read_table, write_table
from tests.hostile_rows import comparable, hostile_table
from tests.small_model import small_model

QUICK = 500


@pytest.fixture(scope="module", params=[QUICK, pytest.param(10_000, marks=pytest.mark.slow)])
def table(request: pytest.FixtureRequest) -> pd.DataFrame:
    return hostile_table(request.param)


@pytest.fixture(scope="module")
def expected(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    found = comparable(small_model().score(table))
    assert {row[4] for row in found} == {"ok", "degraded", "invalid"}
    return found


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    plain = table.astype(object)
    return plain.where(plain.notna(), None).to_dict("records")


def test_one_by_one_as_mappings_and_as_frames(table: pd.DataFrame, expected: list[tuple[Any, ...]]) -> None:
    rows = rows_of(table)
    assert comparable(pd.DataFrame([small_model().score(row) for row in rows], dtype=object)) == expected
    some = range(0, len(table), max(1, len(table) // 100))
    alone = pd.concat([small_model().score(table.iloc[[i]]) for i in some])
    assert comparable(alone) == [expected[i] for i in some]


def test_shuffled_and_in_other_columns(table: pd.DataFrame, expected: list[tuple[Any, ...]]) -> None:
    order = np.random.default_rng(1).permutation(len(table))
    shuffled = table.iloc[order, ::-1].astype(object)
    assert comparable(small_model().score(shuffled)) == [expected[i] for i in order]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_files(table: pd.DataFrame, expected: list[tuple[Any, ...]], ending: str, tmp_path: Path) -> None:
    source = tmp_path / f"in.{ending}"
    write_table(table, source)
    score_file(small_model(), source, tmp_path / "out.parquet", rows=171)
    assert comparable(read_table(tmp_path / "out.parquet")) == expected
    score_file(small_model(), source, tmp_path / "out.csv", rows=171)
    written = read_table(tmp_path / "out.csv")
    numbers = ["churn_probability", "health_score", "coverage"]
    read = written.assign(**{name: pd.to_numeric(written[name]) for name in numbers})
    read["status_detail"] = read["status_detail"].fillna("")
    assert comparable(read) == expected


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_command_line(
    table: pd.DataFrame, expected: list[tuple[Any, ...]], ending: str, tmp_path: Path
) -> None:
    small_model().save(tmp_path / "model")
    order = np.random.default_rng(2).permutation(len(table))
    write_table(table, tmp_path / f"in.{ending}")
    write_table(table.iloc[order], tmp_path / f"shuffled.{ending}")
    for name, rows in (("in", expected), ("shuffled", [expected[i] for i in order])):
        for more in ([], ["--resume"]):
            places = [str(tmp_path / place) for place in ("model", f"{name}.{ending}", "out.parquet")]
            ran = CliRunner().invoke(app, ["score", *places, *more])
            assert ran.exit_code == 0, ran.output
            assert comparable(read_table(tmp_path / "out.parquet")) == rows
            (tmp_path / "out.parquet").unlink()


@pytest.mark.filterwarnings("ignore")
def test_http(table: pd.DataFrame, expected: list[tuple[Any, ...]]) -> None:
    pytest.importorskip("fastapi", reason="needs the extra serve")
    pytest.importorskip("httpx", reason="the test client needs httpx")
    from starlette.testclient import TestClient

    from chs_ml.service import create_app

    rows = rows_of(table)
    order = np.random.default_rng(3).permutation(len(rows))
    with TestClient(create_app(small_model(), version="v")) as client:

        def scores(some: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
            answer = client.post("/score", json={"accounts": some})
            assert answer.status_code == 200, answer.text[:300]
            return comparable(pd.DataFrame(answer.json()["scores"], dtype=object))

        assert scores(rows) == expected
        assert scores([rows[i] for i in order]) == [expected[i] for i in order]
        alone = [scores([row])[0] for row in rows]
    assert alone == expected


@pytest.mark.filterwarnings("ignore")
def test_mlflow(table: pd.DataFrame, expected: list[tuple[Any, ...]], tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the extra mlflow")
    from chs_ml.registry.pyfunc import save_for_mlflow

    save_for_mlflow(small_model(), tmp_path / "model")
    scorer = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert comparable(scorer.predict(table)) == expected
    order = np.random.default_rng(4).permutation(len(table))
    assert comparable(scorer.predict(table.iloc[order])) == [expected[i] for i in order]
    some = range(0, len(table), max(1, len(table) // 200))
    assert [comparable(scorer.predict(table.iloc[[i]]))[0] for i in some] == [expected[i] for i in some]
