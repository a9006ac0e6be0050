"""Atoms: the aggregates over raw rows from which metrics are computed.

Every atom passes through the same two steps. First the rows of a table are aggregated to periods: the days
up to a *cut day*, where cut days are the first and last days of all windows of all snapshots. A row counts
for a snapshot exactly when its period does, so that nothing is lost and the raw rows are read once, however
many snapshots there are. Then each snapshot collects the periods that it may know. That join is where the
past is cut: ``known day <= snapshot day``, for the row and for each value that is filled in later.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from chs_ml.raw import sql
from chs_ml.raw.staging import ACCOUNT, DAY

WIDEST = 62
"""Days in the longest period that a window can reach: its days fit into one whole number, a bit each."""


@dataclass(frozen=True)
class Window:
    """The days ``(snapshot - skip - days, snapshot - skip]``; all up to the snapshot without `days`."""

    days: int | None = None
    skip: int = 0

    def holds(self, day: str) -> str:
        """SQL: whether a period is in the window."""
        upper = f"{day} <= s.day - {self.skip}" if self.skip else ""
        lower = f"{day} > s.day - {self.skip + self.days}" if self.days is not None else ""
        return sql.both([lower, upper])

    @property
    def offsets(self) -> set[int]:
        """Days before the snapshot at which the window begins and ends."""
        return {self.skip} | (set() if self.days is None else {self.skip + self.days})


@dataclass(frozen=True)
class Atom:
    """One aggregate.

    Attributes
    ----------
    facts : str
        SQL name of the rows.
    partial : str
        Aggregate over the rows of one period.
    combine : str
        Aggregate over periods, with ``{}`` for the partial one.
    where : tuple of str
        SQL conditions on a row.
    at : tuple of str
        SQL conditions on what is known at the snapshot, over ``b.<key>`` and ``s.day``.
    keys : tuple of str
        Staged day columns that `at` looks at.
    value : str
        Staged column whose values are told apart.
    window : Window
        Which days count.
    offsets : frozenset of int
        Days before the snapshot that `at` compares with.
    """

    facts: str
    partial: str
    combine: str
    where: tuple[str, ...] = ()
    at: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    value: str = ""
    window: Window = Window()
    offsets: frozenset[int] = frozenset()

    @property
    def relation(self) -> "Relation":
        """The aggregated table in which the atom finds its rows."""
        latest = self if self.combine == LATEST else None
        return Relation(self.facts, tuple(sorted(set(self.keys))), self.value, latest)

    @property
    def way(self) -> str:
        """How it is collected: summed up from period to period, or period by period in its window.

        Summed up is what looks at all history, at nothing that changes with time, and at no values.
        """
        if self.window.days is not None:
            return WINDOWED
        changes = self.at or self.value or self.window.skip or self.combine == LATEST
        return WHOLE if changes else RUNNING


LATEST = "latest"
WINDOWED, WHOLE, RUNNING = "w", "h", "s"
"""Beginnings of the names of results, by the way in which they are collected."""


@dataclass(frozen=True)
class Relation:
    """Rows of a table aggregated to account, period, periods of keys, and value."""

    facts: str
    keys: tuple[str, ...]
    value: str
    latest: Atom | None


@dataclass
class Registry:
    """All atoms of a set of metrics, each computed once."""

    relations: dict[Relation, dict[Atom, str]] = field(default_factory=dict)

    def ref(self, atom: Atom) -> str:
        """Register an atom; return the SQL name of its result beside a snapshot."""
        atoms = self.relations.setdefault(atom.relation, {})
        column = atoms.setdefault(atom, f"a{len(atoms)}")
        return f"{self.result(atom)}.{column}"

    def periods(self, relation: Relation) -> str:
        """SQL name of the rows of a relation by period."""
        return f"p{list(self.relations).index(relation)}"

    def result(self, atom: Atom) -> str:
        """SQL name of the results among which an atom's are."""
        return f"{atom.way}{list(self.relations).index(atom.relation)}"

    def parts(self, relation: Relation) -> dict[str, dict[Atom, str]]:
        """Atoms of a relation that are collected together, with their columns, by the name of the results."""
        found: dict[str, dict[Atom, str]] = {}
        for atom, column in self.relations[relation].items():
            found.setdefault(self.result(atom), {})[atom] = column
        return found

    @property
    def results(self) -> list[str]:
        """SQL names of all results."""
        return [name for relation in self.relations for name in self.parts(relation)]

    @property
    def offsets(self) -> set[int]:
        """All days before a snapshot at which something begins or ends."""
        atoms = [atom for relation in self.relations.values() for atom in relation]
        return {0}.union(*(atom.window.offsets | atom.offsets for atom in atoms))


