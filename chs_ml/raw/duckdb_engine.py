"""The embedded engine: DuckDB, out of core in a temporary folder."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pandas as pd

from chs_ml.errors import ChsError, TableError
from chs_ml.raw import sql
from chs_ml.raw.engine import is_parquet

_TYPES = {
    "VARCHAR": "text",
    "BOOLEAN": "flag",
    "DATE": "date",
    "FLOAT": "number",
    "DOUBLE": "number",
    "TIMESTAMP WITH TIME ZONE": "date",
}
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")


class DuckDBEngine:
    """Runs SQL in a DuckDB database that lives in a temporary folder as long as the engine is open.

    Parameters
    ----------
    threads : int, optional
        All cores where left out. Results do not depend on it.
    memory : str, optional
        Such as "4GB"; beyond it, work goes to disk.
    """

    def __init__(self, *, threads: int | None = None, memory: str | None = None) -> None:
        self._threads, self._memory = threads, memory

    def __enter__(self) -> Self:
        try:
            import duckdb
        except ModuleNotFoundError as error:
            raise ChsError("Raw tables need DuckDB: install the extra chs-ml[duckdb].") from error
        self._folder = tempfile.TemporaryDirectory(prefix="chs-ml-")
        self._error: type[Exception] = duckdb.Error
        settings: dict[str, Any] = {"preserve_insertion_order": False}
        if self._threads is not None:
            settings["threads"] = self._threads
        if self._memory is not None:
            settings["memory_limit"] = self._memory
        self._connection = duckdb.connect(str(Path(self._folder.name) / "tables.duckdb"), config=settings)
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute(
            "CREATE MACRO unix_date(d) AS CAST(CAST(d AS DATE) - DATE '1970-01-01' AS BIGINT)"
        )
        return self

    def __exit__(self, *failure: object) -> None:
        self._connection.close()
        self._folder.cleanup()

    def open(self, relation: str, files: Sequence[Path]) -> dict[str, str]:
        """Make files readable under a name; return the type of each column."""
        listed = "[" + ", ".join(sql.text(str(file)) for file in files) + "]"
        if is_parquet(files[0]):
            self.view(relation, f"SELECT * FROM read_parquet({listed}, union_by_name = true)")
        else:  # once as columns: it would be parsed again for each metric
            rules = (
                "all_varchar = true, header = true, delim = ',', quote = '\"', escape = '\"', nullstr = ''"
            )
            self.keep(relation, f"SELECT * FROM read_csv({listed}, {rules}, union_by_name = true)")
        described = self._run(f"DESCRIBE {sql.name(relation)}").fetchall()
        return {row[0]: _type_of(row[1]) for row in described}

    def view(self, relation: str, select: str) -> None:
        """Name a query."""
        self._run(f"CREATE OR REPLACE VIEW {sql.name(relation)} AS {select}")

    def keep(self, relation: str, select: str) -> None:
        """Run a query and keep its rows."""
        self._run(f"CREATE OR REPLACE TABLE {sql.name(relation)} AS {select}")

    def load(self, relation: str, frame: pd.DataFrame) -> None:
        """Keep a small frame."""
        self._connection.register("given_frame", frame)
        self.keep(relation, "SELECT * FROM given_frame")
        self._connection.unregister("given_frame")

    def frame(self, select: str) -> pd.DataFrame:
        """Run a query and fetch its rows."""
        fetched: pd.DataFrame = self._run(select).df()
        return fetched

    def _run(self, statement: str) -> Any:
        try:
            return self._connection.execute(statement)
        except self._error as error:
            raise TableError(f"A raw table cannot be used: {str(error).splitlines()[0][:300]}") from error
        except RuntimeError as error:
            if "interrupted" in str(error):  # what DuckDB makes of Ctrl-C
                raise KeyboardInterrupt from error
            raise


def _type_of(declared: str) -> str:
    if declared in _WHOLE:
        return "whole"
    if declared.startswith("DECIMAL") or declared in ("HUGEINT", "UBIGINT", "UHUGEINT"):
        return "number"
    if declared.startswith("TIMESTAMP"):
        return "date"
    return "text" if declared.startswith("ENUM") else _TYPES.get(declared, "other")
