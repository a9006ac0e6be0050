"""Contract terms: who is a customer on which day, what comes due, and what became of it.

The words, for an account with any number of products:

- A term runs from its start to the day before its end.
- A term of the same product that starts in the middle of another and ends later *replaces* it from its
  start on (an upgrade in mid-term); one that ends on the same day is an add-on (co-termed) and counts beside
  it. Where ends are filled in later, as for subscriptions that run until cancelled, nothing is replaced.
- On the end of a term the account comes *due*. It *churned* if no term of it runs on or starts within the
  grace period, and it *contracted* if the recurring value of the terms then running is smaller than that of
  the terms that ran the day before. Otherwise it *renewed*.
- A due date after the data cut is *open*, and so is one whose grace period has not elapsed at the cut and
  that later terms have not yet decided.
- An account that comes back after the grace period churned, and begins anew: each end has its own outcome.
"""

from datetime import date
from typing import TYPE_CHECKING

from chs_ml.outcome import Outcome, plain_text
from chs_ml.raw import sql
from chs_ml.raw.definitions import REPLACED
from chs_ml.raw.staging import ACCOUNT, DAY, RawTable

if TYPE_CHECKING:
    from chs_ml.recipe import OutcomeSpec

FAR = 10_000_000
"""The day of an end that is not known."""


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - date(1970, 1, 1).toordinal()


def with_replaced_sql(table: RawTable, staged: str, *, grace: int) -> str:
    """SELECT: staged contract terms with the day from which another term has taken over.

    That day is the later one of the other term's start and the day from which it is known, so that it can
    be compared with a snapshot like any other day.
    """
    end = table.standard("end")
    if end is None or table.is_later(end):
        return f"SELECT t.*, CAST(NULL AS BIGINT) AS {REPLACED} FROM ({staged}) t"
    start, product = sql.name(table.day(str(table.standard("start")))), _product(table)
    last = f"COALESCE(t.{sql.name(table.day(end))}, {FAR})"
    terms = (
        f"SELECT DISTINCT t.{ACCOUNT} AS {ACCOUNT}, {product} AS product, t.{start} AS starts, "
        f"{last} AS ends, t.{DAY} AS {DAY} FROM ({staged}) t"
    )
    replaced = (
        f"SELECT i.{ACCOUNT}, i.product, i.starts, i.ends, MIN(GREATEST(j.starts, j.{DAY})) AS {REPLACED} "
        f"FROM (SELECT DISTINCT {ACCOUNT}, product, starts, ends FROM ({terms}) a) i JOIN ({terms}) j "
        f"ON i.{ACCOUNT} = j.{ACCOUNT} AND i.product = j.product AND j.starts > i.starts "
        f"AND j.starts < i.ends - {grace} AND j.ends > i.ends "
        f"GROUP BY i.{ACCOUNT}, i.product, i.starts, i.ends"
    )
    return (
        f"SELECT t.*, r.{REPLACED} FROM ({staged}) t LEFT JOIN ({replaced}) r ON t.{ACCOUNT} = r.{ACCOUNT} "
        f"AND {product} = r.product AND t.{start} = r.starts AND {last} = r.ends"
    )


def _product(table: RawTable) -> str:
    column = table.standard("product")
    return "''" if column is None else f"COALESCE(t.{sql.name(table.words(column))}, '')"


def terms_sql(table: RawTable, *, cut: int) -> str:
    """SELECT: contract terms as known at the data cut: account_id, starts, ends, last (day after the last
    one on which it ran), and recurring value in millionths."""
    start, end, mrr = table.standard("start"), table.standard("end"), table.standard("mrr")
    ends = str(FAR)
    if end is not None:
        known = f"f.{sql.name(table.known(end))} <= {cut} AND " if table.is_later(end) else ""
        column = f"f.{sql.name(table.day(end))}"
        ends = f"CASE WHEN {known}{column} IS NOT NULL THEN {column} ELSE {FAR} END"
    starts = f"f.{sql.name(table.day(str(start)))}"
    value = "CAST(NULL AS BIGINT)" if mrr is None else sql.millionths(f"f.{sql.name(table.number(mrr))}")
    replaced = f"CASE WHEN f.{REPLACED} <= {cut} THEN f.{REPLACED} ELSE {FAR} END"
    return (
        f"SELECT f.{ACCOUNT} AS {ACCOUNT}, {starts} AS starts, {ends} AS ends, "
        f"LEAST({ends}, {replaced}) AS last, {value} AS mrr "
        f"FROM {sql.name(table.facts)} f WHERE f.{DAY} <= {cut} AND {starts} <= {cut}"
    )


