"""The sections of a recipe that starts from raw tables: tables, metric definitions, snapshots, outcomes."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from chs_ml.errors import first_few, nearest
from chs_ml.metric import DEFAULT_GROUP
from chs_ml.recipe.roles import ROLES, Role
from chs_ml.recipe.values import Day, NameOrNames, Names, Section, Value, Values

Days = Annotated[int, Field(ge=1, le=36_500)]
MEASURES = (
    "count",
    "sum",
    "mean",
    "min",
    "max",
    "distinct",
    "active_days",
    "share",
    "slope",
    "recency",
    "age",
    "until",
    "latest",
    "ratio",
    "difference",
    "change",
    "growth",
    "upsells",
)
Measure = Literal[
    "count",
    "sum",
    "mean",
    "min",
    "max",
    "distinct",
    "active_days",
    "share",
    "slope",
    "recency",
    "age",
    "until",
    "latest",
    "ratio",
    "difference",
    "change",
    "growth",
    "upsells",
]
_ZERO_WHEN_EMPTY = ("count", "sum", "distinct", "active_days", "slope", "upsells")
_NEED_COLUMN = ("sum", "mean", "min", "max", "distinct", "until", "latest")
_OF_METRICS = ("ratio", "difference", "change", "growth")
_OF_TWO = ("ratio", "difference")


class LinkSpec(Section):
    """Key ``account_from`` of a table: its account is that of a row in another table.

    Attributes
    ----------
    table : str
        Name of the other table.
    on : str
        Column with the other row's key, of the same name in both tables.
    """

    table: str
    on: str


class TableSpec(Section):
    """Table ``[tables.NAME]``: a raw table, and from when each part of it is known.

    Attributes
    ----------
    path : str
        A file, a folder of files or a pattern with ``*``; relative to ``[data] path`` where that is given,
        else to the recipe file.
    role : str, optional
        What a row is; the table's name where that is a role, else "other".
    account : str
        Column of account ids.
    account_from : LinkSpec, optional
        Where the table has no account column: the table that says whose the row is.
    id : tuple of str
        Columns that together are the row's own key; checked for duplicates.
    time : str, optional
        Column with the day from which the row is known; the role's own where it has one. A table without
        is known from the beginning.
    later : dict of str to tuple of str
        Columns filled in later, by the date column that says when: ``{closed_at = ["satisfaction"]}``.
        The date column itself is known from its own day.
    columns : dict of str to str
        Standard names of the role, and what they are called here.
    attributes : tuple of str
        Columns of which the latest known value becomes a metric.
    catalogue : bool or tuple of str
        Whether the role's standard metrics are made, or which of them.
    """

    path: str
    role: str | None = None
    account: str = "account_id"
    account_from: LinkSpec | None = None
    id: NameOrNames = ()
    time: str | None = None
    later: dict[str, NameOrNames] = Field(default_factory=dict)
    columns: dict[str, str] = Field(default_factory=dict)
    attributes: Names = ()
    catalogue: bool | Names = True

    @field_validator("role")
    @classmethod
    def _role_is_known(cls, role: str | None) -> str | None:
        if role is not None and role not in ROLES:
            raise ValueError(
                f"must be one of {', '.join(ROLES)}; got {role!r}.{nearest(role, ROLES)}".rstrip(".")
            )
        return role

    def kind(self, name: str) -> str:
        """The role of the table that a recipe calls `name`."""
        return self.role or (name if name in ROLES else "other")

    def problems(self, name: str) -> str:
        """Say what does not fit the table's role; empty where all does."""
        role_name, role = self.kind(name), ROLES[self.kind(name)]
        strange = [column for column in self.columns if column not in role.columns]
        if strange:
            hint = nearest(strange[0], role.columns) or f" Known: {', '.join(role.columns) or 'none'}."
            return f"columns names {strange[0]!r}, which a table of role {role_name} has not.{hint}"
        lacking = [column for column in role.required if column not in self.columns]
        if lacking:
            return f"a table of role {role_name} must say which columns are {first_few(lacking)}"
        return self._time_problem(role)

    def _time_problem(self, role: Role) -> str:
        if self.time is None and role.time not in self.columns and self.later:
            return "later needs time, the column from which a row is known"
        return ""

    def time_column(self, name: str) -> str | None:
        """The column from which a row is known, None where rows are known from the beginning."""
        return self.time or self.columns.get(ROLES[self.kind(name)].time)

    @property
    def known_from(self) -> dict[str, str]:
        """The date column that says when, by column that is filled in later; date columns are their own."""
        filled = {column: date for date, columns in self.later.items() for column in columns}
        return filled | {date: date for date in self.later}


