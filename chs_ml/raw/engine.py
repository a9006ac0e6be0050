"""What an engine must do; DuckDB and Spark do it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from chs_ml.errors import TableError, first_few

if TYPE_CHECKING:
    import pandas as pd

TYPES = ("text", "whole", "number", "flag", "date", "other")
ENDINGS = (".csv", ".csv.gz", ".parquet")


class Engine(Protocol):
    """Runs SELECT statements written in DuckDB's dialect."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *failure: object) -> None: ...

    def open(self, relation: str, files: Sequence[Path]) -> dict[str, str]:
        """Make files readable under a name; return the type of each column, one of `TYPES`.

        From CSV every column is text, and only the empty string is missing.
        """

    def view(self, relation: str, select: str) -> None:
        """Name a query; it runs whenever the name is used."""

    def keep(self, relation: str, select: str) -> None:
        """Run a query and keep its rows under a name."""

    def load(self, relation: str, frame: "pd.DataFrame") -> None:
        """Keep a small frame under a name."""

    def frame(self, select: str) -> "pd.DataFrame":
        """Run a query and fetch its rows."""


def files_of(path: Path) -> list[Path]:
    """The files that a path names: itself, all in a folder, or all that fit a pattern; sorted by name.

    Raises
    ------
    TableError
        Where there is none, or some are CSV and others Parquet.
    """
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.name.lower().endswith(ENDINGS))
    elif "*" in path.name:
        found = sorted(path.parent.glob(path.name))
    else:
        found = [path] if path.is_file() else []
    if not found:
        raise TableError(f"No table at {path}: there is no such file, and no folder or pattern with files.")
    strange = [file.name for file in found if not file.name.lower().endswith(ENDINGS)]
    if strange:
        raise TableError(f"A table must end in {', '.join(ENDINGS)}; got {first_few(strange)}.")
    empty = [file.name for file in found if file.stat().st_size == 0]
    if empty:
        raise TableError(f"A table must not be an empty file (0 bytes); {first_few(empty)} is.")
    if len({is_parquet(file) for file in found}) > 1:
        raise TableError(f"The files of one table must be all CSV or all Parquet; {path} holds both.")
    return found


def is_parquet(file: Path) -> bool:
    """Whether a file is Parquet by its ending."""
    return file.name.lower().endswith(".parquet")
