"""Spark gives the same snapshot table from the same recipe, to the last bit."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from chs_ml.raw import build_snapshots
from chs_ml.recipe import load_recipe
from tests.raw.test_look_ahead import assert_same_bits, random_metrics

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    pytest.importorskip("pyspark")
    from chs_ml.raw.spark_engine import _local_session

    started = _local_session()
    yield started
    started.stop()


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_the_same_table_on_both_engines(
    tmp_path: Path, make_company: Make, make_recipe: Make, session: Any, ending: str
) -> None:
    from chs_ml.raw.spark_engine import SparkEngine

    metrics = {f"r_{name}": entry for name, entry in random_metrics(20, 12).items()}
    for entry in metrics.values():
        for key in ("of", "per"):
            if entry["measure"] in ("ratio", "change", "growth") and key in entry:
                entry[key] = f"r_{entry[key]}"
    content = make_recipe(make_company(5), tmp_path, ending=ending, metrics=metrics, windows=[30])
    for table in content["tables"].values() if ending == ".csv" else ():
        table["catalogue"] = False
    recipe = load_recipe(content)
    one, other = build_snapshots(recipe), build_snapshots(recipe, engine=SparkEngine(session))
    assert_same_bits(one.frame, other.frame)
    pd.testing.assert_series_equal(one.frame["outcome"], other.frame["outcome"])
    assert one.renewals == other.renewals
    assert one.findings == other.findings


def test_one_option_changes_the_engine(
    tmp_path: Path, make_company: Make, make_recipe: Make, session: Any
) -> None:
    content = make_recipe(make_company(6, accounts=8), tmp_path, last="2023-05-31")
    content["snapshots"]["engine"] = "spark"
    for table in content["tables"].values():
        table["catalogue"] = False
    content["metrics"] = {"events": {"from": "usage", "measure": "count", "days": 30}}
    on_spark = build_snapshots(load_recipe(content)).frame
    content["snapshots"]["engine"] = "duckdb"
    assert_same_bits(build_snapshots(load_recipe(content)).frame, on_spark)
