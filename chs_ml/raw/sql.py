"""Small pieces of SQL, written once in DuckDB's dialect; the Spark engine has them translated.

Only what gives equal results on both is used: equality and range joins, filtered aggregates, ROW_NUMBER
over a total order, BIT_OR and BIT_COUNT. Dates are whole numbers, days since 1970-01-01, computed once when
a table is read, so that no engine's idea of a date difference matters. Sums run over whole numbers: they do
not depend on the order of rows.
"""

from collections.abc import Iterable

UNIT = 1_000_000
"""Numbers are summed as whole millionths."""


def name(identifier: str) -> str:
    """Quote the name of a table or column."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """Quote a text value."""
    return "'" + value.replace("'", "''") + "'"


def names(identifiers: Iterable[str]) -> str:
    """Quote names and join them with commas."""
    return ", ".join(name(identifier) for identifier in identifiers)


def both(conditions: Iterable[str]) -> str:
    """Join conditions with AND; the empty text where there are none."""
    return " AND ".join(condition for condition in conditions if condition)


def is_filled(value: str) -> str:
    """Whether a value is there."""
    return f"{value} IS NOT NULL"


def aggregate(call: str, *conditions: str) -> str:
    """An aggregate over the rows that meet all conditions."""
    where = both(conditions)
    return f"{call} FILTER (WHERE {where})" if where else call


def millionths(number: str) -> str:
    """A number as whole millionths, rounded half up."""
    return f"CAST(FLOOR({number} * 1e6 + 5e-1) AS BIGINT)"
