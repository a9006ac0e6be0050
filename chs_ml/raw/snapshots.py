"""Snapshots: which accounts are looked at on which days, and the outcome that belongs to each."""

from datetime import date, timedelta
from typing import TYPE_CHECKING

from chs_ml.outcome import Outcome
from chs_ml.raw import sql
from chs_ml.raw.contracts import day_number
from chs_ml.raw.definitions import running
from chs_ml.raw.staging import ACCOUNT, DAY, RawTable

if TYPE_CHECKING:
    from chs_ml.recipe import SnapshotSpec

SUNDAY = 6


def calendar(spec: "SnapshotSpec", *, first: date) -> list[int]:
    """Days of a calendar of snapshots: month ends, Sundays or all days, from `first` to the last one.

    Parameters
    ----------
    spec : SnapshotSpec
        Its own ``first`` and ``last`` go before the first contract start and the data cut.
    first : date
        The first contract start.

    Returns
    -------
    list of int
        Days since 1970-01-01.
    """
    last = min(spec.last or date.max, spec.data_cut or date.max)
    day = spec.first or first
    days: list[int] = []
    while True:
        day = _NEXT[spec.every](day)
        if day > last:
            return days
        days.append(day_number(day))
        day += timedelta(days=1)


def _month_end(day: date) -> date:
    following = day.replace(day=28) + timedelta(days=4)
    return following - timedelta(days=following.day)


def _sunday(day: date) -> date:
    return day + timedelta(days=SUNDAY - day.weekday())


def _itself(day: date) -> date:
    return day


_NEXT = {"month": _month_end, "week": _sunday, "day": _itself}
"""The first day of a calendar that is not before a day."""


def customers_sql(contracts: RawTable) -> str:
    """SELECT: the accounts with a running term at the end of each day of the calendar."""
    return (
        f"SELECT DISTINCT b.{ACCOUNT} AS {ACCOUNT}, s.day AS day FROM calendar s "
        f"JOIN {sql.name(contracts.facts)} b ON b.{DAY} <= s.day AND {sql.both(running(contracts).at)}"
    )


def before_renewals_sql(contracts: RawTable, spec: "SnapshotSpec") -> str:
    """SELECT: the accounts a lead time before each due date, if they are customers on that day."""
    cut = day_number(spec.data_cut or date.max)
    first = day_number(spec.first) if spec.first else -(10**6)
    last = min(cut, day_number(spec.last)) if spec.last else cut
    dates = f"SELECT {ACCOUNT}, due - {spec.lead_days} AS day FROM due"
    return (
        f"SELECT DISTINCT s.{ACCOUNT} AS {ACCOUNT}, s.day AS day FROM ({dates}) s "
        f"JOIN {sql.name(contracts.facts)} b ON b.{ACCOUNT} = s.{ACCOUNT} AND b.{DAY} <= s.day "
        f"AND {sql.both(running(contracts).at)} WHERE s.day <= {last} AND s.day >= {first}"
    )


def renewal_outcomes_sql(spec: "SnapshotSpec", *, grace: int) -> str:
    """SELECT: each renewal snapshot's own outcome, open where its grace period has not elapsed at the cut.

    A next term may have been seen before; but among renewals so near the cut only those that went well are
    known, and rows that are known because of what they are would make churn look rarer.
    """
    last = day_number(spec.data_cut or date.max) - grace
    word = f"CASE WHEN d.due > {last} THEN '{Outcome.OPEN}' ELSE d.outcome END"
    return (
        f"SELECT s.{ACCOUNT} AS {ACCOUNT}, s.day AS day, {word} AS outcome FROM snapshots s "
        f"JOIN due d ON d.{ACCOUNT} = s.{ACCOUNT} AND d.due = s.day + {spec.lead_days}"
    )


def calendar_outcomes_sql(spec: "SnapshotSpec", *, grace: int) -> str:
    """SELECT: what became of each calendar snapshot in the horizon after the lead time.

    Open where the horizon and the grace period after it have not elapsed at the data cut, where a due date
    in it is open, and where the account churned within the lead time: no warning could have come in time.
    """
    cut = day_number(spec.data_cut or date.max)
    begin, end = f"s.day + {spec.lead_days}", f"s.day + {spec.lead_days + (spec.horizon_days or 0)}"
    inside = f"d.due > {begin} AND d.due <= {end}"
    counts = [
        f"{sql.aggregate('COUNT(d.due)', inside, f'd.outcome = {sql.text(outcome)}')} AS {outcome}"
        for outcome in (Outcome.CHURNED, Outcome.CONTRACTED, Outcome.OPEN)
    ]
    too_soon = sql.aggregate("COUNT(d.due)", f"d.due <= {begin}", f"d.outcome = '{Outcome.CHURNED}'")
    seen = (
        f"SELECT s.{ACCOUNT} AS {ACCOUNT}, s.day AS day, {', '.join(counts)}, {too_soon} AS too_soon "
        f"FROM snapshots s LEFT JOIN due d ON d.{ACCOUNT} = s.{ACCOUNT} AND d.due > s.day AND d.due <= {end} "
        f"GROUP BY s.{ACCOUNT}, s.day"
    )
    last = cut - grace - spec.lead_days - (spec.horizon_days or 0)
    return (
        f"SELECT {ACCOUNT}, day, CASE WHEN day > {last} OR too_soon > 0 THEN '{Outcome.OPEN}' "
        f"WHEN {Outcome.CHURNED} > 0 THEN '{Outcome.CHURNED}' WHEN {Outcome.OPEN} > 0 THEN '{Outcome.OPEN}' "
        f"WHEN {Outcome.CONTRACTED} > 0 THEN '{Outcome.CONTRACTED}' ELSE '{Outcome.RENEWED}' END AS outcome "
        f"FROM ({seen}) q"
    )