def _as_condition(value: Any) -> Any:
    if isinstance(value, dict | Condition):
        return value
    return {"one_of": value if isinstance(value, list | tuple) else [value]}


class Condition(Section):
    """What the values of a column must be; all keys that are given must hold.

    Attributes
    ----------
    one_of, not_in : tuple, optional
        Values that it may be, and that it must not be. A missing value is neither.
    at_least, at_most : float, optional
        Bounds, both inclusive.
    known : bool, optional
        Whether there is a value, as known at the snapshot.
    past : bool, optional
        Whether the date lies before the snapshot.
    """

    one_of: Values | None = None
    not_in: Values | None = None
    at_least: float | None = None
    at_most: float | None = None
    known: bool | None = None
    past: bool | None = None


Where = dict[str, Annotated[Condition, BeforeValidator(_as_condition)]]


class MetricSpec(Section):
    """Table ``[metrics.NAME]``: what is known about one column, and how it is made from raw tables.

    The first seven keys describe a metric of any table and may all be left out. The others define one that
    is made from a raw table, as known at the end of the snapshot day.

    Attributes
    ----------
    model : bool
        Whether the model learns from it. One that it does not learn from may be a part of others, such as of
        a ratio, or be carried as ``[data] value``, ``segment`` or ``keep``.
    from_ : str
        Key ``from``: name of the raw table.
    measure : str
        count (rows), sum, mean, min, max, distinct (values), active_days (days with a row), share (of rows
        that meet `where`), slope (per day, of the daily sums or counts in the window), recency (days since
        the last row, or the latest date in `of`), age (days since the first), until (days to the earliest
        date in `of`), latest (value), ratio (`of` divided by `per`, both metrics), difference (`of` minus
        `per`), change (of the metric `of`: ``(now - before) / (|now| + |before|)`` against the window
        before it), growth (``now / before - 1``, missing where there was nothing before) or upsells (days
        on which the recurring value of the running contract terms rose above all that it was in the grace
        period before, while the account was a customer: at a renewal or in mid-term).
    of : str, optional
        Column, or for ratio and change the metric.
    since : str, optional
        Date column: the values are days from `since` to the date in `of`.
    per : str, optional
        Metric below the line of a ratio, or taken away in a difference.
    where : dict of str to Condition
        Which rows count, by their values: ``{priority = ["high", "urgent"]}``, ``{amount = {at_least = 1}}``.
    among : dict of str to Condition
        Of a share: which rows it is a share of.
    active : bool
        Only contract terms that run at the snapshot.
    days : int, optional
        Window: the days up to and including the snapshot. All that is known where it is left out. Of a change
        or growth of a metric without a window: how long ago it is compared with.
    times : float
        What the result is multiplied by, such as 100 for percent; not what an empty window means.
    empty : float or "missing", optional
        What a window without rows means. Without it 0 for count, sum, distinct, active_days, slope and
        upsells, and missing for the others: no ticket is a count of 0, no answer is no opinion.
    """

    group: str = DEFAULT_GROUP
    direction: Literal["higher", "lower", "unknown"] = "unknown"
    kind: Literal["number", "category", "yes/no", "date"] | None = None
    unit: str = ""
    label: str = ""
    required: bool = True
    model: bool = True
    from_: str | None = Field(default=None, alias="from")
    measure: Measure | None = None
    of: str | None = None
    since: str | None = None
    per: str | None = None
    where: Where = Field(default_factory=dict)
    among: Where = Field(default_factory=dict)
    active: bool = False
    days: Days | None = None
    times: float = 1.0
    empty: float | Literal["missing"] | None = None

    @property
    def is_defined(self) -> bool:
        """Whether the metric is made from raw tables by this definition."""
        return self.measure is not None

    @property
    def when_empty(self) -> float | None:
        """The value of an empty window; None for missing."""
        if self.empty is None:
            return 0.0 if self.measure in _ZERO_WHEN_EMPTY else None
        return None if self.empty == "missing" else float(self.empty)

    @model_validator(mode="after")
    def _definition_is_whole(self) -> Self:
        keys = ("from_", "of", "since", "per", "where", "among", "active", "days", "empty")
        given = [key.rstrip("_") for key in keys if getattr(self, key) not in (None, False, {})]
        given += ["times"] if self.times != 1.0 else []
        if self.measure is None:
            if given:
                raise ValueError(f"{given[0]} needs measure, one of {', '.join(MEASURES)}")
            return self
        if self.measure in _OF_METRICS:
            return self._of_metrics()
        if self.from_ is None:
            raise ValueError(f'measure = "{self.measure}" needs from, the name of a raw table')
        return self._of_table()

    def _of_metrics(self) -> Self:
        if self.of is None or self.from_ is not None:
            raise ValueError(f"a {self.measure} needs of, the name of a metric, and no from")
        if (self.measure in _OF_TWO) != (self.per is not None):
            raise ValueError("per, a second metric, belongs to a ratio or a difference and to nothing else")
        return self

    def _of_table(self) -> Self:
        measure = self.measure
        if measure in _NEED_COLUMN and self.of is None:
            raise ValueError(f'measure = "{measure}" needs of, the name of a column')
        if measure in ("active_days", "slope") and self.days is None:
            raise ValueError(f'measure = "{measure}" needs days, its window')
        if measure == "upsells" and (self.where or self.active or self.of is not None):
            raise ValueError("upsells are those of all contract terms: they take from and days, nothing else")
        if measure == "share" and not self.where:
            raise ValueError("a share needs where: which rows are counted")
        if self.among and measure != "share":
            raise ValueError("among belongs to a share; the rows of other measures are chosen by where")
        if self.since is not None and (self.of is None or measure not in ("mean", "min", "max", "sum")):
            raise ValueError("since needs of, and mean, min, max or sum as measure")
        if self.per is not None:
            raise ValueError("per, a second metric, belongs to a ratio or a difference and to nothing else")
        return self