def cut_days(snapshot_days: Iterable[int], offsets: Iterable[int]) -> pd.DataFrame:
    """Periods between cut days: for each day the cut day it counts for, and its bit within the period.

    Parameters
    ----------
    snapshot_days, offsets : iterable of int
        Days of snapshots, and days before them at which windows begin or end.

    Returns
    -------
    DataFrame with columns day, cut, bit
        One row per day from the earliest cut day, which stands for all days before it, to the last
        snapshot.
    """
    cuts = np.unique(np.subtract.outer(np.unique(list(snapshot_days)), np.array(sorted(offsets))))
    cuts = np.union1d(cuts, np.arange(cuts[0], cuts[-1], WIDEST))
    days = np.arange(cuts[0], cuts[-1] + 1)
    cut = cuts[np.searchsorted(cuts, days)]
    return pd.DataFrame({"day": days, "cut": cut, "bit": np.left_shift(np.int64(1), cut - days)})


def partials_of(
    atoms: Iterable[Atom], *, always: Container[str] = ()
) -> tuple[dict[Atom, str], dict[str, str]]:
    """Aggregates over the rows of a period; atoms that differ only in their window share one.

    Parameters
    ----------
    atoms : iterable of Atom
        Of one relation.
    always : container of str
        Conditions that all rows meet, so that they need not be asked for.

    Returns
    -------
    of : dict of Atom to str
        Column of each atom's aggregate.
    columns : dict of str to str
        SQL of each column.
    """
    columns: dict[str, str] = {}
    of = {}
    for atom in atoms:
        partial = sql.aggregate(atom.partial, *(met for met in atom.where if met not in always))
        of[atom] = columns.setdefault(partial, f"x{len(columns)}")
    return of, {column: partial for partial, column in columns.items()}


def period_sql(relation: Relation, columns: Mapping[str, str], *, first_cut: int) -> str:
    """SELECT: rows of a table aggregated to periods.

    Parameters
    ----------
    relation : Relation
        Which rows, and what tells them apart.
    columns : dict of str to str
        From `partials_of`.
    first_cut : int
        The earliest cut day.
    """
    joins = [f"JOIN cuts c ON c.day = {_not_before(first_cut, f'f.{DAY}')}"]
    keys = [f"f.{ACCOUNT} AS {ACCOUNT}", "c.cut AS day"]
    for i, key in enumerate(relation.keys):
        joins.append(f"LEFT JOIN cuts k{i} ON k{i}.day = {_not_before(first_cut, f'f.{sql.name(key)}')}")
        keys.append(f"k{i}.cut AS {sql.name(key)}")
    if relation.value:
        keys.append(f"f.{sql.name(relation.value)} AS v")
    if relation.latest is not None:
        measured = [f"MAX(f.{DAY}) AS last_day"]
    else:
        measured = [_whole(partial, column) for column, partial in columns.items()]
    groups = ", ".join(key.rpartition(" AS ")[0] for key in keys)
    where = sql.both(relation.latest.where) if relation.latest is not None else ""
    return (
        f"SELECT {', '.join([*keys, *measured])} FROM {sql.name(relation.facts)} f {' '.join(joins)}"
        f"{f' WHERE {where}' if where else ''} GROUP BY {groups}"
    )


def _not_before(first: int, day: str) -> str:
    """A day, or the first cut day for all before it; missing stays missing, as GREATEST would not have it."""
    return f"CASE WHEN {day} < {first} THEN {first} ELSE {day} END"


def windows_of(atoms: Iterable[Atom]) -> tuple[Window, ...]:
    """The windows that some atoms are looked at through."""
    return tuple(dict.fromkeys(atom.window for atom in atoms))


def _envelope(windows: tuple[Window, ...]) -> Window:
    """The shortest window that holds all of some."""
    skip = min(window.skip for window in windows)
    if any(window.days is None for window in windows):
        return Window(None, skip)
    return Window(max(window.skip + (window.days or 0) for window in windows) - skip, skip)


def reach_sql(windows: tuple[Window, ...]) -> str:
    """SELECT: which periods each snapshot day may know through any of some windows, and through which."""
    known = sql.both(["c.cut <= s.day", _envelope(windows).holds("c.cut")])
    flags = [f", {window.holds('c.cut') or 'TRUE'} AS w{i}" for i, window in enumerate(windows)]
    return (
        f"SELECT c.cut AS cut, s.day AS day{''.join(flags)} FROM (SELECT DISTINCT cut FROM cuts) c "
        f"JOIN (SELECT DISTINCT day FROM snapshots) s ON {known}"
    )


@dataclass(frozen=True)
class Reach:
    """A table of `reach_sql`, which is quicker where many accounts share few snapshot days.

    Attributes
    ----------
    relation : str
        Its name.
    is_grid : bool
        Whether nearly every account has a snapshot on every day, so that those without need not be left out
        before they are collected.
    """

    relation: str
    is_grid: bool


