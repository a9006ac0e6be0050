"""Spark: the same numbers as on one machine."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("pyspark", reason="needs the extra spark")

from chs_ml import spark
from chs_ml.errors import InputError, TableError
from chs_ml.explanation import explain
from tests.hostile_rows import SCORES, comparable, hostile_table
from tests.small_model import small_model

pytestmark = [
    pytest.mark.slow,
    *(pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("FutureWarning", "DeprecationWarning",
                                                                 "ResourceWarning", "UserWarning")),
]  # fmt: skip


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)  # or workers take whatever python3 is on the path
        yield from _session(SparkSession)


def _session(builder: Any) -> Iterator[Any]:
    found = (
        builder.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "100")
        .getOrCreate()
    )
    found.sparkContext.setLogLevel("ERROR")
    yield found
    found.stop()


@pytest.fixture(scope="module")
def table(session: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("table") / "hostile.parquet"
    hostile_table(500).to_parquet(path, index=False)
    return session.read.parquet(str(path))


def test_scores_are_those_of_one_machine(table: Any) -> None:
    expected = small_model().score(hostile_table(500))
    found = spark.score(table, small_model()).toPandas()
    assert list(found.columns) == list(expected.columns)
    assert comparable(found) == comparable(expected)
    for name in ("account_id", "snapshot_date", *small_model().carried.keep):
        assert found[name].tolist() == expected[name].tolist()


def test_ten_thousand_rows_shuffled_over_partitions(session: Any, tmp_path: Path) -> None:
    rows = hostile_table(10_000)
    rows["name"] = [f"{i:05d}" for i in range(len(rows))]  # a kept column tells which row it was
    rows.to_parquet(tmp_path / "hostile.parquet", index=False)
    shuffled = session.read.parquet(str(tmp_path / "hostile.parquet")).repartition(7)
    found = spark.score(shuffled, small_model()).toPandas()
    assert found["name"].to_list() != rows["name"].to_list()
    assert comparable(found.sort_values("name")) == comparable(small_model().score(rows))


def test_explanations_too(table: Any) -> None:
    local = hostile_table(500)
    why = explain(small_model(), local)
    found = spark.explain(table, small_model(), reasons=2).toPandas()
    assert comparable(found) == comparable(small_model().score(local))
    known = why.health_score.notna().to_numpy()
    points = np.array([[row[name] for name in why.points.columns] for row in found["points"][known]])
    np.testing.assert_array_equal(points, why.points.to_numpy()[known])
    assert [list(row) for row in found["reasons"]] == why.reasons(2).to_list()
    assert found["points"][~known].isna().all()
    assert (found["base"] == why.base).all()


def test_refusals_come_before_the_job(table: Any) -> None:
    with pytest.raises(TableError, match="usage_days"):
        spark.score(table.drop("usage_days"), small_model())
    with pytest.raises(InputError, match="must not be negative"):
        spark.explain(table, small_model(), reasons=-1)


def test_the_logged_model_scores_through_spark_udf(table: Any, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the extra mlflow")
    from pyspark.sql.functions import struct

    from chs_ml.registry import Registry

    registry = Registry.at(tmp_path)
    registry.register(small_model())
    mlflow.set_tracking_uri(registry.place.uri)
    kinds = ", ".join(f"{name} {'double' if kind == 'f' else 'string'}" for name, kind in SCORES.items())
    score = mlflow.pyfunc.spark_udf(
        table.sparkSession, "models:/customer-health/1", result_type=kinds, env_manager="local"
    )
    names = list(small_model().schema.names)
    found = table.select(score(struct(*names)).alias("s")).select("s.*").toPandas()
    found["tier"] = found["tier"].replace("None", None)  # MLflow spells a missing text so
    assert comparable(found) == comparable(pd.DataFrame(small_model().score(hostile_table(500))))
