"""What all table files share: endings, headers, and errors in one line."""

from collections import Counter
from pathlib import Path

from chs_ml.errors import TableError, first_few

CSV = ".csv"
CSV_GZ = ".csv.gz"
PARQUET = ".parquet"
ENDINGS = (CSV, CSV_GZ, PARQUET)


def ending_of(path: Path) -> str:
    """Return which of the known endings a path has, in any case.

    Raises
    ------
    TableError
        Where it has another.
    """
    name = path.name.lower()
    for ending in ENDINGS:
        if name.endswith(ending):
            return ending
    raise TableError(f"A table must end in {', '.join(ENDINGS)}; got {path.name!r}.")


def check_header(names: list[str], source: Path) -> None:
    """Refuse a header in which a name stands twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TableError(
            f"Each column must have its own name; the table {source.name} has {first_few(twice)} "
            f"more than once. Rename or remove the copies."
        )


def first_line(error: Exception) -> str:
    """Return the first line of what a library said, without its full stop."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200].rstrip(".")
