"""Tickets, surveys, touchpoints and sponsors of the simulated accounts, one row each.

Counts "in 90 days" at a month's end are sums over three calendar months in the paths. Events fall on the
3rd to the 28th of a month, where three months and 90 days are the same, whatever the months' lengths.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.synthetic.drawing import Drawn

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Days = NDArray[np.datetime64]
Mask = NDArray[np.bool_]

FIRST_DAY, LAST_DAY = 3, 28
PRIORITIES = np.array(["low", "normal", "high", "urgent"])
TOUCHPOINTS = np.array(["call", "email", "meeting", "business review"])
NO_DAY = np.datetime64("NaT", "D")


def monthly_counts(quarterly: Array) -> Integers:
    """The events of each month, from sums over three months; before the first month, it repeats."""
    monthly = np.empty_like(quarterly)
    monthly[:, 0] = quarterly[:, 0] / 3.0
    monthly[:, 1] = quarterly[:, 1] - 2.0 * monthly[:, 0]
    for month in range(2, quarterly.shape[1]):
        monthly[:, month] = quarterly[:, month] - monthly[:, month - 1] - monthly[:, month - 2]
    return monthly.astype(np.int64)


def spread(counts: Integers) -> tuple[Integers, Integers, Integers]:
    """Accounts, months and running numbers of so many events, from counts of shape (n, months)."""
    rows, months = np.nonzero(counts)
    n = counts[rows, months]
    first = np.repeat(np.cumsum(n) - n, n)
    return np.repeat(rows, n), np.repeat(months, n), np.arange(int(n.sum())) - first


def event_days(drawn: Drawn, rows: Integers, months: Integers, rng: np.random.Generator) -> Days:
    """A day from the 3rd to the 28th, and not before the contract where it begins in that month."""
    begins = drawn.accounts.start_month[rows] == months
    low = np.where(begins, np.maximum(FIRST_DAY, drawn.accounts.start_day[rows]), FIRST_DAY)
    return days_from(drawn, months, low, rng)


def days_from(drawn: Drawn, months: Integers, low: Integers, rng: np.random.Generator) -> Days:
    """A day of the month from `low` to the 28th."""
    day = low + (rng.random(len(low)) * (LAST_DAY + 1 - low)).astype(np.int64)
    chosen: Days = drawn.calendar.first_days(months) + (day - 1)
    return chosen


def day_of_month(days: Days) -> Integers:
    """Day of the month, 1-31."""
    begins = days.astype("datetime64[M]").astype("datetime64[D]")
    return np.asarray((days - begins).astype(np.int64) + 1, dtype=np.int64)


def microseconds(days: Days) -> Days:
    """Dates as pandas holds them."""
    return days.astype("datetime64[us]")


def touchpoints_table(drawn: Drawn, keys: pd.Series, rng: np.random.Generator) -> pd.DataFrame:
    """Touchpoints: account_id, happened_at, kind, owner."""
    rows, months, _ = spread(monthly_counts(drawn.paths.recorded["touchpoints"])[:, drawn.months])
    days = event_days(drawn, rows, months, rng)
    kinds = TOUCHPOINTS[rng.choice(len(TOUCHPOINTS), size=len(rows), p=(0.35, 0.4, 0.2, 0.05))]
    kept = drawn.kept(rows, days)
    table = {
        "account_id": keys.take(rows).to_numpy(),
        "happened_at": microseconds(days),
        "kind": kinds,
        "owner": drawn.accounts.owner[rows],
    }
    return pd.DataFrame(table)[kept].sort_values(["happened_at", "account_id"], ignore_index=True)


def sponsors_table(drawn: Drawn, keys: pd.Series) -> pd.DataFrame:
    """Executive sponsors: account_id, recorded_at, sponsor (yes or no); a row per change."""
    sponsor = drawn.paths.recorded["sponsor"][:, drawn.months]
    first = np.maximum(drawn.accounts.start_month, 0)
    changed = np.diff(sponsor, axis=1, prepend=np.nan) != 0.0
    rows, months = np.nonzero(changed & (drawn.months > first[:, None]))
    begin = first < len(drawn.months)
    everyone = np.flatnonzero(begin)
    rows, months = np.concatenate([everyone, rows]), np.concatenate([first[everyone], months])
    # the last day of the month, so that the state at a month's end is that of the path
    days = drawn.calendar.last_days(months)
    table = pd.DataFrame(
        {
            "account_id": keys.take(rows).to_numpy(),
            "recorded_at": microseconds(days),
            "sponsor": np.where(sponsor[rows, months] == 1.0, "yes", "no"),
        }
    )
    kept = drawn.kept(rows, days)
    return table[kept].sort_values(["recorded_at", "account_id"], ignore_index=True)


# --- surveys ---


def surveys_table(drawn: Drawn, keys: pd.Series, rng: np.random.Generator) -> pd.DataFrame:
    """Surveys: survey_id, account_id, kind ('nps', 'csat'), sent_at, answered_at, score.

    One of each kind a month, answered in that month or not at all; every other answer after a month of
    silence is to the survey of the month before.
    """
    parts = [_survey(drawn, keys, kind, rng) for kind in ("nps", "csat")]
    table = pd.concat(parts).sort_values(["sent_at", "account_id", "kind"], ignore_index=True)
    table.insert(0, "survey_id", [f"S{i:07d}" for i in range(1, len(table) + 1)])
    return table


def _survey(drawn: Drawn, keys: pd.Series, kind: str, rng: np.random.Generator) -> pd.DataFrame:
    answer = drawn.paths.recorded[kind][:, drawn.months]
    answered = ~np.isnan(answer)
    late = np.zeros_like(answered)
    late[:, 1:] = answered[:, 1:] & ~answered[:, :-1] & (rng.random(answered[:, 1:].shape) < 0.5)
    late &= drawn.months > np.maximum(drawn.accounts.start_month, 0)[:, None]
    overtaken = np.concatenate([late[:, 1:], np.zeros_like(late[:, :1])], axis=1)
    rows, months = np.nonzero(drawn.months >= drawn.accounts.start_month[:, None])
    rows, months = (part[~overtaken[rows, months]] for part in (rows, months))
    came = event_days(drawn, rows, months, rng)
    sent = np.where(
        late[rows, months],
        event_days(drawn, rows, np.maximum(months - 1, 0), rng),
        came - rng.integers(0, 2, len(rows)) * (day_of_month(came) > FIRST_DAY),
    )
    sent = np.maximum(sent, drawn.start[rows])
    there = answered[rows, months] & drawn.kept(rows, came)
    table = pd.DataFrame(
        {
            "account_id": keys.take(rows).to_numpy(),
            "kind": kind,
            "sent_at": microseconds(sent),
            "answered_at": microseconds(np.where(there, came, NO_DAY)),
            "score": np.where(there, answer[rows, months], np.nan),
        }
    )
    return table[drawn.kept(rows, sent)]


# --- tickets ---


def tickets_table(drawn: Drawn, keys: pd.Series, rng: np.random.Generator) -> pd.DataFrame:
    """Tickets: ticket_id, account_id, opened_at, priority, escalated_at, closed_at, resolution_hours.

    The last three are filled in later. Some tickets are open at a month's end, as many as the path says,
    and are closed in a later month, the oldest first; the others are opened and closed in one month.
    """
    long, short = _long_tickets(drawn, rng), _short_tickets(drawn, rng)
    columns = {name: np.concatenate([long[name], short[name]]) for name in long}
    rows, escalated = columns["row"], columns["escalated"]
    kept = drawn.kept(rows, columns["opened"])
    closed = np.where(columns["closed"] <= drawn.calendar.data_cut, columns["closed"], NO_DAY)
    known = escalated <= drawn.calendar.data_cut
    urgency = np.where(np.isnat(escalated), rng.choice(3, len(rows), p=(0.4, 0.45, 0.15)), 0)
    urgency = np.where(np.isnat(escalated), urgency, rng.integers(2, 4, len(rows)))
    table = pd.DataFrame(
        {
            "account_id": keys.take(rows).to_numpy(),
            "opened_at": microseconds(columns["opened"]),
            "priority": PRIORITIES[urgency],
            "escalated_at": microseconds(np.where(known, escalated, NO_DAY)),
            "closed_at": microseconds(closed),
            "resolution_hours": _hours(drawn, rows, closed, rng),
        }
    )[kept]
    table = table.sort_values(["opened_at", "account_id", "closed_at"], ignore_index=True)
    table.insert(0, "ticket_id", [f"T{i:07d}" for i in range(1, len(table) + 1)])
    return table


def _long_tickets(drawn: Drawn, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    """Tickets that are open at the end of the month in which they were opened."""
    is_open = np.where(drawn.customer, drawn.paths.recorded["tickets_open"][:, drawn.months], 0).astype(
        np.int64
    )
    before = np.concatenate([np.zeros_like(is_open[:, :1]), is_open[:, :-1]], axis=1)
    staying = np.minimum(rng.binomial(before, 0.3), is_open)
    rows, months, _ = spread(is_open - staying)
    opened = event_days(drawn, rows, months, rng)
    number = _running(rows)
    closures = np.cumsum(before - staying, axis=1)
    month = _first_above(closures, rows, number)
    beyond = month >= len(drawn.months)
    low = np.full(len(rows), FIRST_DAY)
    closed = np.where(beyond, NO_DAY, days_from(drawn, np.where(beyond, 0, month), low, rng))
    return {"row": rows, "opened": opened, "closed": closed, "escalated": np.full(len(rows), NO_DAY)}


def _running(rows: Integers) -> Integers:
    """Position of each row among those of its account; rows ascending."""
    first = np.searchsorted(rows, rows, side="left")
    return np.asarray(np.arange(len(rows)) - first, dtype=np.int64)


def _first_above(cumulated: Integers, rows: Integers, number: Integers) -> Integers:
    """First month in which the account's count exceeds the number; the number of months where none does."""
    n, months = cumulated.shape
    step = int(cumulated.max(initial=0)) + int(number.max(initial=0)) + 2
    flat = (cumulated + step * np.arange(n)[:, None]).ravel()
    found = np.searchsorted(flat, number + step * rows, side="right")
    return np.asarray(np.minimum(found - rows * months, months), dtype=np.int64)


