"""Opening the raw tables of a recipe and naming their facts: account, known day, and the forms needed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from chs_ml.errors import TableError
from chs_ml.raw import sql
from chs_ml.raw.contracts import with_replaced_sql
from chs_ml.raw.definitions import REPLACED
from chs_ml.raw.engine import Engine, files_of
from chs_ml.raw.recurring import levels_sql, rises_sql
from chs_ml.raw.staging import ACCOUNT, DAY, RawTable

if TYPE_CHECKING:
    from chs_ml.recipe import Recipe

LINKED = "linked_start"
"""Staged column of a linked table: the start of the contract term that the row belongs to."""


def open_tables(recipe: "Recipe", engine: Engine) -> dict[str, RawTable]:
    """Make the files of all tables readable, and learn their columns.

    Raises
    ------
    TableError
        Where a file is absent or unreadable, or a column that the recipe names is not there.
    """
    tables = {}
    for name, path in recipe.table_paths().items():
        types = engine.open(f"raw__{name}", files_of(path))
        tables[name] = RawTable(name, recipe.tables[name], types)
        _check_columns(tables[name])
    return tables


def _check_columns(table: RawTable) -> None:
    spec = table.spec
    wanted = [*spec.columns.values(), *spec.known_from, *spec.id, *spec.attributes]
    wanted += [spec.account_from.on] if spec.account_from is not None else [spec.account]
    wanted += [table.time] if table.time is not None else []
    for column in wanted:
        table._type(column)
    if table.time is not None and table.types[table.time] not in ("date", "text"):
        raise TableError(
            f"[tables.{table.name}] the column {table.time!r}, from which rows are known, must hold dates; "
            f"it holds numbers."
        )


def accounts_are_whole(tables: Mapping[str, RawTable]) -> bool:
    """Whether account ids are whole numbers in all tables, so that they need not be read as text."""
    owners = [table for table in tables.values() if table.spec.account_from is None]
    return all(table.types[table.spec.account] == "whole" for table in owners)


def contracts_of(tables: Mapping[str, RawTable]) -> RawTable | None:
    """The table of contract terms; None where there is none."""
    return next((table for table in tables.values() if table.role == "contracts"), None)


def staged_sql(
    table: RawTable, tables: Mapping[str, RawTable], *, whole: bool, source: str | None = None
) -> str:
    """SELECT: account, known day and the needed forms of all rows, whatever is wrong with them."""
    link = table.spec.account_from
    forms = [f"{form} AS {sql.name(staged)}" for staged, form in table.forms.items()]
    raw = sql.name(source or table.raw)
    if link is None:
        account, join = table.account_sql(whole=whole), ""
    else:
        account, join = f"l.{ACCOUNT}", _link_sql(table, tables[link.table], whole=whole)
        forms += [f"l.{LINKED} AS {LINKED}"]
    columns = [f"{account} AS {ACCOUNT}", f"{table.day_sql()} AS {DAY}", *forms]
    return f"SELECT {', '.join(columns)} FROM {raw} t {join}".rstrip()


def _link_sql(table: RawTable, other: RawTable, *, whole: bool) -> str:
    link = table.spec.account_from
    on = str(link.on if link is not None else "")
    there, here = (RawTable(one.name, one.spec, one.types) for one in (other, table))
    key, mine = there.words(on), here.words(on)
    start = other.standard("start") if other.role == "contracts" else None
    starts = "CAST(NULL AS BIGINT)" if start is None else f"MIN({there.forms[there.day(start)]})"
    return (
        f"LEFT JOIN (SELECT {there.forms[key]} AS k, MIN({other.account_sql(whole=whole)}) AS {ACCOUNT}, "
        f"{starts} AS {LINKED} FROM {sql.name(other.raw)} t GROUP BY {there.forms[key]}) l "
        f"ON l.k = {here.forms[mine]}"
    )


def make_facts(
    table: RawTable, tables: Mapping[str, RawTable], engine: Engine, *, grace: int, one_per_id: bool
) -> None:
    """Name the usable rows of a table; they have an account, a known day, and an id of their own.

    Parameters
    ----------
    table, tables
        The table, and all of them.
    engine : Engine
        Where the tables are open.
    grace : int
        Days of grace, within which a next contract term is a renewal and not a replacement.
    one_per_id : bool
        Whether of several rows with one id only the first is used, in the order of all their values.
    """
    whole, source = accounts_are_whole(tables), None
    if one_per_id:
        source = f"unique__{table.name}"
        engine.keep(source, _one_per_id_sql(table))
    staged = staged_sql(table, tables, whole=whole, source=source)
    usable = f"SELECT * FROM ({staged}) u WHERE {ACCOUNT} IS NOT NULL AND {DAY} IS NOT NULL"
    if table.role == "contracts":
        engine.keep(table.facts, with_replaced_sql(table, usable, grace=grace))
        if table.has_rises:
            engine.keep(f"levels__{table.name}", levels_sql(table))
            engine.keep(table.rises(), rises_sql(f"levels__{table.name}", grace=grace))
    else:
        engine.view(table.facts, usable)


def _one_per_id_sql(table: RawTable) -> str:
    columns = sql.names(table.types)
    order = ", ".join(f"t.{sql.name(column)}" for column in table.types)
    copy = RawTable(table.name, table.spec, table.types)
    keys = ", ".join(copy.forms[copy.words(column)] for column in table.spec.id)
    return (
        f"SELECT {columns} FROM (SELECT t.*, "
        f"ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY {order}) AS nth_of_id "
        f"FROM {sql.name(table.raw)} t) q WHERE nth_of_id = 1"
    )


__all__ = [
    "LINKED",
    "REPLACED",
    "accounts_are_whole",
    "contracts_of",
    "make_facts",
    "open_tables",
    "staged_sql",
]
