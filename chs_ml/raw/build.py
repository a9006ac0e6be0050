"""From raw tables to the snapshot table, in the order in which data travels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from chs_ml.errors import TableError
from chs_ml.findings import Finding, error, raise_errors, warning
from chs_ml.outcome import Outcome, plain_text
from chs_ml.raw import sql
from chs_ml.raw.atoms import (
    Atom,
    Reach,
    Registry,
    Window,
    cut_days,
    partials_of,
    period_sql,
    reach_sql,
    snapshot_sql,
    windows_of,
)
from chs_ml.raw.beside import check_beside_outcome
from chs_ml.raw.catalogue import catalogue
from chs_ml.raw.contracts import (
    day_number,
    due_from_cancellations_sql,
    due_from_renewals_sql,
    due_from_terms_sql,
    outcome_sql,
    terms_sql,
)
from chs_ml.raw.definitions import Compiler
from chs_ml.raw.engine import Engine
from chs_ml.raw.snapshots import (
    before_renewals_sql,
    calendar,
    calendar_outcomes_sql,
    customers_sql,
    renewal_outcomes_sql,
)
from chs_ml.raw.staging import ACCOUNT, RawTable
from chs_ml.raw.table_checks import TableChecks, check_labels
from chs_ml.raw.tables import contracts_of, make_facts, open_tables
from chs_ml.table import write_table

if TYPE_CHECKING:
    from chs_ml.recipe import OutcomeSpec, Recipe, SnapshotSpec

SNAPSHOT_DATE = "snapshot_date"
OUTCOME = "outcome"
EPOCH = date(1970, 1, 1)
SOON = 60
Reaches = dict[tuple[Window, ...], Reach]
FULL = 0.5
"""Share of accounts and days with a snapshot from which on all are collected, and those without dropped."""
MANY_DAYS = 60
"""Snapshot days beyond which accounts no longer share them: then each account meets its own periods only."""


@dataclass(frozen=True, eq=False)
class SnapshotTable:
    """The metrics and outcomes of accounts at points in time.

    Attributes
    ----------
    frame : DataFrame
        One row per account and snapshot, sorted by date and account: account_id, snapshot_date (where
        snapshots are dated), a column per metric, and outcome.
    findings : tuple of Finding
        What the checks of the raw tables said.
    renewals : dict of str to int
        How many due dates renewed, churned, contracted, or are open at the data cut.
    rejected : dict of str to DataFrame
        Rows put aside, by raw table, with the reason in ``rejected_because``.
    """

    frame: pd.DataFrame
    findings: tuple[Finding, ...] = ()
    renewals: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, pd.DataFrame] = field(default_factory=dict)

    def write(self, path: str | Path) -> list[Path]:
        """Write the table, and beside it the rejected rows of each raw table; return the files."""
        target = Path(path)
        files = [target]
        write_table(self.frame, target)
        for name, rows in self.rejected.items():
            files.append(target.with_name(f"{target.name.split('.')[0]}.rejected.{name}.csv"))
            write_table(rows, files[-1])
        return files


def with_catalogue(recipe: "Recipe") -> "Recipe":
    """Return the recipe with the standard metrics of its raw tables."""
    return recipe.with_metrics(catalogue(recipe)) if recipe.tables else recipe


def build_snapshots(recipe: "Recipe", *, engine: Engine | None = None) -> SnapshotTable:
    """Build the snapshot table of a recipe with raw tables.

    Parameters
    ----------
    recipe : Recipe
        With ``[tables]``, ``[snapshots]`` and ``[outcomes]``.
    engine : Engine, optional
        Used instead of the one that ``[snapshots] engine`` names.

    Returns
    -------
    SnapshotTable
        The same on every engine, whatever the order of rows.

    Raises
    ------
    TableError
        Where a table cannot be read or a check finds an error; all errors are named.
    """
    table = examine_tables(recipe, engine=engine)
    raise_errors(table.findings)
    return table


def snapshots_of(
    recipe: "Recipe", frame: pd.DataFrame | None = None
) -> tuple["Recipe", pd.DataFrame | None, tuple[Finding, ...]]:
    """Return what the checks of a single table go on with.

    Parameters
    ----------
    recipe : Recipe
        With ``[tables]``.
    frame : DataFrame, optional
        A snapshot table that was built before; used instead of building it.

    Returns
    -------
    recipe : Recipe
        With the standard metrics of its tables.
    frame : DataFrame or None
        The snapshot table; None where a check of the raw tables found an error.
    findings : tuple of Finding
        What the checks of the raw tables said.
    """
    if frame is not None:
        return _as_table_of_metrics(recipe), frame, ()
    table = examine_tables(recipe)
    failed = any(finding.severity == "error" for finding in table.findings)
    return _as_table_of_metrics(recipe), None if failed else table.frame, table.findings


def _as_table_of_metrics(recipe: "Recipe") -> "Recipe":
    """The recipe for the table as it was made: metrics that were left out are no columns to be ignored."""
    standard = catalogue(recipe)
    ignored = tuple(name for name in recipe.data.ignore if name not in standard)
    data = recipe.data.model_copy(update={"ignore": ignored})
    return with_catalogue(recipe).model_copy(update={"data": data})


def examine_tables(recipe: "Recipe", *, engine: Engine | None = None) -> SnapshotTable:
    """Do as `build_snapshots`, but return errors as findings; then the frame is empty."""
    if recipe.snapshots is None or recipe.outcomes is None:
        raise TableError("The recipe names no raw tables: it needs [tables], [snapshots] and [outcomes].")
    with engine or _engine(recipe.snapshots) as opened:
        return _Build(with_catalogue(recipe), opened, recipe.snapshots, recipe.outcomes).run()


def _engine(spec: "SnapshotSpec") -> Engine:
    if spec.engine == "spark":
        from chs_ml.raw.spark_engine import SparkEngine

        return SparkEngine()
    from chs_ml.raw.duckdb_engine import DuckDBEngine

    return DuckDBEngine()


@dataclass
class _Build:
    recipe: "Recipe"
    engine: Engine
    spec: "SnapshotSpec"
    outcomes: "OutcomeSpec"
    tables: dict[str, RawTable] = field(default_factory=dict)

    def run(self) -> SnapshotTable:
        self.tables = open_tables(self.recipe, self.engine)
        compiler = Compiler(self.tables, self.recipe.metrics)
        formulas = {n: compiler.formula(n) for n, spec in self.recipe.metrics.items() if spec.is_defined}
        self._note_forms()
        checks = self._checked()
        if any(finding.severity == "error" for finding in checks.findings):
            return SnapshotTable(pd.DataFrame(), tuple(checks.findings), {}, checks.rejected)
        counts = self._make_outcomes(checks)
        frame = self._metrics(compiler.registry, formulas, checks)
        return SnapshotTable(frame, tuple(checks.findings), counts, checks.rejected)

    @property
    def cut(self) -> int | None:
        return None if self.spec.data_cut is None else day_number(self.spec.data_cut)

    # --- tables ---

    def _note_forms(self) -> None:
        """Have the columns staged that outcomes and checks look at."""
        for table in self.tables.values():
            for date_column in table.spec.later:
                table.known(date_column)
            if table.role == "contracts":
                self._note_contract(table)
            if table.role == "renewals":
                table.day(str(table.standard("due")))
                table.words(str(table.standard("outcome")))
                _ = [table.number(column) for key in ("mrr", "mrr_next") if (column := table.standard(key))]
        if self.outcomes.column is not None:
            self.tables[self.outcomes.from_].words(self.outcomes.column)
        for name, column in self.outcomes.compare.items():
            self.tables[name].words(column)

    def _note_contract(self, table: RawTable) -> None:
        table.day(str(table.standard("start")))
        end, product, mrr = (table.standard(key) for key in ("end", "product", "mrr"))
        if end is not None:
            table.day(end)
            if table.is_later(end):
                table.known(end)
        if product is not None:
            table.words(product)
        if mrr is not None:
            table.number(mrr)

    def _checked(self) -> TableChecks:
        checks = TableChecks(self.tables, self.engine, self.cut, self.spec.on_invalid)
        for table in self.tables.values():
            checks.check_rows(table)
        if any(finding.severity == "error" for finding in checks.findings):
            return checks
        for table in self.tables.values():
            repeated = table.name in checks.repeated
            make_facts(table, self.tables, self.engine, grace=self.outcomes.grace_days, one_per_id=repeated)
        for table in self.tables.values():
            checks.check_beside(table)
            checks.check_later_dates(table)
            checks.check_renewals(table, self.outcomes)
        return checks

    # --- outcomes and snapshots ---

    def _make_outcomes(self, checks: TableChecks) -> dict[str, int]:
        if self.cut is None or self.spec.kind == "undated":
            self._undated(self.tables[self.outcomes.from_], checks)
            return {}
        grace = self.outcomes.grace_days
        self.engine.keep("due", self._due_sql(self.cut))
        if self.spec.kind == "renewal":
            self.engine.keep("snapshots", before_renewals_sql(self._contracts, self.spec))
            self.engine.keep("outcomes", renewal_outcomes_sql(self.spec, grace=grace))
        else:
            self.engine.load("calendar", pd.DataFrame({"day": self._days()}))
            self.engine.keep("snapshots", customers_sql(self._contracts))
            self.engine.keep("outcomes", calendar_outcomes_sql(self.spec, grace=grace))
        checks.findings += self._returns()
        checks.findings += check_labels(self.engine, self._ever_churned("due"), self.outcomes.from_)
        counted = self.engine.frame("SELECT outcome, COUNT(*) AS n FROM due GROUP BY outcome")
        found = dict(zip(counted["outcome"], map(int, counted["n"]), strict=True))
        return {str(outcome): found.get(str(outcome), 0) for outcome in Outcome}

    @property
    def _contracts(self) -> RawTable:
        contracts = contracts_of(self.tables)
        if contracts is None:
            raise TableError(
                "Dated snapshots need a table of role contracts: who is a customer on which day."
            )
        return contracts

    def _due_sql(self, cut: int) -> str:
        table = self.tables[self.outcomes.from_]
        if table.role == "renewals":
            return due_from_renewals_sql(table, self.outcomes, cut=cut)
        if table.role == "cancellations":
            return due_from_cancellations_sql(table, cut=cut)
        self.engine.keep("terms", terms_sql(table, cut=cut))
        return due_from_terms_sql("terms", cut=cut, grace=self.outcomes.grace_days)

    def _days(self) -> list[int]:
        start = sql.name(self._contracts.day(str(self._contracts.standard("start"))))
        first = self.engine.frame(f"SELECT MIN({start}) AS day FROM {sql.name(self._contracts.facts)}")[
            "day"
        ].iloc[0]
        days = calendar(self.spec, first=EPOCH + timedelta(days=int(first)))
        if not days:
            raise TableError("The calendar of [snapshots] has no day between its first day and the data cut.")
        return days

    def _undated(self, table: RawTable, checks: TableChecks) -> None:
        word = outcome_sql(table, self.outcomes)
        self.engine.keep(
            "outcomes",
            f"SELECT f.{ACCOUNT} AS {ACCOUNT}, CAST({self.cut or 0} AS BIGINT) AS day, "
            f"MAX({word}) AS outcome FROM {sql.name(table.facts)} f GROUP BY f.{ACCOUNT}",
        )
        self.engine.keep("snapshots", f"SELECT {ACCOUNT}, day FROM outcomes")
        checks.findings += check_beside_outcome(self.engine, table, self.outcomes)
        checks.findings += check_labels(self.engine, self._ever_churned("outcomes"), self.outcomes.from_)

    def _returns(self) -> list[Finding]:
        soon = f"outcome = '{Outcome.CHURNED}' AND returned <= due + {self.outcomes.grace_days + SOON}"
        count = int(self.engine.frame(f"SELECT COUNT(*) AS n FROM due WHERE {soon}")["n"].iloc[0])
        if not count:
            return []
        text = (
            f"{count:,} churns are followed by a new contract term within {SOON} days of the grace period "
            f"({self.outcomes.grace_days} days). If these are late renewals, lengthen [outcomes] grace_days."
        )
        return [warning("soon-back", self.outcomes.from_, text, count=count)]

    def _ever_churned(self, told: str) -> dict[str, str]:
        if not self.outcomes.compare:
            return {}
        churned = f"MAX(CASE WHEN outcome = '{Outcome.CHURNED}' THEN 1 ELSE 0 END) AS churned"
        found = {self.outcomes.from_: f"SELECT {ACCOUNT}, {churned} FROM {told} GROUP BY {ACCOUNT}"}
        for name, column in self.outcomes.compare.items():
            word = f"LOWER(f.{sql.name(self.tables[name].words(column))})"
            yes = ["churned", "1", "true", "yes"]
            yes += [] if self.outcomes.churned is None else [plain_text(self.outcomes.churned).lower()]
            listed = ", ".join(sql.text(value) for value in yes)
            if self.tables[name].role == "cancellations":  # each row is a churn, whatever the column says
                word, listed = "'1'", "'1'"
            found[f"{name}.{column}"] = (
                f"SELECT f.{ACCOUNT} AS {ACCOUNT}, "
                f"MAX(CASE WHEN {word} IN ({listed}) THEN 1 ELSE 0 END) AS churned "
                f"FROM {sql.name(self.tables[name].facts)} f GROUP BY f.{ACCOUNT}"
            )
        return found

    # --- metrics ---

    def _metrics(self, registry: Registry, formulas: Mapping[str, str], checks: TableChecks) -> pd.DataFrame:
        days = self.engine.frame("SELECT DISTINCT day FROM snapshots")["day"].astype("int64").tolist()
        if not days:
            checks.findings.append(error("no-snapshots", "", "There must be snapshots; no account has one."))
            return pd.DataFrame()
        cuts = cut_days(days, registry.offsets)
        self.engine.load("cuts", cuts)
        reaches: Reaches = {}
        is_grid = self._is_grid(len(days))
        for relation, atoms in registry.relations.items():
            periods, first_cut = registry.periods(relation), int(cuts["day"].iloc[0])
            partials, columns = partials_of(atoms, always=self._always(relation.facts))
            self.engine.keep(periods, period_sql(relation, columns, first_cut=first_cut))
            for result, part in registry.parts(relation).items():
                reach = self._reach(part, reaches, is_grid=is_grid) if len(days) <= MANY_DAYS else None
                select = snapshot_sql(part, partials=partials, periods=periods, reach=reach)
                self.engine.keep(result, select)
        return _finished(
            self.engine.frame(_collected_sql(registry, formulas)), dated=self.spec.kind != "undated"
        )

    def _always(self, facts: str) -> set[str]:
        """Conditions that all rows of some facts meet."""
        filled = [name for table in self.tables.values() if table.facts == facts for name in table.filled]
        return {sql.is_filled(f"f.{sql.name(name)}") for name in filled}

    def _is_grid(self, days: int) -> bool:
        counted = f"SELECT COUNT(*) AS n, COUNT(DISTINCT {ACCOUNT}) AS accounts FROM snapshots"
        found = self.engine.frame(counted).iloc[0]
        return bool(found["n"] >= FULL * found["accounts"] * days)

    def _reach(self, atoms: Mapping[Atom, str], made: Reaches, *, is_grid: bool) -> Reach | None:
        windows = windows_of(atoms)
        if windows not in made:
            made[windows] = Reach(f"reach{len(made)}", is_grid)
            self.engine.keep(made[windows].relation, reach_sql(windows))
        return made[windows]


def _collected_sql(registry: Registry, formulas: Mapping[str, str]) -> str:
    columns = [f"{formula} AS {sql.name(name)}" for name, formula in formulas.items()]
    joins = [f"JOIN outcomes o ON o.{ACCOUNT} = s.{ACCOUNT} AND o.day = s.day"]
    for alias in registry.results:
        joins.append(f"LEFT JOIN {alias} ON {alias}.{ACCOUNT} = s.{ACCOUNT} AND {alias}.day = s.day")
    listed = ", ".join(
        [f"s.{ACCOUNT} AS {ACCOUNT}", f"s.day AS {SNAPSHOT_DATE}", *columns, f"o.outcome AS {OUTCOME}"]
    )
    return f"SELECT {listed} FROM snapshots s {' '.join(joins)} ORDER BY s.day, s.{ACCOUNT}"


def _finished(frame: pd.DataFrame, *, dated: bool) -> pd.DataFrame:
    # an engine that fetched nothing but blanks does not know that they are texts
    frame = frame.astype({name: "str" for name in frame.columns if pd.api.types.is_object_dtype(frame[name])})
    account = frame[ACCOUNT].astype("str")
    if not dated:
        return frame.drop(columns=SNAPSHOT_DATE).assign(account_id=account)
    days = pd.to_datetime(frame[SNAPSHOT_DATE].astype("int64"), unit="D").astype("datetime64[us]")
    return frame.assign(account_id=account, snapshot_date=days)
