"""From a metric's definition to the atoms it needs and the formula over them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chs_ml.errors import RecipeError, nearest
from chs_ml.outcome import plain_text
from chs_ml.raw import sql
from chs_ml.raw.atoms import LATEST, Atom, Registry, Window
from chs_ml.raw.staging import DAY, RawTable

if TYPE_CHECKING:
    from chs_ml.recipe import Condition, MetricSpec

REPLACED = "replaced"
"""Staged column of contract terms: the day from which another term of the product has taken over."""


@dataclass(frozen=True)
class Rows:
    """Which rows of a table count: conditions on the row, and on what is known at the snapshot."""

    where: tuple[str, ...] = ()
    at: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    offsets: frozenset[int] = frozenset()

    def and_(self, other: "Rows") -> "Rows":
        """The rows that are in both."""
        return Rows(
            tuple(dict.fromkeys(self.where + other.where)),
            tuple(dict.fromkeys(self.at + other.at)),
            tuple(dict.fromkeys(self.keys + other.keys)),
            self.offsets | other.offsets,
        )


@dataclass
class Compiler:
    """Compiles metric definitions over opened tables.

    Attributes
    ----------
    tables : dict of str to RawTable
        The opened tables by name; the forms that definitions need are noted in them.
    metrics : dict of str to MetricSpec
        All definitions by name, for those that are made of others.
    registry : Registry
        Collects the atoms.
    """

    tables: Mapping[str, RawTable]
    metrics: Mapping[str, "MetricSpec"]
    registry: Registry = field(default_factory=Registry)

    def formula(self, name: str) -> str:
        """SQL of a metric beside a snapshot."""
        spec = self.metrics[name]
        if spec.measure == "ratio":
            return self._ratio(name, spec)
        if spec.measure == "difference":
            above, below = (self._part(name, part) for part in (spec.of, spec.per))
            return _filled(spec, f"{above} - {below}")
        if spec.measure in ("change", "growth"):
            return self._change(name, spec)
        return self.value(name, spec)

    def value(self, name: str, spec: "MetricSpec", *, skip: int = 0) -> str:
        """SQL of a metric of one table, for the window that ends `skip` days before the snapshot."""
        table = self.tables[str(spec.from_)]
        try:
            return _Measure(self.registry, table, spec, skip).sql()
        except RecipeError as error:
            raise RecipeError(f"[metrics.{name}] {error}") from error

    def _ratio(self, name: str, spec: "MetricSpec") -> str:
        above, below = (self._part(name, part) for part in (spec.of, spec.per))
        return _filled(spec, f"{above} / NULLIF({below}, 0e0)")

    def _change(self, name: str, spec: "MetricSpec") -> str:
        of = self._of(name, spec.of)
        ago = spec.days or of.days
        if ago is None:
            raise RecipeError(f"[metrics.{name}] needs days: how long ago the metric is compared with.")
        now, before = (self.value(name, of, skip=skip) for skip in (0, ago))
        if spec.measure == "growth":
            return _filled(spec, f"{now} / NULLIF({before}, 0e0) - 1e0")
        return _filled(spec, f"({now} - {before}) / NULLIF(ABS({now}) + ABS({before}), 0e0)")

    def _part(self, name: str, part: str | None) -> str:
        return self.value(name, self._of(name, part))

    def _of(self, name: str, part: str | None) -> "MetricSpec":
        of = self.metrics.get(str(part))
        if of is None or not of.is_defined or of.from_ is None or of.measure == LATEST:
            hint = nearest(str(part), [other for other in self.metrics if other != name])
            raise RecipeError(
                f"[metrics.{name}] is made of {part!r}, which must be a metric that counts or measures rows "
                f"of a raw table.{hint}"
            )
        return of


@dataclass(frozen=True)
class _Measure:
    registry: Registry
    table: RawTable
    spec: "MetricSpec"
    skip: int

    def sql(self) -> str:
        number = getattr(self, f"_{self.spec.measure}")
        formula: str = number()
        return formula

    # --- rows ---

    def _rows(self, extra: "Mapping[str, Condition] | None" = None) -> Rows:
        rows = Rows()
        for column, condition in (self.spec.where if extra is None else extra).items():
            rows = rows.and_(_condition_rows(self.table, column, condition))
        if self.spec.active:
            rows = rows.and_(running(self.table, ago=self.skip))
        return rows

    def _known(self, *columns: str) -> Rows:
        rows = Rows()
        for column in columns:
            if self.table.is_later(column):
                key = self.table.known(column)
                rows = rows.and_(Rows(at=(f"b.{sql.name(key)} <= s.day",), keys=(key,)))
        return rows

    def _atom(self, partial: str, combine: str, rows: Rows, *, value: str = "", facts: str = "") -> Atom:
        window = Window(self.spec.days, 0 if self.spec.active else self.skip)
        return Atom(
            facts=facts or self.table.facts,
            partial=partial,
            combine=combine,
            where=rows.where,
            at=rows.at,
            keys=rows.keys,
            value=value,
            window=window,
            offsets=rows.offsets,
        )

    def _counted(self, rows: Rows) -> str:
        return f"COALESCE({self.registry.ref(self._atom('COUNT(*)', 'SUM({})', rows))}, 0)"

    def _unless_empty(self, rows: Rows, formula: str) -> str:
        empty = _number(self.spec.when_empty)
        return f"CASE WHEN {self._counted(rows)} > 0 THEN {_times(self.spec, formula)} ELSE {empty} END"

    # --- values of rows ---

    def _of(self) -> tuple[str, str, Rows]:
        """SQL of the summed whole number, what one unit of it is worth, and the rows that have it."""
        of, since, table = str(self.spec.of), self.spec.since, self.table
        if since is not None:
            whole = f"(f.{sql.name(table.day(of))} - f.{sql.name(table.day(since))})"
            rows = self._rows().and_(self._known(of, since))
            return whole, "1e0", rows.and_(Rows(where=(sql.is_filled(whole),)))
        value = f"f.{sql.name(table.number(of))}"
        rows = self._rows().and_(self._known(of)).and_(Rows(where=(sql.is_filled(value),)))
        if table.is_whole(of):
            return f"CAST({value} AS BIGINT)", "1e0", rows
        return sql.millionths(value), f"{sql.UNIT}e0", rows

    def _total(self, whole: str, unit: str, rows: Rows) -> str:
        summed = self.registry.ref(self._atom(f"SUM({whole})", "SUM({})", rows))
        return f"CAST({summed} AS DOUBLE) / {unit}"

    # --- measures ---

    def _count(self) -> str:
        rows = self._rows()
        return self._unless_empty(rows, f"CAST({self._counted(rows)} AS DOUBLE)")

    def _sum(self) -> str:
        whole, unit, rows = self._of()
        return self._unless_empty(rows, self._total(whole, unit, rows))

    def _mean(self) -> str:
        whole, unit, rows = self._of()
        mean = f"({self._total(whole, unit, rows)}) / CAST({self._counted(rows)} AS DOUBLE)"
        return self._unless_empty(rows, mean)

    def _min(self) -> str:
        return self._extreme("MIN")

    def _max(self) -> str:
        return self._extreme("MAX")

    def _extreme(self, call: str) -> str:
        whole, unit, rows = self._of()
        found = self.registry.ref(self._atom(f"{call}({whole})", f"{call}({{}})", rows))
        return self._unless_empty(rows, f"CAST({found} AS DOUBLE) / {unit}")

    def _distinct(self) -> str:
        of = str(self.spec.of)
        value = self.table.words(of)
        rows = self._rows().and_(self._known(of)).and_(Rows(where=(sql.is_filled(f"f.{sql.name(value)}"),)))
        found = self.registry.ref(self._atom("COUNT(*)", "COUNT", rows, value=value))
        counted, empty = _times(self.spec, f"CAST({found} AS DOUBLE)"), _number(self.spec.when_empty)
        return f"CASE WHEN COALESCE({found}, 0) > 0 THEN {counted} ELSE {empty} END"

    def _active_days(self) -> str:
        rows = self._rows()
        found = self.registry.ref(self._atom("BIT_OR(c.bit)", "SUM(BIT_COUNT({}))", rows))
        return self._unless_empty(rows, f"CAST({found} AS DOUBLE)")

    def _share(self) -> str:
        among = self._rows(self.spec.among)
        counted = among.and_(self._rows())
        share = f"CAST({self._counted(counted)} AS DOUBLE) / CAST({self._counted(among)} AS DOUBLE)"
        return self._unless_empty(among, share)

    def _slope(self) -> str:
        """Least squares over the days of the window, days without rows being 0.

        With days numbered from the middle of the window, ``sum(y t) / sum(t^2)``. In whole numbers until the
        division: twice the day, minus twice the middle.
        """
        days = int(self.spec.days or 0)
        if self.spec.of is None:
            whole, unit, rows = "CAST(1 AS BIGINT)", "1e0", self._rows()
        else:
            whole, unit, rows = self._of()
        total = self.registry.ref(self._atom(f"SUM({whole})", "SUM({})", rows))
        dated = self.registry.ref(self._atom(f"SUM({whole} * (f.{DAY} - {_EPOCH}))", "SUM({})", rows))
        middle = f"(2 * (s.day - {self.skip} - {_EPOCH}) - {days - 1})"
        above = f"CAST(2 * {dated} - {middle} * {total} AS DOUBLE) / 2e0 / {unit}"
        below = sum((day - (days - 1) / 2) ** 2 for day in range(days))
        return self._unless_empty(rows, f"({above}) / {below}e0" if below else "0e0")

    def _recency(self) -> str:
        return self._elapsed("MAX")

    def _age(self) -> str:
        return self._elapsed("MIN")

    def _until(self) -> str:
        found, rows = self._dated("MIN")
        return self._unless_empty(rows, f"CAST({found} - s.day AS DOUBLE)")

    def _elapsed(self, call: str) -> str:
        found, rows = self._dated(call)
        return self._unless_empty(rows, f"CAST(s.day - {self.skip} - {found} AS DOUBLE)")

    def _dated(self, call: str) -> tuple[str, Rows]:
        rows, day = self._rows(), f"f.{DAY}"
        if self.spec.of is not None:
            day = f"f.{sql.name(self.table.day(self.spec.of))}"
            rows = rows.and_(self._known(self.spec.of)).and_(Rows(where=(sql.is_filled(day),)))
        return self.registry.ref(self._atom(f"{call}({day})", f"{call}({{}})", rows)), rows

    def _latest(self) -> str:
        of, table = str(self.spec.of), self.table
        is_number = table.is_number(of) or self.spec.kind == "number"
        value = table.number(of) if is_number else table.words(of)
        rows = self._rows().and_(self._known(of)).and_(Rows(where=(sql.is_filled(f"f.{sql.name(value)}"),)))
        found = self.registry.ref(self._atom(f"MAX(f.{DAY})", LATEST, rows, value=value))
        if not is_number and self.spec.times != 1.0:
            raise RecipeError(f'multiplies {of!r}, which is no number; set kind = "number" if it is one.')
        return _filled(self.spec, found) if is_number else found

    def _upsells(self) -> str:
        found = self.registry.ref(self._atom("COUNT(*)", "SUM({})", Rows(), facts=self.table.rises()))
        counted, empty = _times(self.spec, f"CAST({found} AS DOUBLE)"), _number(self.spec.when_empty)
        return f"CASE WHEN COALESCE({found}, 0) > 0 THEN {counted} ELSE {empty} END"


_EPOCH = 18_000


def _number(value: float | None) -> str:
    return "CAST(NULL AS DOUBLE)" if value is None else f"CAST({value!r} AS DOUBLE)"


def _times(spec: "MetricSpec", formula: str) -> str:
    return formula if spec.times == 1.0 else f"({formula}) * {_number(spec.times)}"


def _filled(spec: "MetricSpec", formula: str) -> str:
    return f"COALESCE({_times(spec, formula)}, {_number(spec.when_empty)})"


def running(table: RawTable, *, ago: int = 0) -> Rows:
    """Contract terms that run at the end of a day, so many days before the snapshot, as known at it.

    A term runs from its start to the day before its end, or until another term of the same product takes
    over. An end that is not yet known is none.
    """
    start = table.day(str(table.standard("start")))
    at, keys = [f"b.{sql.name(start)} <= s.day - {ago}"], [start]
    end = table.standard("end")
    if end is not None:
        column = table.day(end)
        unknown = ""
        keys.append(column)
        if table.is_later(end) and table.spec.known_from[end] != end:
            known = table.known(end)
            keys.append(known)
            unknown = f" OR b.{sql.name(known)} IS NULL OR b.{sql.name(known)} > s.day"
        at.append(f"(b.{sql.name(column)} IS NULL OR b.{sql.name(column)} > s.day - {ago}{unknown})")
    at.append(f"(b.{REPLACED} IS NULL OR b.{REPLACED} > s.day - {ago})")
    return Rows(at=tuple(at), keys=(*keys, REPLACED), offsets=frozenset({0, ago}))


def _condition_rows(table: RawTable, column: str, condition: "Condition") -> Rows:
    where = list(_value_conditions(table, column, condition))
    at, keys, offsets = [], [], set()
    if table.is_later(column):
        key = table.known(column)
        keys.append(key)
        unknown = condition.known is False
        at.append(
            f"(b.{sql.name(key)} IS NULL OR b.{sql.name(key)} > s.day)"
            if unknown
            else f"b.{sql.name(key)} <= s.day"
        )
    elif condition.known is not None:
        where.append(f"f.{sql.name(table.words(column))} IS {'NOT ' if condition.known else ''}NULL")
    if condition.past is not None:
        key = table.day(column)
        keys.append(key)
        offsets.add(1)
        past = f"b.{sql.name(key)} <= s.day - 1"
        at.append(past if condition.past else f"(b.{sql.name(key)} IS NULL OR NOT {past})")
    return Rows(tuple(where), tuple(at), tuple(keys), frozenset(offsets))


def _value_conditions(table: RawTable, column: str, condition: "Condition") -> Iterator[str]:
    if condition.one_of is not None:
        yield f"({' OR '.join(_is(table, column, value) for value in condition.one_of)})"
    if condition.not_in is not None:
        yield sql.is_filled(f"f.{sql.name(table.words(column))}")
        yield from (f"NOT COALESCE({_is(table, column, value)}, FALSE)" for value in condition.not_in)
    for bound, sign in ((condition.at_least, ">="), (condition.at_most, "<=")):
        if bound is not None:
            yield f"f.{sql.name(table.number(column))} {sign} {_number(bound)}"


def _is(table: RawTable, column: str, value: object) -> str:
    if isinstance(value, bool):
        return f"f.{sql.name(table.flag(column))} = {float(value)!r}"
    if isinstance(value, int | float):
        return f"f.{sql.name(table.number(column))} = {_number(float(value))}"
    return f"f.{sql.name(table.words(column))} = {sql.text(plain_text(value))}"