def due_from_terms_sql(terms: str, *, cut: int, grace: int) -> str:
    """SELECT: each day on which an account came or comes due, and what became of it."""
    due = (
        f"SELECT {ACCOUNT}, ends AS due, COUNT(*) AS ending FROM {terms} "
        f"WHERE ends < {FAR} AND last = ends GROUP BY {ACCOUNT}, ends"
    )
    follows = f"t.starts >= d.due - {grace} AND t.ends > d.due"
    ran = f"t.starts < d.due AND t.last >= d.due AND NOT ({follows})"
    runs_on = f"t.starts <= d.due + {grace} AND t.last > d.due"
    seen = (
        f"SELECT d.{ACCOUNT} AS {ACCOUNT}, d.due AS due, d.ending AS ending, "
        f"{sql.aggregate('SUM(t.mrr)', ran)} AS mrr, {sql.aggregate('SUM(t.mrr)', runs_on)} AS mrr_next, "
        f"{sql.aggregate('COUNT(*)', runs_on)} AS next_terms, "
        f"{sql.aggregate('COUNT(*)', follows, f't.starts <= d.due + {grace}')} AS new_terms, "
        f"{sql.aggregate('MIN(t.starts)', f't.starts > d.due + {grace}')} AS returned "
        f"FROM ({due}) d JOIN {terms} t ON d.{ACCOUNT} = t.{ACCOUNT} GROUP BY d.{ACCOUNT}, d.due, d.ending"
    )
    undecided = f"due + {grace} > {cut}"
    outcome = (
        f"CASE WHEN due > {cut} THEN '{Outcome.OPEN}' "
        f"WHEN next_terms = 0 AND {undecided} THEN '{Outcome.OPEN}' "
        f"WHEN next_terms = 0 THEN '{Outcome.CHURNED}' "
        f"WHEN mrr_next < mrr AND new_terms < ending AND {undecided} THEN '{Outcome.OPEN}' "
        f"WHEN mrr_next < mrr THEN '{Outcome.CONTRACTED}' ELSE '{Outcome.RENEWED}' END"
    )
    return f"SELECT {ACCOUNT}, due, {outcome} AS outcome, mrr, mrr_next, returned FROM ({seen}) q"


def due_from_renewals_sql(table: RawTable, spec: "OutcomeSpec", *, cut: int) -> str:
    """SELECT: the same from a table of renewals; several on one day are one due date of the account."""
    due = f"f.{sql.name(table.day(str(table.standard('due'))))}"
    values = [table.standard(column) for column in ("mrr", "mrr_next")]
    mrr, following = (
        "CAST(NULL AS BIGINT)" if column is None else sql.millionths(f"f.{sql.name(table.number(column))}")
        for column in values
    )
    rows = (
        f"SELECT f.{ACCOUNT} AS {ACCOUNT}, {due} AS due, {outcome_sql(table, spec)} AS outcome, "
        f"{mrr} AS mrr, {following} AS mrr_next FROM {sql.name(table.facts)} f WHERE {due} IS NOT NULL"
    )
    counted = (
        f"SELECT {ACCOUNT}, due, COUNT(*) AS n, "
        f"COUNT(*) FILTER (WHERE outcome = '{Outcome.CHURNED}') AS churned, "
        f"COUNT(*) FILTER (WHERE outcome = '{Outcome.CONTRACTED}') AS contracted, "
        f"COUNT(*) FILTER (WHERE outcome IS NULL OR outcome = '{Outcome.OPEN}') AS undecided, "
        f"SUM(mrr) AS mrr, COALESCE(SUM(mrr_next), 0) AS mrr_next, COUNT(mrr_next) AS followed "
        f"FROM ({rows}) q GROUP BY {ACCOUNT}, due"
    )
    smaller = "(followed > 0 AND mrr_next < mrr)"
    outcome = (
        f"CASE WHEN due > {cut} OR undecided > 0 THEN '{Outcome.OPEN}' "
        f"WHEN churned = n THEN '{Outcome.CHURNED}' "
        f"WHEN churned > 0 OR contracted > 0 OR {smaller} THEN '{Outcome.CONTRACTED}' "
        f"ELSE '{Outcome.RENEWED}' END"
    )
    return (
        f"SELECT {ACCOUNT}, due, {outcome} AS outcome, mrr, mrr_next, CAST(NULL AS BIGINT) AS returned "
        f"FROM ({counted}) q"
    )


def due_from_cancellations_sql(table: RawTable, *, cut: int) -> str:
    """SELECT: each cancellation up to the data cut as a due date that churned."""
    return (
        f"SELECT f.{ACCOUNT} AS {ACCOUNT}, f.{DAY} AS due, '{Outcome.CHURNED}' AS outcome, "
        f"CAST(NULL AS BIGINT) AS mrr, CAST(NULL AS BIGINT) AS mrr_next, CAST(NULL AS BIGINT) AS returned "
        f"FROM {sql.name(table.facts)} f WHERE f.{DAY} <= {cut} GROUP BY f.{ACCOUNT}, f.{DAY}"
    )


def outcome_sql(table: RawTable, spec: "OutcomeSpec") -> str:
    """SQL: the outcome that a column says, as one of our words; missing where it says none."""
    column = spec.column or table.standard("outcome")
    word = f"f.{sql.name(table.words(str(column)))}"
    lower = f"LOWER({word})"
    if spec.churned is None:
        listed = ", ".join(f"'{outcome}'" for outcome in Outcome)
        flags = f"WHEN {lower} IN ('1', 'true') THEN 'churned' WHEN {lower} IN ('0', 'false') THEN 'renewed'"
        return f"CASE WHEN {lower} IN ({listed}) THEN {lower} {flags} END"
    churned = f"{lower} = {sql.text(plain_text(spec.churned).lower())}"
    if spec.renewed is None:
        others = f"WHEN {lower} = 'open' THEN 'open' WHEN {word} IS NOT NULL THEN 'renewed'"
        return f"CASE WHEN {churned} THEN 'churned' {others} END"
    kept = ", ".join(sql.text(plain_text(value).lower()) for value in spec.renewed)
    return f"CASE WHEN {churned} THEN 'churned' WHEN {lower} IN ({kept}) THEN 'renewed' END"
