"""Atoms: the aggregates over raw rows from which metrics are computed.

Every atom passes through the same two steps. First the rows of a table are aggregated to periods: the days
up to a *cut day*, where cut days are the first and last days of all windows of all snapshots. A row counts
for a snapshot exactly when its period does, so that nothing is lost and the raw rows are read once, however
many snapshots there are. Then each snapshot collects the periods that it may know. That join is where the
past is cut: ``known day <= snapshot day``, for the row and for each value that is filled in later.
"""

from collections.abc import Iterable
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
    where : str
        SQL condition on a row.
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
    where: str = ""
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


LATEST = "latest"


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
        return f"{self.result(atom.relation, atom.window)}.{column}"

    def periods(self, relation: Relation) -> str:
        """SQL name of the rows of a relation by period."""
        return f"p{list(self.relations).index(relation)}"

    def result(self, relation: Relation, window: Window) -> str:
        """SQL name of the results of a relation in one window."""
        position = list(self.relations).index(relation)
        return f"r{position}w{self.windows(relation).index(window)}"

    def windows(self, relation: Relation) -> list[Window]:
        """The windows that a relation is looked at through."""
        return list(dict.fromkeys(atom.window for atom in self.relations[relation]))

    @property
    def results(self) -> list[str]:
        """SQL names of all results."""
        return [
            self.result(relation, window) for relation in self.relations for window in self.windows(relation)
        ]

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


def period_sql(relation: Relation, atoms: dict[Atom, str], *, first_cut: int) -> str:
    """SELECT: rows of a table aggregated to periods."""
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
        measured = [
            f"{sql.aggregate(atom.partial, atom.where)} AS p_{column}" for atom, column in atoms.items()
        ]
    groups = ", ".join(key.rpartition(" AS ")[0] for key in keys)
    where = relation.latest.where if relation.latest is not None else ""
    return (
        f"SELECT {', '.join([*keys, *measured])} FROM {sql.name(relation.facts)} f {' '.join(joins)}"
        f"{f' WHERE {where}' if where else ''} GROUP BY {groups}"
    )


def _not_before(first: int, day: str) -> str:
    """A day, or the first cut day for all before it; missing stays missing, as GREATEST would not have it."""
    return f"CASE WHEN {day} < {first} THEN {first} ELSE {day} END"


def reach_sql(window: Window) -> str:
    """SELECT: which periods each snapshot day may know through a window."""
    known = sql.both(["c.cut <= s.day", window.holds("c.cut")])
    return (
        f"SELECT c.cut AS cut, s.day AS day FROM (SELECT DISTINCT cut FROM cuts) c "
        f"JOIN (SELECT DISTINCT day FROM snapshots) s ON {known}"
    )


def snapshot_sql(atoms: dict[Atom, str], *, periods: str, reach: str | None) -> str:
    """SELECT: periods collected by the snapshots that may know them.

    Parameters
    ----------
    atoms : dict of Atom to str
        Atoms of one relation and one window, with their columns.
    periods : str
        Name of the relation's rows by period.
    reach : str, optional
        Name of the table of `reach_sql`, which is quicker where many accounts share few snapshot days.
    """
    first = next(iter(atoms))
    known = _known_periods(periods, first.window, reach)
    if first.combine == LATEST:
        return _latest_sql(first, known)
    collected = [f"{_combined(atom, column)} AS {column}" for atom, column in atoms.items()]
    return (
        f"SELECT s.{ACCOUNT} AS {ACCOUNT}, s.day AS day, {', '.join(collected)} "
        f"FROM {known} GROUP BY s.{ACCOUNT}, s.day"
    )


def _known_periods(periods: str, window: Window, reach: str | None) -> str:
    """The cut: a snapshot meets only periods that ended by its day."""
    if reach is not None:
        return (
            f"{periods} b JOIN {reach} w ON w.cut = b.day "
            f"JOIN snapshots s ON s.{ACCOUNT} = b.{ACCOUNT} AND s.day = w.day"
        )
    known = sql.both([f"b.{ACCOUNT} = s.{ACCOUNT}", "b.day <= s.day", window.holds("b.day")])
    return f"snapshots s JOIN {periods} b ON {known}"


def _combined(atom: Atom, column: str) -> str:
    if atom.value:
        return sql.aggregate("COUNT(DISTINCT b.v)", *atom.at, f"b.p_{column} > 0")
    return sql.aggregate(atom.combine.format(f"b.p_{column}"), *atom.at)


def _latest_sql(atom: Atom, known: str) -> str:
    conditions = sql.both(atom.at)
    ordered = (
        f"SELECT s.{ACCOUNT} AS {ACCOUNT}, s.day AS day, b.v AS a0, ROW_NUMBER() OVER "
        f"(PARTITION BY s.{ACCOUNT}, s.day ORDER BY b.last_day DESC, b.v DESC) AS nth "
        f"FROM {known}{f' WHERE {conditions}' if conditions else ''}"
    )
    return f"SELECT {ACCOUNT}, day, a0 FROM ({ordered}) q WHERE nth = 1"
