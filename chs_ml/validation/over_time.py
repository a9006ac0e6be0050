"""A score over time: moves between tiers, and where churn dates are known, whether churn was seen coming."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from chs_ml.errors import NotEnoughData
from chs_ml.validation.capture import (
    Capture,
    FalseAlarms,
    capture_before_churn,
    false_alarms,
    green_churn,
)
from chs_ml.validation.history import ScoreHistory
from chs_ml.validation.migration import (
    Flapping,
    HysteresisCost,
    flapping,
    hysteresis_cost,
    migration_matrix,
)
from chs_ml.validation.policy import Policy
from chs_ml.validation.result import NAN, HypothesisTest
from chs_ml.validation.stability import stability_test

HORIZON_DAYS = 90


@dataclass(frozen=True, kw_only=True)
class GreenChurn:
    """An account that churned although it stood in the healthiest tier 60 days before.

    Attributes
    ----------
    account : str
        The account.
    churn_date, snapshot_date : str
        The day it left, and of the score that said it was healthy (YYYY-MM-DD).
    score : float
        That score.
    coverage : float
        Share of the score's weight that was known; NaN where no model says it.
    reasons : tuple of str
        What drove the score; empty where no model says it.
    """

    account: str
    churn_date: str
    snapshot_date: str
    score: float
    coverage: float = NAN
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OverTime:
    """What a score's history shows.

    Attributes
    ----------
    accounts, snapshots : int
        Accounts, and their snapshots, in the history.
    migration : mapping of str to mapping of str to int
        Moves between neighbouring snapshots: from, to, count.
    flapping : Flapping
        Changes, and those taken back.
    stability : HypothesisTest or None
        The newest snapshot day against the one before; None where either has too few scores.
    capture, green_churn, false_alarms, hysteresis
        Where churn dates are given: seen coming, the green-churn list, alarms without churn, and what
        hysteresis costs.
    """

    accounts: int
    snapshots: int
    migration: Mapping[str, Mapping[str, int]]
    flapping: Flapping
    stability: HypothesisTest | None = None
    capture: tuple[Capture, ...] = ()
    green_churn: tuple[GreenChurn, ...] = ()
    false_alarms: FalseAlarms | None = None
    hysteresis: tuple[HysteresisCost, ...] = ()


def over_time(
    history: ScoreHistory,
    *,
    as_of: str | None = None,
    horizon_days: int | None = None,
    policy: Policy | None = None,
    level: float = 0.95,
) -> OverTime:
    """Judge a history of scores.

    Parameters
    ----------
    history : ScoreHistory
        Scores over time; without churn dates only moves are judged.
    as_of : str, optional
        Date up to which churns are known; the newest snapshot without.
    horizon_days : int, optional
        Days within which a churn confirms an alarm; 90 without.
    policy : Policy, optional
        Thresholds of the verdicts.
    level : float, default=0.95
        Of the intervals.
    """
    moves = migration_matrix(history).to_dict("index")
    known = OverTime(
        accounts=int(history.frame["account"].nunique()),
        snapshots=len(history.frame),
        migration={str(here): {str(to): int(n) for to, n in row.items()} for here, row in moves.items()},
        flapping=flapping(history),
        stability=_stability(history, policy),
    )
    churn_dates = history.churn_dates
    if churn_dates is None or churn_dates.empty:
        return known
    until = as_of or str(history.frame["snapshot_date"].max().date())
    days = horizon_days or HORIZON_DAYS
    return replace(
        known,
        capture=capture_before_churn(history, churn_dates, level=level),
        green_churn=_green(history, churn_dates),
        false_alarms=false_alarms(history, churn_dates, as_of=until, horizon_days=days, level=level),
        hysteresis=hysteresis_cost(history, churn_dates),
    )


def _green(history: ScoreHistory, churn_dates: pd.Series) -> tuple[GreenChurn, ...]:
    return tuple(
        GreenChurn(
            account=str(row["account"]),
            churn_date=_day(row["churn_date"]),
            snapshot_date=_day(row["snapshot_date"]),
            score=float(row["score"]),
        )
        for row in green_churn(history, churn_dates).to_dict("records")
    )


def _day(value: Any) -> str:
    return str(pd.Timestamp(value).date())


def _stability(history: ScoreHistory, policy: Policy | None) -> HypothesisTest | None:
    frame = history.frame.dropna(subset="score")
    last = np.sort(frame["snapshot_date"].unique())[-2:]
    if len(last) < 2:
        return None
    before, now = (frame.loc[frame["snapshot_date"] == day, "score"].to_numpy() for day in last)
    try:
        return stability_test(before, now, policy=policy)
    except NotEnoughData:
        return None  # as the report then says: two days of ten scores are needed