class SnapshotSpec(Section):
    """Table ``[snapshots]``: when accounts are looked at.

    Attributes
    ----------
    kind : {"calendar", "renewal", "undated"}
        On a calendar, with an outcome within the horizon; a lead time before each renewal; or once, where
        outcomes have no dates (they cannot be tested out of time then): at the data cut, or with all rows
        of tables that have no dates either.
    every : {"month", "week", "day"}
        Step of the calendar: month ends, Sundays, or every day.
    first, last : date, optional
        Earliest and latest snapshot; the first contract start and the data cut where they are left out.
    horizon_days, lead_days : int
        Days within which churn counts, and warning days left out before them. Of renewal snapshots, the
        lead is the days before the renewal, and there is no horizon.
    data_cut : date
        The last day that the tables tell about. Nothing after it is used, for metrics or outcomes.
    windows : tuple of int
        Windows of the catalogue's metrics, in days.
    on_invalid : {"raise", "reject"}
        Whether rows that cannot be used stop the work, or are put aside and written beside the result.
    """

    kind: Literal["calendar", "renewal", "undated"] = "calendar"
    every: Literal["month", "week", "day"] = "month"
    first: Day | None = None
    last: Day | None = None
    horizon_days: Days | None = None
    lead_days: Annotated[int, Field(ge=0)] = 0
    data_cut: Day | None = None
    windows: Annotated[tuple[Days, ...], Field(strict=False)] = (30, 90)
    on_invalid: Literal["raise", "reject"] = "raise"
    engine: Literal["duckdb", "spark"] = "duckdb"

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "undated":
            given = [key for key in ("first", "last", "horizon_days") if getattr(self, key)]
            if given:
                raise ValueError(f'{given[0]} makes no sense with kind = "undated"')
            return self
        if self.data_cut is None:
            raise ValueError("data_cut must be given: the last day that the tables tell about")
        if self.kind == "calendar" and self.horizon_days is None:
            raise ValueError("horizon_days must be given: the days within which churn counts")
        if self.kind == "renewal" and self.horizon_days is not None:
            raise ValueError("horizon_days belongs to a calendar; a renewal has its own date")
        return self


class OutcomeSpec(Section):
    """Table ``[outcomes]``: what became of accounts.

    Attributes
    ----------
    from_ : str
        Key ``from``: a table of role contracts (outcomes are derived from consecutive terms), renewals
        (read), cancellations (each row is a churn), or any with a column of outcomes where snapshots are
        undated.
    grace_days : int
        Days after the end of a term within which a next one still counts as its renewal.
    column : str, optional
        Outcome column of an undated table.
    churned, renewed : optional
        The value that means churned, and those that mean renewed; the words themselves where left out.
    compare : dict of str to str
        Other tables and their columns that also say who churned; disagreements are counted.
    """

    from_: str = Field(alias="from")
    grace_days: Annotated[int, Field(ge=0)] = 0
    column: str | None = None
    churned: Value = None
    renewed: Values | None = None
    compare: dict[str, str] = Field(default_factory=dict)
