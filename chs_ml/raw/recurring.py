"""The recurring value of an account day by day, as it was known on each day, and where it rose."""

from chs_ml.raw import sql
from chs_ml.raw.contracts import FAR
from chs_ml.raw.definitions import REPLACED
from chs_ml.raw.staging import ACCOUNT, DAY, RawTable


def levels_sql(table: RawTable) -> str:
    """SELECT: recurring value in millionths from a day on until the day before another: account_id, day,
    until, value.

    A term counts from the day on which it has begun and is known, until it has ended and that is known or
    another term has taken over. So the value of a day is what a snapshot of that day says, whatever became
    known after it.
    """
    terms = _spans_sql(table)
    days = f"SELECT {ACCOUNT}, begins AS day FROM ({terms}) a UNION SELECT {ACCOUNT}, ends FROM ({terms}) b"
    running = "t.begins <= d.day AND t.ends > d.day"
    return (
        f"SELECT d.{ACCOUNT} AS {ACCOUNT}, d.day AS day, "
        f"LEAD(d.day) OVER (PARTITION BY d.{ACCOUNT} ORDER BY d.day) AS until, "
        f"COALESCE({sql.aggregate('SUM(t.mrr)', running)}, 0) AS value "
        f"FROM ({days}) d JOIN ({terms}) t ON t.{ACCOUNT} = d.{ACCOUNT} GROUP BY d.{ACCOUNT}, d.day"
    )


def _spans_sql(table: RawTable) -> str:
    start, end = f"f.{sql.name(table.day(str(table.standard('start'))))}", table.standard("end")
    ends = str(FAR)
    if end is not None:
        ends = f"COALESCE(f.{sql.name(table.day(end))}, {FAR})"
        if table.is_later(end):
            ends = f"GREATEST({ends}, COALESCE(f.{sql.name(table.known(end))}, {FAR}))"
    mrr = sql.millionths(f"f.{sql.name(table.number(str(table.standard('mrr'))))}")
    spans = (
        f"SELECT f.{ACCOUNT} AS {ACCOUNT}, GREATEST({start}, f.{DAY}) AS begins, "
        f"LEAST({ends}, COALESCE(f.{REPLACED}, {FAR})) AS ends, {mrr} AS mrr FROM {sql.name(table.facts)} f"
    )
    return f"SELECT {ACCOUNT}, begins, ends, mrr FROM ({spans}) s WHERE begins < ends"


def rises_sql(levels: str, *, grace: int) -> str:
    """SELECT: days on which the value rose above all that it was in the grace period before: account_id,
    known_day.

    So a renewal that is signed some days late, or a product that lapses for some days, is no upsell when it
    comes back, and an account that returns after the grace period is a new customer.
    """
    before = f"b.{ACCOUNT} = a.{ACCOUNT} AND b.day < a.day AND b.until >= a.day - {grace}"
    compared = (
        f"SELECT a.{ACCOUNT} AS {ACCOUNT}, a.day AS {DAY}, a.value AS value, MAX(b.value) AS before "
        f"FROM {sql.name(levels)} a JOIN {sql.name(levels)} b ON {before} "
        f"GROUP BY a.{ACCOUNT}, a.day, a.value"
    )
    return f"SELECT {ACCOUNT}, {DAY} FROM ({compared}) q WHERE before > 0 AND value > before"
