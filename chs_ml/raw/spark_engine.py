"""The engine for those who outgrow one machine: the same SQL, translated for Spark."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pandas as pd

from chs_ml.errors import ChsError, TableError
from chs_ml.raw import sql
from chs_ml.raw.engine import is_parquet

_WHOLE = ("ByteType", "ShortType", "IntegerType", "LongType")
_TYPES = {
    "StringType": "text",
    "BooleanType": "flag",
    "DateType": "date",
    "TimestampType": "date",
    "TimestampNTZType": "date",
    "FloatType": "number",
    "DoubleType": "number",
    "DecimalType": "number",
}


class SparkEngine:
    """Runs SQL on Spark 4 (Java 17); needs the extra ``chs-ml[spark]``.

    Parameters
    ----------
    session : SparkSession, optional
        Used as it is and left open. Without it a local session is started and stopped.
    """

    def __init__(self, session: Any = None) -> None:
        self._given = session

    def __enter__(self) -> Self:
        try:
            import sqlglot
            from pyspark.errors import PySparkException
        except ModuleNotFoundError as error:
            raise ChsError(
                "Raw tables on Spark need pyspark and sqlglot: install the extra chs-ml[spark]."
            ) from error
        self._translate, self._error = sqlglot.transpile, PySparkException
        self._session = self._given or _local_session()
        self._kept: list[Any] = []
        return self

    def __exit__(self, *failure: object) -> None:
        for frame in self._kept:
            frame.unpersist()
        if self._given is None:
            self._session.stop()

    def open(self, relation: str, files: Sequence[Path]) -> dict[str, str]:
        """Make files readable under a name; return the type of each column."""
        paths = [str(file) for file in files]
        try:
            if is_parquet(files[0]):
                self._session.conf.set("spark.sql.legacy.parquet.nanosAsLong", True)
                frame = self._session.read.option("mergeSchema", True).parquet(*paths)
                frame = _with_moments(frame, files[0])
            else:
                rules = {"header": True, "quote": '"', "escape": '"', "multiLine": True, "nullValue": ""}
                frame = self._session.read.options(**rules).csv(paths)
        except self._error as error:
            raise _unusable(error) from error
        frame.createOrReplaceTempView(sql.name(relation).replace('"', "`"))
        return {column.name: _type_of(column.dataType) for column in frame.schema.fields}

    def view(self, relation: str, select: str) -> None:
        """Name a query."""
        self._query(select).createOrReplaceTempView(sql.name(relation).replace('"', "`"))

    def keep(self, relation: str, select: str) -> None:
        """Run a query and keep its rows."""
        frame = self._query(select).cache()
        self._kept.append(frame)
        frame.createOrReplaceTempView(sql.name(relation).replace('"', "`"))

    def load(self, relation: str, frame: pd.DataFrame) -> None:
        """Keep a small frame."""
        import pyarrow as pa

        self._session.createDataFrame(
            pa.Table.from_pandas(frame, preserve_index=False)
        ).createOrReplaceTempView(sql.name(relation).replace('"', "`"))

    def frame(self, select: str) -> pd.DataFrame:
        """Run a query and fetch its rows."""
        try:
            fetched: pd.DataFrame = self._query(select).toArrow().to_pandas()
        except self._error as error:
            raise _unusable(error) from error
        return fetched

    def _query(self, select: str) -> Any:
        translated = self._translate(select, read="duckdb", write="spark", identify=True)[0]
        try:
            return self._session.sql(translated)
        except self._error as error:
            raise _unusable(error) from error


def _unusable(error: Exception) -> TableError:
    return TableError(f"A raw table cannot be used: {str(error).splitlines()[0][:300]}")


def _with_moments(frame: Any, file: Path) -> Any:
    """Read timestamps in nanoseconds, for which Spark has no type, by the day and second they tell."""
    import pyarrow.parquet as pq

    moments = [f.name for f in pq.read_schema(file) if str(f.type).startswith("timestamp[ns")]
    read = [
        f"timestamp_micros(CAST(FLOOR(`{name}` / 1000) AS BIGINT)) AS `{name}`"
        if name in moments
        else f"`{name}`"
        for name in frame.columns
    ]
    return frame.selectExpr(*read) if moments else frame


def _type_of(kind: Any) -> str:
    name = type(kind).__name__
    return "whole" if name in _WHOLE else _TYPES.get(name, "other")


def _local_session() -> Any:
    from pyspark.sql import SparkSession

    return (
        SparkSession.builder.master("local[2]")
        .appName("chs-ml")
        .config("spark.ui.enabled", False)
        .config("spark.ui.showConsoleProgress", False)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", 4)
        .config("spark.sql.parquet.inferTimestampNTZ.enabled", True)
        .config("spark.sql.execution.arrow.pyspark.enabled", True)
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
