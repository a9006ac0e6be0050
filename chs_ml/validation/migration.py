"""How accounts move between tiers: migration, flapping, and what hysteresis costs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from chs_ml.validation.capture import MAX_AGE_DAYS, account_years, capture_before_churn, entered_last_tier
from chs_ml.validation.history import ScoreHistory
from chs_ml.validation.result import NAN, Codes


def migration_matrix(history: ScoreHistory, *, shares: bool = False) -> pd.DataFrame:
    """Moves between an account's neighbouring snapshots.

    Parameters
    ----------
    history : ScoreHistory
        Scores over time.
    shares : bool, default=False
        Shares of each row instead of counts.

    Returns
    -------
    DataFrame of shape (k, k)
        From (rows) to (columns), healthiest first.
    """
    here, there = _moves(history)
    names, k = list(history.tiers.names), len(history.tiers.names)
    counts = np.bincount(here * k + there, minlength=k * k).reshape(k, k).astype(np.float64)
    if shares:
        totals = counts.sum(axis=1, keepdims=True)
        counts = np.divide(counts, totals, out=np.full_like(counts, NAN), where=totals > 0)
        return pd.DataFrame(counts, index=names, columns=names)
    return pd.DataFrame(counts.astype(np.int64), index=names, columns=names)


def _moves(history: ScoreHistory) -> tuple[Codes, Codes]:
    tier, account = history.tier, history.account
    pairs = (account[1:] == account[:-1]) & (tier[1:] >= 0) & (tier[:-1] >= 0)
    return tier[:-1][pairs], tier[1:][pairs]


@dataclass(frozen=True, kw_only=True)
class Flapping:
    """How restless the tiers are.

    Attributes
    ----------
    moves : int
        Pairs of neighbouring snapshots.
    changes : int
        Pairs between which the tier changed.
    flaps : int
        Changes that the next snapshot took back.
    change_rate : float
        Changes per pair.
    flapping_rate : float
        Flaps per change that has a next snapshot; NaN without such changes.
    """

    moves: int
    changes: int
    flaps: int
    change_rate: float
    flapping_rate: float


def flapping(history: ScoreHistory) -> Flapping:
    """Count tier changes, and those that the account's next snapshot took back."""
    here, there = _moves(history)
    tier, account = history.tier, history.account
    triples = (account[2:] == account[:-2]) & (np.minimum(np.minimum(tier[2:], tier[1:-1]), tier[:-2]) >= 0)
    changed = triples & (tier[1:-1] != tier[:-2])
    flaps = int((changed & (tier[2:] == tier[:-2])).sum())
    changes = int((here != there).sum())
    return Flapping(
        moves=len(here),
        changes=changes,
        flaps=flaps,
        change_rate=changes / len(here) if len(here) else NAN,
        flapping_rate=flaps / int(changed.sum()) if changed.any() else NAN,
    )


def with_hysteresis(history: ScoreHistory, *, margin: float = 0.0, readings: int = 1) -> ScoreHistory:
    """Let an account change its tier only on clear or repeated evidence.

    Parameters
    ----------
    history : ScoreHistory
        Scores over time.
    margin : float, default=0
        Points by which a score must pass the bound of another tier.
    readings : int, default=1
        Neighbouring snapshots that must agree on leaving the tier; the account then moves to the tier of
        the last of them.

    Returns
    -------
    ScoreHistory
        The same scores with the tiers that a team would have seen. A snapshot without a score has no tier
        and interrupts the readings.
    """
    score, raw, account = history.score, history.tier, history.account
    inside = [_bounds(history, code, margin) for code in range(len(history.tiers.names))]
    held = raw.copy()
    current, streak = -1, 0
    for i in range(len(raw)):
        if i == 0 or account[i] != account[i - 1]:
            current, streak = -1, 0
        if raw[i] < 0:
            streak = 0
            continue
        low, high = inside[current] if current >= 0 else (0.0, 0.0)
        leaves = current < 0 or not low <= score[i] < high
        streak = streak + 1 if leaves else 0
        if current < 0 or streak >= readings:
            current, streak = int(raw[i]), 0
        held[i] = current
    return replace(history, frame=history.frame.assign(tier=held))


def _bounds(history: ScoreHistory, code: int, margin: float) -> tuple[float, float]:
    """Range of scores in which an account of that tier stays."""
    bounds = history.tiers.lower_bounds
    low = -np.inf if code == len(bounds) - 1 else bounds[code] - margin
    high = np.inf if code == 0 else bounds[code - 1] + margin
    return float(low), float(high)


@dataclass(frozen=True, kw_only=True)
class HysteresisCost:
    """What one setting of hysteresis saves and costs.

    Attributes
    ----------
    margin : float
        Points beyond a bound.
    readings : int
        Snapshots that must agree.
    alarms_per_account_year : float
        Entries into the least healthy tier.
    flapping_rate : float
        Changes taken back at once.
    captured : float
        Share of churned accounts below the healthiest tier 60 days before churn.
    delay_days : float
        Mean days by which the first alarm before a churn comes later than without hysteresis; alarms
        that never come are not in it, see `lost_alarms`.
    lost_alarms : int
        Churned accounts alarmed without hysteresis and not with it.
    """

    margin: float
    readings: int
    alarms_per_account_year: float
    flapping_rate: float
    captured: float
    delay_days: float
    lost_alarms: int


def hysteresis_cost(
    history: ScoreHistory,
    churn_dates: pd.Series,
    *,
    settings: Sequence[tuple[float, int]] = ((0.0, 1), (2.0, 1), (5.0, 1), (0.0, 2), (0.0, 3)),
    days_before: int = 60,
    max_age_days: int = MAX_AGE_DAYS,
) -> tuple[HysteresisCost, ...]:
    """Measure what hysteresis saves in alarms and costs in delay, for settings (margin, readings)."""
    churns = pd.to_datetime(churn_dates).astype("datetime64[us]")
    churns.index = churns.index.astype("str")
    plain = _first_alarms(history, churns)
    found = []
    for margin, readings in settings:
        held = with_hysteresis(history, margin=margin, readings=readings)
        capture = capture_before_churn(held, churns, days=(days_before,), max_age_days=max_age_days)[0]
        alarms = _first_alarms(held, churns)
        both = plain.index.intersection(alarms.index)
        later = np.asarray((alarms[both] - plain[both]).dt.days, dtype=np.float64)
        found.append(
            HysteresisCost(
                margin=margin,
                readings=readings,
                alarms_per_account_year=int(entered_last_tier(held).sum()) / account_years(held),
                flapping_rate=flapping(held).flapping_rate,
                captured=capture.below_healthy,
                delay_days=float(later.mean()) if len(later) else NAN,
                lost_alarms=len(plain.index.difference(alarms.index)),
            )
        )
    return tuple(found)


def _first_alarms(history: ScoreHistory, churns: pd.Series) -> pd.Series:
    """Date of the first alarm of each churned account, up to its churn."""
    entries = history.frame[entered_last_tier(history)]
    before = entries["snapshot_date"] <= entries["account"].map(churns)
    return entries[before].groupby("account")["snapshot_date"].min()
