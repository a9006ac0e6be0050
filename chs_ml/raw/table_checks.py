"""Checks on reading raw tables: counted, with the first keys, per table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chs_ml.errors import first_few
from chs_ml.findings import Finding, error, warning
from chs_ml.outcome import Outcome
from chs_ml.raw import sql
from chs_ml.raw.contracts import outcome_sql
from chs_ml.raw.engine import Engine
from chs_ml.raw.staging import ACCOUNT, DAY, RawTable, blank_sql
from chs_ml.raw.tables import LINKED, accounts_are_whole, contracts_of, staged_sql

if TYPE_CHECKING:
    import pandas as pd

    from chs_ml.recipe import OutcomeSpec

NO_DAY = "CAST(NULL AS BIGINT)"


@dataclass
class TableChecks:
    """Checks the tables of a recipe one after the other.

    Attributes
    ----------
    tables : dict of str to RawTable
        The opened tables.
    engine : Engine
        Where they are open.
    cut : int or None
        Last day that the tables tell about; None where there are no dates.
    on_invalid : {"raise", "reject"}
        Whether rows that cannot be used are errors.
    findings : list of Finding
        What was found so far.
    rejected : dict of str to DataFrame
        Rows put aside, by table, as read, with a column ``rejected_because``.
    repeated : set of str
        Tables in which an id stands in several rows.
    rows : dict of str to int
        How many there are, by table.
    """

    tables: Mapping[str, RawTable]
    engine: Engine
    cut: int | None
    on_invalid: str
    findings: list[Finding] = field(default_factory=list)
    rejected: dict[str, "pd.DataFrame"] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)
    rows: dict[str, int] = field(default_factory=dict)

    def check_rows(self, table: RawTable) -> None:
        """Find rows without account or date, ids that stand there twice, values that are no numbers."""
        whole = accounts_are_whole(self.tables)
        staged = staged_sql(table, self.tables, whole=whole)
        numbers = [staged_name for staged_name in table.forms if staged_name.endswith("__number")]
        counts = self._counts(table, staged, numbers)
        n = int(counts["n"])
        if not n:
            self._say(
                error("no-rows", table.name, f"The raw table {table.name} must have rows; it has none.")
            )
            return
        table.filled.update(number for number in numbers if int(counts[number]) == n)
        self.rows[table.name] = n
        link = table.spec.account_from
        column = table.spec.account if link is None else link.on
        no_account, no_day = n - int(counts["accounts"]), n - int(counts["days"])
        self._unusable(table, column, no_account, n, code="blank-account", rule="an account")
        if table.time is not None:
            whose = self._whose(staged, f"{DAY} IS NULL") if no_day else ""
            rule = "a date such as 2024-01-31"
            self._unusable(table, table.time, no_day, n, code="row-dates", rule=rule, whose=whose)
        self._ids(table, n)
        self._numbers(table, staged, numbers, n)
        if self.cut is not None and table.time is not None and int(counts["future"]):
            text = (
                f"{table.name}.{table.time}: {int(counts['future']):,} of {n:,} rows are dated after the "
                f"data cut{self._whose(staged, f'{DAY} > {self.cut}')}; they are not used."
            )
            self._say(warning("after-the-cut", table.name, text, count=int(counts["future"])))
        self._reject(table, whole=whole)

    def _say(self, finding: Finding) -> None:
        self.findings.append(finding)

    def _counts(self, table: RawTable, staged: str, numbers: list[str]) -> Any:
        cut = 10**7 if self.cut is None else self.cut
        filled = "".join(f", COUNT({sql.name(number)}) AS {sql.name(number)}" for number in numbers)
        select = (
            f"SELECT COUNT(*) AS n, COUNT({ACCOUNT}) AS accounts, COUNT({DAY}) AS days, "
            f"COUNT(*) FILTER (WHERE {DAY} > {cut}) AS future{filled} FROM ({staged}) u"
        )
        return self.engine.frame(select).iloc[0]

    def _whose(self, rows: str, condition: str) -> str:
        """The first accounts of the rows of a SELECT that meet a condition, in brackets."""
        select = (
            f"SELECT DISTINCT {ACCOUNT} AS account FROM ({rows}) u "
            f"WHERE {condition} AND {ACCOUNT} IS NOT NULL ORDER BY account"
        )
        found = self.engine.frame(select)["account"]
        return f" (accounts {first_few(map(str, found))})" if len(found) else ""

    def _unusable(
        self, table: RawTable, column: str, count: int, n: int, *, code: str, rule: str, whose: str = ""
    ) -> None:
        if not count:
            return
        make = error if self.on_invalid == "raise" else warning
        hint = (
            'Repair them, or set [snapshots] on_invalid = "reject" to go on without them.'
            if self.on_invalid == "raise"
            else "They are put aside."
        )
        text = (
            f"{table.name}.{column}: every row must have {rule}; {count:,} of {n:,} have none{whose}. {hint}"
        )
        self._say(make(code, table.name, text, count=count))

    def _ids(self, table: RawTable, n: int) -> None:
        if not table.spec.id:
            return
        copy = RawTable(table.name, table.spec, table.types)
        keys = [copy.forms[copy.words(column)] for column in table.spec.id]
        listed = ", ".join(f"{key} AS k{i}" for i, key in enumerate(keys))
        by = ", ".join(f"k{i}" for i in range(len(keys)))
        twice = (
            f"SELECT {by}, COUNT(*) AS n FROM (SELECT {listed} FROM {sql.name(table.raw)} t) q GROUP BY {by} "
            f"HAVING COUNT(*) > 1"
        )
        found = self.engine.frame(f"{twice} ORDER BY {by}")
        if not len(found):
            return
        self.repeated.add(table.name)
        first = [" / ".join(map(str, key)) for key in found.iloc[:, :-1].itertuples(index=False)]
        extra = int(found["n"].sum()) - len(found)
        make = error if self.on_invalid == "raise" else warning
        hint = (
            'Repair them, or set [snapshots] on_invalid = "reject" to use one row of each.'
            if self.on_invalid == "raise"
            else f"One row of each is used, {extra:,} are put aside."
        )
        text = (
            f"{table.name}: each {' / '.join(table.spec.id)} must stand in one row; {len(found):,} stand in "
            f"several: {first_few(first)}. {hint}"
        )
        self._say(make("duplicate-ids", table.name, text, count=len(found)))

    def _numbers(self, table: RawTable, staged: str, numbers: list[str], n: int) -> None:
        for staged_name in numbers:
            column = staged_name.removesuffix("__number")
            if table.types[column] != "text":
                continue
            raw = f"t.{sql.name(column)}"
            bad = f"NOT ({blank_sql(raw, 'text')}) AND {table.forms[staged_name]} IS NULL"
            select = (
                f"SELECT {raw} AS value, COUNT(*) AS n FROM {sql.name(table.raw)} t WHERE {bad} "
                f"GROUP BY {raw} ORDER BY {raw}"
            )
            found = self.engine.frame(select)
            if len(found):
                count = int(found["n"].sum())
                text = (
                    f"{table.name}.{column}: {count:,} of {n:,} values are no numbers and count as missing: "
                    f"{first_few(found['value'], limit=3)}."
                )
                self._say(warning("unreadable-values", table.name, text, count=count))

    def _reject(self, table: RawTable, *, whole: bool) -> None:
        if self.on_invalid != "reject":
            return
        bare = RawTable(table.name, table.spec, table.types)
        columns = ", ".join(f"t.{sql.name(column)}" for column in table.types)
        staged = staged_sql(bare, self.tables, whole=whole)
        judged = staged.replace("SELECT ", f"SELECT {columns}, ", 1).replace(
            f" AS {ACCOUNT},", " AS chs_account,", 1
        )
        reason = f"CASE WHEN chs_account IS NULL THEN 'no account' WHEN {DAY} IS NULL THEN 'no date' END"
        bad = (
            f"SELECT {sql.names(table.types)}, {reason} AS rejected_because FROM ({judged}) u "
            f"WHERE chs_account IS NULL OR {DAY} IS NULL"
        )
        frames = [self.engine.frame(bad)]
        if table.name in self.repeated:
            frames.append(self.engine.frame(self._copies_sql(table)))
        found = [frame for frame in frames if len(frame)]
        if found:
            import pandas as pd

            self.rejected[table.name] = pd.concat(found, ignore_index=True)

    def _copies_sql(self, table: RawTable) -> str:
        copy = RawTable(table.name, table.spec, table.types)
        keys = ", ".join(copy.forms[copy.words(column)] for column in table.spec.id)
        order = ", ".join(f"t.{sql.name(column)}" for column in table.types)
        return (
            f"SELECT {sql.names(table.types)}, 'id stands there twice' AS rejected_because FROM "
            f"(SELECT t.*, ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY {order}) AS nth_of_id "
            f"FROM {sql.name(table.raw)} t) q WHERE nth_of_id > 1"
        )

    # --- tables beside each other; they need the facts ---

    def check_beside(self, table: RawTable) -> None:
        """Find rows of unknown accounts, and rows dated before or after the account's contracts.

        Most tables have none, which one pass over their rows tells; only others are read again.
        """
        known = next(
            (one for one in self.tables.values() if one.role == "accounts"), contracts_of(self.tables)
        )
        if known is None or known.name == table.name:
            return
        is_dated = table.role in ("usage", "active_users") and table.time is not None
        contracts = contracts_of(self.tables) if is_dated else None
        early, late = ("FALSE", "FALSE") if contracts is None else _misdated_sql(table, contracts)
        select = (
            f"SELECT COUNT(c.known) AS known, COUNT(*) FILTER (WHERE {early}) AS early, "
            f"COUNT(*) FILTER (WHERE {late}) AS late FROM {sql.name(table.facts)} f "
            f"JOIN ({_beside_sql(known, contracts)}) c ON c.{ACCOUNT} = f.{ACCOUNT}"
        )
        found = self.engine.frame(select).iloc[0]
        if int(found["known"]) < self.rows[table.name]:
            self._unknown_accounts(table, known)
        if contracts is not None and (int(found["early"]) or int(found["late"])):
            self._contract_dates(table, contracts)

    def _unknown_accounts(self, table: RawTable, known: RawTable) -> None:
        select = (
            f"SELECT f.{ACCOUNT} AS account, COUNT(*) AS n FROM {sql.name(table.facts)} f "
            f"LEFT JOIN ({_accounts_sql(known)}) k ON k.{ACCOUNT} = f.{ACCOUNT} WHERE k.{ACCOUNT} IS NULL "
            f"GROUP BY f.{ACCOUNT} ORDER BY f.{ACCOUNT}"
        )
        found = self.engine.frame(select)
        if len(found):
            count = int(found["n"].sum())
            text = (
                f"{table.name}: {count:,} rows belong to {len(found):,} accounts that the table {known.name} "
                f"does not have: {first_few(map(str, found['account']))}. They are not used."
            )
            self._say(warning("unknown-accounts", table.name, text, count=count))

    def _contract_dates(self, table: RawTable, contracts: RawTable) -> None:
        early, late = _misdated_sql(table, contracts)
        select = (
            f"SELECT COUNT(*) AS n, COUNT(*) FILTER (WHERE {early}) AS early, "
            f"COUNT(*) FILTER (WHERE {late}) AS late, "
            f"MIN(f.{ACCOUNT}) FILTER (WHERE {early}) AS first_early, "
            f"MIN(f.{ACCOUNT}) FILTER (WHERE {late}) AS first_late "
            f"FROM {sql.name(table.facts)} f JOIN ({_terms_sql(contracts)}) c ON c.{ACCOUNT} = f.{ACCOUNT}"
        )
        found = self.engine.frame(select).iloc[0]
        linked = _is_linked(table, contracts)
        whose = "the contract term they belong to" if linked else "their account's first contract term"
        self._misdated(table, found, "early", f"are dated before {whose} started")
        self._misdated(table, found, "late", "are dated after their account's last contract term ended")

    def _misdated(self, table: RawTable, found: Any, which: str, words: str) -> None:
        count, n = int(found[which]), int(found["n"])
        if count:
            text = (
                f"{table.name}.{table.time}: {count:,} of {n:,} rows ({count / n:.1%}) {words}, the first of "
                f"account {str(found[f'first_{which}'])!r}. Are the dates, or the keys, right?"
            )
            code = {"early": "before-contract", "late": "after-contract"}[which]
            self._say(warning(code, table.name, text, count=count))

    def check_later_dates(self, table: RawTable) -> None:
        """Find rows in which something is filled in before the row itself is known."""
        for date_column in table.spec.later:
            key = sql.name(table.known(date_column))
            early, facts = f"{key} < {DAY}", sql.name(table.facts)
            count = int(self.engine.frame(f"SELECT COUNT(*) AS n FROM {facts} WHERE {early}")["n"].iloc[0])
            if count:
                text = (
                    f"{table.name}.{date_column}: {count:,} rows have a date before {table.time}, when the "
                    f"row became known{self._whose(f'SELECT * FROM {facts}', early)}."
                )
                self._say(warning("filled-in-before", table.name, text, count=count))

    def check_renewals(self, table: RawTable, spec: "OutcomeSpec") -> None:
        """Find renewals whose outcome is told although they come due only after the data cut."""
        if table.role != "renewals" or self.cut is None:
            return
        due, word = sql.name(table.day(str(table.standard("due")))), outcome_sql(table, spec)
        select = (
            f"SELECT f.{ACCOUNT} AS account, {word} AS outcome FROM {sql.name(table.facts)} f "
            f"WHERE f.{due} > {self.cut} AND {word} IS NOT NULL AND {word} <> '{Outcome.OPEN}' "
            f"ORDER BY f.{due}, f.{ACCOUNT}"
        )
        found = self.engine.frame(select)
        if len(found):
            words = ", ".join(sorted(set(found["outcome"])))
            text = (
                f"{table.name}: {len(found):,} renewals that come due after the data cut already have an "
                f"outcome ({words}): accounts {first_few(map(str, found['account']))}. They are open, and "
                f"neither train nor judge."
            )
            self._say(warning("outcome-after-the-cut", table.name, text, count=len(found)))


def _accounts_sql(known: RawTable) -> str:
    return f"SELECT DISTINCT {ACCOUNT} FROM {sql.name(known.facts)}"


def _terms_sql(contracts: RawTable) -> str:
    """SELECT: by account the start of its first term, and the end of its last one if all have an end."""
    start, end = contracts.day(str(contracts.standard("start"))), contracts.standard("end")
    last = NO_DAY
    if end is not None:
        ends = sql.name(contracts.day(end))
        last = f"CASE WHEN COUNT(*) = COUNT({ends}) THEN MAX({ends}) END"
    return (
        f"SELECT {ACCOUNT}, MIN({sql.name(start)}) AS starts, {last} AS ends "
        f"FROM {sql.name(contracts.facts)} GROUP BY {ACCOUNT}"
    )


def _beside_sql(known: RawTable, contracts: RawTable | None) -> str:
    """SELECT: by account whether it is known, and its first and last day under contract."""
    rows = f"SELECT {ACCOUNT}, 1 AS known, {NO_DAY} AS starts, {NO_DAY} AS ends FROM {sql.name(known.facts)}"
    if contracts is not None:
        terms = f"SELECT {ACCOUNT}, NULL AS known, starts, ends FROM ({_terms_sql(contracts)}) t"
        rows = f"{rows} UNION ALL {terms}"
    return (
        f"SELECT {ACCOUNT}, MAX(known) AS known, MAX(starts) AS starts, MAX(ends) AS ends "
        f"FROM ({rows}) q GROUP BY {ACCOUNT}"
    )


def _misdated_sql(table: RawTable, contracts: RawTable) -> tuple[str, str]:
    """SQL: whether a row is dated before the account's contract began, and after its last one ended.

    A row that names its contract term is held beside the start of that one.
    """
    starts = f"f.{LINKED}" if _is_linked(table, contracts) else "c.starts"
    return f"f.{DAY} < {starts}", f"f.{DAY} >= c.ends"


def _is_linked(table: RawTable, contracts: RawTable) -> bool:
    return table.spec.account_from is not None and table.spec.account_from.table == contracts.name


def check_labels(engine: Engine, churned: Mapping[str, str], main: str) -> Iterator[Finding]:
    """Count the accounts that one table calls churned and another does not.

    Parameters
    ----------
    engine : Engine
        Where the tables are open.
    churned : dict of str to str
        By name of the source, a SELECT of account_id and whether it ever churned (1 or 0).
    main : str
        The source that outcomes come from.
    """
    for name, other in churned.items():
        if name == main:
            continue
        select = (
            f"SELECT COUNT(*) AS n, COUNT(*) FILTER (WHERE COALESCE(a.churned, 0) <> b.churned) AS bad, "
            f"MIN(b.{ACCOUNT}) FILTER (WHERE COALESCE(a.churned, 0) <> b.churned) AS first_account "
            f"FROM ({other}) b LEFT JOIN ({churned[main]}) a ON a.{ACCOUNT} = b.{ACCOUNT}"
        )
        found = engine.frame(select).iloc[0]
        if int(found["bad"]):
            text = (
                f"{main} and {name} disagree about who churned: on {int(found['bad']):,} of "
                f"{int(found['n']):,} accounts, the first {str(found['first_account'])!r}. "
                f"Which of them is right?"
            )
            yield warning("labels-disagree", name, text, count=int(found["bad"]))
