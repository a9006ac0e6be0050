"""Usage of the simulated accounts day by day, made so that 30-day counts at a month's end are those of the
monthly paths.

A window of 30 days leaves out the first day of a long month and reaches into January for February: the
days are drawn month by month, with what the next month's window still needs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.synthetic.drawing import Drawn

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

WINDOW = 30
FEATURES = (
    "dashboard",
    "report",
    "export",
    "share",
    "comment",
    "automation",
    "alert",
    "integration",
    "api",
    "forecast",
)
LOGIN = "login"
# chance that a feature is used on an active day, the first features most
DAILY = 0.7 * 0.6 ** np.arange(len(FEATURES))


@dataclass(frozen=True, eq=False)
class Month:
    """One month of usage; arrays of shape (accounts, days of the month)."""

    number: int
    active: Mask
    users: Integers
    logins: Integers
    used: Mask
    """Features used, shape (accounts, days, features)."""


def usage_tables(
    drawn: Drawn, keys: pd.Series, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Account-day counts by feature, and active users by day.

    Parameters
    ----------
    drawn : Drawn
        The portfolio.
    keys : Series of str, shape (n,)
        Account ids.
    rng : Generator
        Randomness of the days.

    Returns
    -------
    events_daily : DataFrame
        account_id, event_date, event_type (a feature, or 'login'), n_events.
    active_users_daily : DataFrame
        account_id, event_date, active_users; a row per day on which a feature was used.
    """
    events, users = [], []
    for month in _months(drawn, rng):
        first = drawn.calendar.first_days(np.array([month.number]))[0]
        rows, days = np.nonzero(month.active)
        users.append((rows, first + days, month.users[rows, days]))
        events.append(_events(month, first, rng))
    day_table = _table(drawn, keys, [np.concatenate(part) for part in zip(*users, strict=True)])
    rows, dates, types, counts = (np.concatenate(part) for part in zip(*events, strict=True))
    event_table = _table(drawn, keys, [rows, dates, counts], types)
    return event_table, day_table


def _table(drawn: Drawn, keys: pd.Series, columns: list[Any], types: Integers | None = None) -> pd.DataFrame:
    rows, dates, counts = columns
    kept = drawn.kept(rows, dates)
    frame = {
        "account_id": keys.take(rows[kept]).to_numpy(),
        "event_date": dates[kept].astype("datetime64[us]"),
    }
    if types is None:
        return pd.DataFrame({**frame, "active_users": counts[kept]})
    names = pd.Series([*FEATURES, LOGIN], dtype="str").take(types[kept]).to_numpy()
    return pd.DataFrame({**frame, "event_type": names, "n_events": counts[kept]})


def _events(
    month: Month, first: np.datetime64, rng: np.random.Generator
) -> tuple[Integers, NDArray[np.datetime64], Integers, Integers]:
    rows, days, types = np.nonzero(month.used)
    counts = 1 + rng.poisson(0.5 * month.users[rows, days])
    who, when = np.nonzero(month.logins)
    return (
        np.concatenate([rows, who]),
        first + np.concatenate([days, when]),
        np.concatenate([types, np.full(len(who), len(FEATURES))]),
        np.concatenate([counts, month.logins[who, when]]),
    )


def _months(drawn: Drawn, rng: np.random.Generator) -> Iterator[Month]:
    recorded, seats = drawn.paths.recorded, drawn.accounts.seats
    starts = drawn.calendar.first_days(np.append(drawn.months, len(drawn.months)))
    lengths = np.diff(starts).astype(np.int64)
    target = recorded["usage_days"].astype(np.int64)
    peak = np.maximum(1, np.rint(seats[:, None] * recorded["seats_used"] / 100.0)).astype(np.int64)
    before = Carried.nothing(len(seats))
    for number, length in enumerate(lengths.tolist()):
        following = int(lengths[number + 1]) if number + 1 < len(lengths) else WINDOW
        tail = max(0, WINDOW - following)
        first_day = np.where(drawn.accounts.start_month == number, drawn.accounts.start_day, 1)
        goal = Goal(target[:, number] - before.active, target[:, number + 1], first_day)
        active = _active(goal, length=length, tail=tail, rng=rng)
        cap = np.minimum(peak[:, number], peak[:, number + 1])
        users = _users(active, peak[:, number], cap=cap, tail=tail, rng=rng)
        logins = _logins(
            active,
            _login_count(recorded["logins_per_seat"][:, number], seats) - before.logins,
            since=recorded["days_since_login"][:, number].astype(np.int64),
            first_day=first_day,
            rng=rng,
        )
        used = _features(active, recorded["feature_adoption"][:, number], rng=rng)
        before = Carried.of(active, logins, tail)
        yield Month(number, active, users, logins, used)


@dataclass(frozen=True, eq=False)
class Goal:
    """Active days that the windows of this and the next month need, and the first day that may have some."""

    now: Integers
    following: Integers
    first_day: Integers


