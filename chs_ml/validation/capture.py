"""Was the churn seen coming? Capture before churn, green churn, false alarms."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from chs_ml.validation.history import ScoreHistory
from chs_ml.validation.intervals import churn_rate, jeffreys
from chs_ml.validation.result import NAN, Interval

DAYS_BEFORE = (30, 60, 90, 120)
MAX_AGE_DAYS = 45


@dataclass(frozen=True, kw_only=True)
class Capture:
    """How many churns a score had flagged some days before they happened.

    Attributes
    ----------
    days_before : int
        Warning time.
    churned : int
        Churned accounts.
    known : int
        Those with a score recent enough at that time; the others cannot be judged.
    below_healthy, below_healthy_interval
        Share of the known that stood below the healthiest tier; Jeffreys.
    critical, critical_interval
        Share that stood in the least healthy tier.
    """

    days_before: int
    churned: int
    known: int
    below_healthy: float
    below_healthy_interval: Interval
    critical: float
    critical_interval: Interval


def capture_before_churn(
    history: ScoreHistory,
    churn_dates: pd.Series,
    *,
    days: Sequence[int] = DAYS_BEFORE,
    max_age_days: int = MAX_AGE_DAYS,
    level: float = 0.95,
) -> tuple[Capture, ...]:
    """Ask which tier each churned account was in some days before it churned.

    Parameters
    ----------
    history : ScoreHistory
        Scores over time.
    churn_dates : Series of datetime64, index = account
        One date per churned account.
    days : sequence of int
        Warning times.
    max_age_days : int
        The last score before that time must be no older than this.
    """
    return tuple(_capture(history, churn_dates, d, max_age_days, level=level) for d in days)


def _capture(
    history: ScoreHistory, churn_dates: pd.Series, days: int, max_age_days: int, *, level: float
) -> Capture:
    found = _before(history, churn_dates, days, max_age_days)
    tier = found["tier"].to_numpy()
    known = int((tier >= 0).sum())
    below, critical = int((tier > 0).sum()), int((tier == len(history.tiers.names) - 1).sum())
    return Capture(
        days_before=days,
        churned=len(found),
        known=known,
        below_healthy=below / known if known else NAN,
        below_healthy_interval=jeffreys(below, known, level=level),
        critical=critical / known if known else NAN,
        critical_interval=jeffreys(critical, known, level=level),
    )


def _before(history: ScoreHistory, churn_dates: pd.Series, days: int, max_age_days: int) -> pd.DataFrame:
    churns = pd.to_datetime(churn_dates).astype("datetime64[us]")
    found = history.as_of(churns - pd.Timedelta(days=days), max_age_days=max_age_days)
    return found.assign(churn_date=churns.to_numpy())


def green_churn(
    history: ScoreHistory,
    churn_dates: pd.Series,
    *,
    details: pd.DataFrame | None = None,
    days_before: int = 60,
    max_age_days: int = MAX_AGE_DAYS,
) -> pd.DataFrame:
    """List the accounts that churned although they were in the healthiest tier shortly before.

    Parameters
    ----------
    history, churn_dates, max_age_days
        As in `capture_before_churn`.
    details : DataFrame, optional
        With columns account and snapshot_date, and whatever shall stand beside each account: coverage,
        drivers, value, owner.
    days_before : int, default=60
        Warning time.

    Returns
    -------
    DataFrame
        account, churn_date, snapshot_date, score, tier (name) and the details; highest score first.
    """
    found = _before(history, churn_dates, days_before, max_age_days)
    listed = found[found["tier"] == 0].drop(columns="date").assign(tier=history.tiers.names[0])
    if details is not None:
        beside = details.assign(
            account=details["account"].astype("str"),
            snapshot_date=pd.to_datetime(details["snapshot_date"]).astype("datetime64[us]"),
        )
        listed = listed.merge(beside, on=["account", "snapshot_date"], how="left", suffixes=("", "_detail"))
    front = ["account", "churn_date", "snapshot_date", "score", "tier"]
    ordered = listed[[*front, *(c for c in listed.columns if c not in front)]]
    return ordered.sort_values(["score", "account"], ascending=[False, True], ignore_index=True)


@dataclass(frozen=True, kw_only=True)
class FalseAlarms:
    """Alarms that no churn followed.

    Attributes
    ----------
    alarms : int
        Times an account entered the least healthy tier, with the horizon fully observed after it.
    open : int
        Alarms whose horizon is not over; they judge nothing.
    false_share, interval
        Share of the alarms without churn within the horizon; Jeffreys, clustered by account.
    per_account_year : float
        Alarms per account and year of history.
    """

    alarms: int
    open: int
    false_share: float
    interval: Interval
    per_account_year: float


def false_alarms(
    history: ScoreHistory, churn_dates: pd.Series, *, as_of: str, horizon_days: int, level: float = 0.95
) -> FalseAlarms:
    """Count alarms, entries into the least healthy tier, that no churn followed within the horizon.

    Parameters
    ----------
    history, churn_dates
        As in `capture_before_churn`.
    as_of : str
        Date up to which churns are known.
    horizon_days : int
        Days after an alarm within which churn confirms it.
    """
    entries = history.frame[entered_last_tier(history)]
    churns = pd.to_datetime(churn_dates).astype("datetime64[us]")
    churns.index = churns.index.astype("str")
    churned_at = entries["account"].map(churns)
    after = (churned_at - entries["snapshot_date"]).dt.days
    came = (after >= 0) & (after <= horizon_days)
    over = entries["snapshot_date"] + pd.Timedelta(days=horizon_days) <= pd.Timestamp(as_of)
    judged = (over | came).to_numpy(dtype=bool)
    missed = np.where(came.to_numpy(dtype=bool)[judged], 0.0, 1.0)
    codes = pd.factorize(entries["account"])[0][judged]
    rate = churn_rate(missed, np.unique(codes, return_inverse=True)[1], level=level)
    return FalseAlarms(
        alarms=int(judged.sum()),
        open=int((~judged).sum()),
        false_share=rate.value,
        interval=rate.interval,
        per_account_year=len(entries) / account_years(history),
    )


def entered_last_tier(history: ScoreHistory) -> pd.Series:
    """True in rows that stand in the least healthy tier while the account's row before does not."""
    last = len(history.tiers.names) - 1
    now = history.frame["tier"] == last
    before = history.frame.groupby("account", sort=False)["tier"].shift()
    return now & (before != last)


def account_years(history: ScoreHistory) -> float:
    """Years of history summed over accounts; an account seen once counts as a month."""
    dates = history.frame.groupby("account", sort=False)["snapshot_date"]
    days = (dates.max() - dates.min()).dt.days.clip(lower=30)
    return float(days.sum()) / 365.25
