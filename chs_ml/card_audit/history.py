"""A score's history exported from elsewhere, joined to the renewals that it should have foreseen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from chs_ml.errors import TableError, first_few
from chs_ml.outcome import churn_codes
from chs_ml.tiers import Tiers
from chs_ml.validation.history import ScoreHistory, read_dates, score_history

MAX_AGE_DAYS = 45


@dataclass(frozen=True, kw_only=True, eq=False)
class JoinedHistory:
    """Renewals with the score that was known a lead time before.

    Attributes
    ----------
    renewals : DataFrame
        A row per renewal in the order given: account, renewal_date, churned (1, 0, NaN open), snapshot_date,
        score, tier (name); score missing where no snapshot was recent enough.
    healed : DataFrame
        Scores dated after the account's churn that are in the healthiest tier while the last one before was
        not: account, churn_date, snapshot_date, score, score_before. They must judge nothing.
    after_churn : int
        Scores dated after their account's churn.
    history : ScoreHistory
        All scores.
    """

    renewals: pd.DataFrame
    healed: pd.DataFrame
    after_churn: int
    history: ScoreHistory


def join_history(
    scores: pd.DataFrame,
    renewals: pd.DataFrame,
    *,
    lead_days: int,
    max_age_days: int = MAX_AGE_DAYS,
    tiers: Tiers | None = None,
    account: str = "account",
) -> JoinedHistory:
    """Join a history of scores to the right renewal by lead time.

    The score that judges a renewal is the last one at least `lead_days` before it and at most `max_age_days`
    older than that day; what was said later is never used.

    Parameters
    ----------
    scores : DataFrame
        Columns of account, ``date`` and ``score``.
    renewals : DataFrame
        Columns of account, ``renewal_date`` and ``outcome`` (renewed, churned, contracted, open; or 0 and 1).
    lead_days : int
        Days between the score and the renewal, >= 0.
    max_age_days : int
        How much older the score may be.
    tiers : Tiers, optional
        75 and 50 by default.
    account : str
        Name of the account column in both tables.

    Raises
    ------
    TableError
        Where a column is missing, a date cannot be read, or an account has two scores on one day.
    """
    _check(scores, (account, "date", "score"), "score history")
    _check(renewals, (account, "renewal_date", "outcome"), "renewals")
    if lead_days < 0 or max_age_days < 0:
        raise TableError(f"lead_days and max_age_days must be 0 or more; got {lead_days} and {max_age_days}.")
    history = score_history(
        scores[account].to_numpy(), snapshot_date=scores["date"].to_numpy(), score=scores["score"].to_numpy(),
        tiers=tiers,
    )  # fmt: skip
    due = read_dates(renewals["renewal_date"].reset_index(drop=True), "renewal_date")
    names = renewals[account].astype("str").to_numpy()
    wanted = pd.Series(due.to_numpy(), index=pd.Index(names)) - pd.Timedelta(days=lead_days)
    found = history.as_of(wanted, max_age_days=max_age_days)
    tier_names = np.array([*history.tiers.names, None], dtype=object)
    joined = pd.DataFrame({
        "account": names, "renewal_date": due.to_numpy(),
        "churned": churn_codes(renewals["outcome"].to_numpy()),
        "snapshot_date": found["snapshot_date"].to_numpy(), "score": found["score"].to_numpy(),
        "tier": tier_names[found["tier"].to_numpy(dtype=np.intp)],
    })  # fmt: skip
    healed, after = _healed(history, joined)
    return JoinedHistory(renewals=joined, healed=healed, after_churn=after, history=history)


def _check(table: pd.DataFrame, columns: tuple[str, ...], what: str) -> None:
    lacking = [name for name in columns if name not in table.columns]
    if lacking:
        raise TableError(
            f"The {what} must have the columns {first_few(columns)}; missing: {first_few(lacking)}."
        )


def _healed(history: ScoreHistory, joined: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    churns: Any = joined[joined["churned"] == 1.0].groupby("account")["renewal_date"].max()
    frame = history.frame.assign(churn_date=history.frame["account"].map(churns))
    later = frame[frame["snapshot_date"] > frame["churn_date"]]
    before = frame[frame["snapshot_date"] <= frame["churn_date"]].groupby("account").last()
    told = later.assign(
        score_before=later["account"].map(before["score"]), tier_before=later["account"].map(before["tier"])
    )
    green = told[(told["tier"] == 0) & (told["tier_before"] > 0)].groupby("account", as_index=False).first()
    columns = ["account", "churn_date", "snapshot_date", "score", "score_before"]
    return green[columns].sort_values("account", ignore_index=True), len(later)