@dataclass(frozen=True, eq=False)
class Carried:
    """What the last days of a month hand on to the next month's window, each of shape (n,)."""

    active: Integers
    logins: Integers

    @classmethod
    def nothing(cls, n: int) -> "Carried":
        return cls(np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64))

    @classmethod
    def of(cls, active: Mask, logins: Integers, tail: int) -> "Carried":
        if not tail:
            return cls.nothing(len(active))
        return cls(active[:, -tail:].sum(axis=1), logins[:, -tail:].sum(axis=1))


def _active(goal: Goal, *, length: int, tail: int, rng: np.random.Generator) -> Mask:
    """Choose the active days of a month."""
    n, window = len(goal.now), min(length, WINDOW)
    active = np.zeros((n, length), dtype=bool)
    day = np.arange(1, length + 1)
    open_days = day >= goal.first_day[:, None]
    in_tail = np.zeros(n, dtype=np.int64)
    if tail:
        low = np.maximum(goal.following - (WINDOW - tail), goal.now - (window - tail))
        high = np.minimum(goal.now, goal.following)
        drawn = rng.binomial(tail, np.clip(goal.now / WINDOW, 0.0, 1.0))
        in_tail = np.clip(np.clip(drawn, low, high), 0, tail)
        active[:, -tail:] = _chosen(in_tail, open_days[:, -tail:], rng)
    body = slice(length - window, length - tail)
    active[:, body] = _chosen(goal.now - in_tail, open_days[:, body], rng)
    if length > window:
        active[:, 0] = (rng.random(n) < goal.now / WINDOW) & open_days[:, 0]
    return active


def _chosen(count: Integers, open_days: Mask, rng: np.random.Generator) -> Mask:
    """So many of the open days per row, at random; all where there are too few."""
    key = np.where(open_days, rng.random(open_days.shape), 2.0)
    rank = np.argsort(np.argsort(key, axis=1), axis=1)
    return np.asarray((rank < count[:, None]) & open_days)


def _users(active: Mask, peak: Integers, *, cap: Integers, tail: int, rng: np.random.Generator) -> Integers:
    """Active users: the month's peak on one active day of the window, fewer on the others."""
    share = rng.uniform(0.45, 1.0, active.shape)
    share[np.arange(len(active)), _first_in_window(active)] = 1.0
    users = np.maximum(1, np.rint(share * peak[:, None])).astype(np.int64)
    if tail:
        users[:, -tail:] = np.minimum(users[:, -tail:], cap[:, None])
    return np.where(active, users, 0)


def _first_in_window(active: Mask) -> Integers:
    begin = max(0, active.shape[1] - WINDOW)
    return np.asarray(begin + active[:, begin:].argmax(axis=1), dtype=np.int64)


def _login_count(per_seat: Array, seats: Integers) -> Integers:
    return np.rint(per_seat * seats).astype(np.int64)


def _logins(
    active: Mask, total: Integers, *, since: Integers, first_day: Integers, rng: np.random.Generator
) -> Integers:
    """Logins per day: so many in the window, the last one so many days before the month's end."""
    length = active.shape[1]
    begin = max(0, length - WINDOW)
    day = np.arange(length)
    last = length - 1 - since
    before_last = (day < last[:, None]) & active & (rng.random(active.shape) < 0.8) & (day >= begin)
    most = np.maximum(total - 1, 0)
    order = np.where(before_last, rng.random(active.shape), 2.0).argsort(axis=1).argsort(axis=1)
    on = before_last & (order < most[:, None])
    in_time = (last >= np.maximum(begin, first_day - 1)) & (last >= 0)
    on[np.flatnonzero(in_time), last[in_time]] = True
    on &= in_time[:, None]
    extra = np.maximum(total - on.sum(axis=1), 0)
    weight = np.where(on, rng.uniform(0.3, 1.0, active.shape), 0.0)
    whole = np.cumsum(weight, axis=1) / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    steps = np.diff(np.rint(whole * extra[:, None]), axis=1, prepend=0.0)
    return np.where(on, 1 + steps.astype(np.int64), 0)


def _features(active: Mask, adoption: Array, *, rng: np.random.Generator) -> Mask:
    """Features used per day: the month's first k of ten, each at least once in the window."""
    n, length = active.shape
    known = np.clip(np.rint(adoption * len(FEATURES) / 100.0), 1, len(FEATURES)).astype(np.int64)
    adopted = np.arange(len(FEATURES)) < known[:, None]
    used = (rng.random((n, length, len(FEATURES)), dtype=np.float32) < DAILY) & adopted[:, None, :]
    used[:, :, 0] = True  # an active day has at least one
    used &= active[:, :, None]
    begin = max(0, length - WINDOW)
    inside = active[:, begin:]
    order: Integers = np.argsort(~inside, axis=1, kind="stable")  # active days of the window first
    count: Integers = inside.sum(axis=1)
    turn = np.asarray(rng.integers(length, size=n), dtype=np.int64)
    for feature in range(1, len(FEATURES)):
        rows = np.flatnonzero(adopted[:, feature] & (count > 0))
        pick = order[rows, (feature * 7 + turn[rows]) % count[rows]]
        used[rows, begin + pick, feature] = True
    return used
