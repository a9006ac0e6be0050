"""Reading raw columns: each in the forms that are needed, and from when each value is known.

This is the one place where raw values become days, numbers and texts, and the one that says from when a
row or a value is known. Everything behind it compares those days with the snapshot's and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chs_ml.errors import TableError, nearest
from chs_ml.raw import sql

if TYPE_CHECKING:
    from chs_ml.recipe import TableSpec

ACCOUNT = "account_id"
DAY = "known_day"
ALWAYS = -1_000_000
"""The day from which rows of a table without dates are known."""
LARGEST = 1e12


@dataclass
class RawTable:
    """A raw table as opened: its columns, and which forms of them are needed.

    Attributes
    ----------
    name : str
        Its name in the recipe.
    spec : TableSpec
        What the recipe says about it.
    types : dict of str to str
        Type of each column, as the engine tells.
    forms : dict
        Needed forms: staged name to its SQL over the raw table's columns. Filled by the methods.
    filled : set of str
        Staged numbers that no row lacks. Set when the rows are checked.
    has_rises : bool
        Whether the days are needed on which an account's recurring value rose. Set by `rises`.
    """

    name: str
    spec: "TableSpec"
    types: Mapping[str, str]
    forms: dict[str, str] = field(default_factory=dict)
    filled: set[str] = field(default_factory=set)
    has_rises: bool = False

    @property
    def role(self) -> str:
        """The role of the table."""
        return self.spec.kind(self.name)

    @property
    def time(self) -> str | None:
        """The column from which a row is known."""
        return self.spec.time_column(self.name)

    @property
    def raw(self) -> str:
        """Name of the relation with the columns as read."""
        return f"raw__{self.name}"

    @property
    def facts(self) -> str:
        """Name of the relation with account, known day and the needed forms."""
        return f"facts__{self.name}"

    def standard(self, column: str) -> str | None:
        """What the file calls a standard column; None where it has none."""
        return self.spec.columns.get(column)

    def is_later(self, column: str) -> bool:
        """Whether a column is filled in after its row is known."""
        return column in self.spec.known_from

    def day(self, column: str) -> str:
        """Staged name of a date column as days since 1970-01-01."""
        return self._form(column, "day")

    def number(self, column: str) -> str:
        """Staged name of a column as a number; what is none, or not finite, is missing."""
        return self._form(column, "number")

    def words(self, column: str) -> str:
        """Staged name of a column as text without blanks around it."""
        return self._form(column, "text")

    def flag(self, column: str) -> str:
        """Staged name of a yes/no column as 1 and 0."""
        return self._form(column, "flag")

    def known(self, column: str) -> str:
        """Staged name of the day from which a later column's value is known; missing where never."""
        date_column = self.spec.known_from[column]
        staged = f"{column}__known"
        if staged not in self.forms:
            day = day_sql(self._raw(date_column), self._type(date_column))
            blank = blank_sql(self._raw(column), self._type(column))
            self.forms[staged] = f"CASE WHEN NOT ({blank}) THEN {day} END"
        return staged

    def rises(self) -> str:
        """Name of the relation with the days on which the recurring value of a contracts table rose."""
        self.has_rises = True
        return f"rises__{self.name}"

    def is_whole(self, column: str) -> bool:
        """Whether a column holds whole numbers by its type, so that sums need no rounding."""
        return self._type(column) == "whole"

    def is_number(self, column: str) -> bool:
        """Whether a column holds numbers by its type."""
        return self._type(column) in ("whole", "number")

    def _form(self, column: str, form: str) -> str:
        staged = f"{column}__{form}"
        if staged not in self.forms:
            self.forms[staged] = _FORMS[form](self._raw(column), self._type(column))
        return staged

    def _raw(self, column: str) -> str:
        return f"t.{sql.name(column)}"

    def _type(self, column: str) -> str:
        if column not in self.types:
            hint = nearest(column, self.types) or f" It has: {', '.join(self.types)}."
            raise TableError(
                f"The recipe uses the column {column!r} of table {self.name!r}, which has none.{hint}"
            )
        return self.types[column]

    def account_sql(self, *, whole: bool) -> str:
        """The account id, whole number or text, over the raw table's columns."""
        column = self.spec.account
        return self._raw(column) if whole else text_sql(self._raw(column), self._type(column))

    def day_sql(self) -> str:
        """The day from which a row is known, over the raw table's columns."""
        if self.time is None:
            return f"CAST({ALWAYS} AS BIGINT)"
        return day_sql(self._raw(self.time), self._type(self.time))


def blank_sql(column: str, kind: str) -> str:
    """Whether a value is missing."""
    return f"{column} IS NULL OR TRIM({column}) = ''" if kind == "text" else f"{column} IS NULL"


def day_sql(column: str, kind: str) -> str:
    """A date of any form as days since 1970-01-01, as written: time of day and zone are left out."""
    if kind == "date":
        return f"UNIX_DATE(CAST({column} AS DATE))"
    if kind != "text":
        return "CAST(NULL AS BIGINT)"
    trimmed = f"TRIM({column})"
    shaped = f"LENGTH({trimmed}) >= 10 AND SUBSTR({trimmed}, 5, 1) = '-' AND SUBSTR({trimmed}, 8, 1) = '-'"
    return f"CASE WHEN {shaped} THEN UNIX_DATE(TRY_CAST(SUBSTR({trimmed}, 1, 10) AS DATE)) END"


def number_sql(column: str, kind: str) -> str:
    """A value as a finite number."""
    if kind == "flag":
        return f"CASE WHEN {column} THEN 1e0 WHEN NOT {column} THEN 0e0 END"
    if kind == "whole":
        return f"CAST({column} AS DOUBLE)"
    if kind not in ("text", "number"):
        return "CAST(NULL AS DOUBLE)"
    value = f"TRY_CAST(TRIM({column}) AS DOUBLE)" if kind == "text" else f"CAST({column} AS DOUBLE)"
    return f"CASE WHEN ABS({value}) < {LARGEST} THEN {value} END"


def text_sql(column: str, kind: str) -> str:
    """A value as text, the same for 1 and 1.0; blanks are missing."""
    if kind == "text":
        return f"NULLIF(TRIM({column}), '')"
    if kind == "number":
        whole = f"CAST(CAST({column} AS BIGINT) AS VARCHAR)"
        return (
            f"CASE WHEN ABS({column}) < {LARGEST} AND {column} = FLOOR({column}) THEN {whole} "
            f"ELSE CAST({column} AS VARCHAR) END"
        )
    if kind == "date":
        return f"CAST(CAST({column} AS DATE) AS VARCHAR)"
    return f"CAST({column} AS VARCHAR)"


def flag_sql(column: str, kind: str) -> str:
    """A yes/no value as 1 and 0."""
    if kind in ("flag", "whole", "number"):
        number = number_sql(column, kind)
        return f"CASE WHEN {number} IN (0e0, 1e0) THEN {number} END"
    word = f"LOWER(TRIM({column}))"
    return (
        f"CASE WHEN {word} IN ('yes', 'y', 'true', 't', '1') THEN 1e0 "
        f"WHEN {word} IN ('no', 'n', 'false', 'f', '0') THEN 0e0 END"
    )


_FORMS = {"day": day_sql, "number": number_sql, "text": text_sql, "flag": flag_sql}