def _short_tickets(drawn: Drawn, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    """Tickets opened, escalated perhaps, and closed within one month."""
    recorded = drawn.paths.recorded
    escalations = monthly_counts(recorded["tickets_escalated"])[:, drawn.months]
    asked = ~np.isnan(recorded["resolve_hours"][:, drawn.months])
    shape = escalations.shape
    counts = np.maximum(escalations, asked + rng.poisson(0.5, shape))
    rows, months, number = spread(counts)
    opened = event_days(drawn, rows, months, rng)
    moved = days_from(drawn, months, day_of_month(opened), rng)
    closed = days_from(drawn, months, day_of_month(moved), rng)
    escalated = np.where(number < escalations[rows, months], moved, NO_DAY)
    return {"row": rows, "opened": opened, "closed": closed, "escalated": escalated}


def _hours(drawn: Drawn, rows: Integers, closed: Days, rng: np.random.Generator) -> Array:
    """Working hours to resolve; their mean over what an account closed in a month is the path's."""
    known = np.flatnonzero(~np.isnat(closed))
    begin = drawn.calendar.first_days(np.zeros(1, dtype=np.int64))[0].astype("datetime64[M]")
    month = (closed[known].astype("datetime64[M]") - begin).astype(np.int64)
    where = (rows[known], month)
    recorded = drawn.paths.recorded["resolve_hours"][where]
    mean = np.where(np.isnan(recorded), np.round(drawn.paths.true["resolve_hours"][where], 1), recorded)
    group = rows[known] * len(drawn.months) + month
    order = np.argsort(group, kind="stable")
    position = np.empty(len(known), dtype=np.int64)
    position[order] = _running(group[order])
    size = np.bincount(group)[group]
    # in pairs, one longer and one shorter by the same: the mean stays to the tenth of an hour
    pair = np.random.default_rng(rng.integers(2**31)).uniform(0.1, 0.7, int(group.max(initial=0)) + 1)[group]
    apart = np.round(pair * mean, 1) * np.where(position % 2 == 0, 1.0, -1.0)
    alone = (position == size - 1) & (size % 2 == 1)
    hours = np.full(len(rows), np.nan)
    hours[known] = np.round(mean + np.where(alone, 0.0, apart), 1)
    return hours