def snapshot_sql(
    atoms: dict[Atom, str], *, partials: dict[Atom, str], periods: str, reach: Reach | None
) -> str:
    """SELECT: periods collected by the snapshots that may know them.

    Parameters
    ----------
    atoms : dict of Atom to str
        Atoms of one part of a relation, with their columns.
    partials : dict of Atom to str
        From `partials_of` the atoms of the whole relation.
    periods : str
        Name of the relation's rows by period.
    reach : Reach, optional
        Of the windows of the atoms.
    """
    first = next(iter(atoms))
    if first.way == RUNNING:
        return _running_sql(atoms, partials, periods, reach)
    windows = windows_of(atoms)
    known = _known_periods(periods, windows, reach)
    if first.combine == LATEST:
        return _latest_sql(first, known)
    inside = {window: _inside(i, windows, reach) for i, window in enumerate(windows)}
    collected = [
        _whole(_combined(atom, f"b.{partials[atom]}", inside[atom.window]), column)
        for atom, column in atoms.items()
    ]
    return (
        f"SELECT b.{ACCOUNT} AS {ACCOUNT}, s.day AS day, {', '.join(collected)} "
        f"FROM {known} GROUP BY b.{ACCOUNT}, s.day"
    )


def _inside(i: int, windows: tuple[Window, ...], reach: Reach | None) -> str:
    """SQL: whether a period that was collected is in one of the windows."""
    if len(windows) == 1:
        return ""
    return windows[i].holds("b.day") if reach is None else f"s.w{i}"


def _running_sql(atoms: dict[Atom, str], partials: dict[Atom, str], periods: str, reach: Reach | None) -> str:
    """Snapshots stand among the periods of their account; those of their own day count.

    Where snapshot days are few, periods are first collected to the snapshot day that follows.
    """
    day, known = "b.day", f"{periods} b"
    if reach is not None:
        following = f"SELECT cut, MIN(day) AS day FROM {reach.relation} GROUP BY cut"
        day, known = "n.day", f"{known} JOIN ({following}) n ON n.cut = b.day"
    nothing = ", ".join(f"CAST(NULL AS BIGINT) AS {column}" for column in atoms.values())
    collected = ", ".join(
        _whole(atom.combine.format(f"b.{partials[atom]}"), column) for atom, column in atoms.items()
    )
    rows = (
        f"SELECT {ACCOUNT}, day, 1 AS snapshot, {nothing} FROM snapshots UNION ALL "
        f"SELECT b.{ACCOUNT}, {day}, 0 AS snapshot, {collected} FROM {known} GROUP BY b.{ACCOUNT}, {day}"
    )
    past = f"OVER (PARTITION BY {ACCOUNT} ORDER BY day RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
    summed = [_whole(f"{_again(atom, column)} {past}", column) for atom, column in atoms.items()]
    return (
        f"SELECT {ACCOUNT}, day, {', '.join(atoms.values())} FROM "
        f"(SELECT {ACCOUNT}, day, snapshot, {', '.join(summed)} FROM ({rows}) u) q WHERE snapshot = 1"
    )


def _whole(number: str, column: str) -> str:
    """SQL: a column of whole numbers of 8 bytes, where one engine sums up in 16; then both round alike."""
    return f"CAST({number} AS BIGINT) AS {column}"


def _again(atom: Atom, collected: str) -> str:
    """SQL: what was collected from periods, collected once more."""
    call = atom.combine.partition("(")[0]
    return f"{call}({collected})"


def _known_periods(periods: str, windows: tuple[Window, ...], reach: Reach | None) -> str:
    """The cut: a snapshot meets only periods that ended by its day."""
    if reach is None:
        window = _envelope(windows).holds("b.day")
        known = sql.both([f"b.{ACCOUNT} = s.{ACCOUNT}", "b.day <= s.day", window])
        return f"snapshots s JOIN {periods} b ON {known}"
    met = f"{periods} b JOIN {reach.relation} s ON s.cut = b.day"
    if reach.is_grid:
        return met
    return f"{met} JOIN snapshots o ON o.{ACCOUNT} = b.{ACCOUNT} AND o.day = s.day"


def _combined(atom: Atom, partial: str, inside: str) -> str:
    if atom.value:
        return sql.aggregate("COUNT(DISTINCT b.v)", *atom.at, inside, f"{partial} > 0")
    known = sql.both([*atom.at, inside])  # as CASE it is quicker than as FILTER
    return atom.combine.format(f"CASE WHEN {known} THEN {partial} END" if known else partial)


def _latest_sql(atom: Atom, known: str) -> str:
    conditions = sql.both(atom.at)
    ordered = (
        f"SELECT b.{ACCOUNT} AS {ACCOUNT}, s.day AS day, b.v AS a0, ROW_NUMBER() OVER "
        f"(PARTITION BY b.{ACCOUNT}, s.day ORDER BY b.last_day DESC, b.v DESC) AS nth "
        f"FROM {known}{f' WHERE {conditions}' if conditions else ''}"
    )
    return f"SELECT {ACCOUNT}, day, a0 FROM ({ordered}) q WHERE nth = 1"
