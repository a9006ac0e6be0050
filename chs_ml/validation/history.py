"""A score's history per account: what was said when, and what was known some days before churn."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from chs_ml.errors import TableError, first_few
from chs_ml.tiers import Tiers
from chs_ml.validation.columns import matched, numbers
from chs_ml.validation.result import Array, Codes


@dataclass(frozen=True)
class ScoreHistory:
    """Scores of accounts over time, sorted by account and date.

    Attributes
    ----------
    frame : DataFrame
        Columns account (str), snapshot_date (datetime64), score (float), tier (int, -1 for none).
    tiers : Tiers
        Names and bounds.
    churn_dates : Series of datetime64, index = account, or None
        The day each churned account left; None where nobody said.
    """

    frame: pd.DataFrame
    tiers: Tiers
    churn_dates: pd.Series | None = None

    @property
    def account(self) -> Codes:
        """Account codes in the order of the frame."""
        return np.asarray(pd.factorize(self.frame["account"])[0], dtype=np.intp)

    @property
    def tier(self) -> Codes:
        """Tier codes, 0 = healthiest, -1 = none."""
        return self.frame["tier"].to_numpy(dtype=np.intp)

    @property
    def score(self) -> Array:
        """Scores."""
        return self.frame["score"].to_numpy(dtype=np.float64)

    def as_of(self, dates: pd.Series, *, max_age_days: int) -> pd.DataFrame:
        """The last snapshot of each account on or before a date.

        Parameters
        ----------
        dates : Series of datetime64, index = account
            One or more dates per account.
        max_age_days : int
            Older snapshots say nothing.

        Returns
        -------
        DataFrame
            One row per date, in order: account, date, snapshot_date, score, tier; missing (tier -1) where
            no snapshot is recent enough.
        """
        wanted = pd.DataFrame({"account": dates.index.astype("str"), "date": dates.to_numpy()})
        wanted["date"] = wanted["date"].astype("datetime64[us]")
        wanted["position"] = np.arange(len(wanted))
        right = self.frame.sort_values("snapshot_date", kind="stable")
        found = pd.merge_asof(
            wanted.sort_values("date", kind="stable"), right,
            left_on="date", right_on="snapshot_date", by="account",
            tolerance=pd.Timedelta(days=max_age_days),
        )  # fmt: skip
        found = found.sort_values("position").drop(columns="position").reset_index(drop=True)
        found["tier"] = found["tier"].fillna(-1).astype(np.intp)
        return found


def score_history(
    account: Any, *, snapshot_date: Any, score: Any, tiers: Tiers | None = None, churn_date: Any = None
) -> ScoreHistory:
    """Sort a score's history; rows without a score stay, without a tier.

    Parameters
    ----------
    account, snapshot_date, score : Series or array of shape (n,)
        Matched by index, arrays by position.
    tiers : Tiers, optional
        75 and 50 by default.
    churn_date : Series or array of shape (n,), optional
        Day the account left, blank where it stayed.

    Raises
    ------
    TableError
        Where an account has two scores on one day, or a date cannot be read.
    """
    given = {"account": account, "snapshot_date": snapshot_date, "score": score, "churn_date": churn_date}
    table = matched({name: column for name, column in given.items() if column is not None})
    dates = read_dates(table["snapshot_date"], "snapshot_date")
    cut = tiers or Tiers()
    scores = numbers(table["score"], "score")
    frame = pd.DataFrame({
        "account": table["account"].astype("str"),
        "snapshot_date": dates,
        "score": scores,
        "tier": np.asarray(cut.assign(scores).codes, dtype=np.intp),
    }).sort_values(["account", "snapshot_date"], kind="stable", ignore_index=True)  # fmt: skip
    twice = frame.duplicated(["account", "snapshot_date"])
    if twice.any():
        raise TableError(
            f"An account must have one score per snapshot; {int(twice.sum())} have more, first of "
            f"{first_few(frame.loc[twice, 'account'].unique().tolist())}. Keep one of them."
        )
    churns = churn_dates_of(table["account"], table["churn_date"]) if "churn_date" in table else None
    return ScoreHistory(frame, cut, churns)


def churn_dates_of(account: pd.Series, churn_date: pd.Series) -> pd.Series:
    """One date per churned account, from rows of shape (n,) whose date is blank where the account stayed.

    Raises
    ------
    TableError
        Where a date cannot be read, or an account has several.
    """
    said = churn_date.notna().to_numpy()
    dates = read_dates(churn_date[said], str(churn_date.name or "churn_date"))
    found = pd.DataFrame({"account": account[said].astype("str"), "date": dates}).drop_duplicates()
    twice = found.loc[found["account"].duplicated(), "account"]
    if len(twice):
        raise TableError(
            f"{churn_date.name or 'churn_date'} must be one day per account; {twice.nunique():,} accounts "
            f"have several: {first_few(twice.unique())}."
        )
    return pd.Series(found["date"].to_numpy(), index=found["account"].to_numpy(), name="churn_date")


def read_dates(series: pd.Series, name: str) -> pd.Series:
    """Read a column of dates of shape (n,), none missing."""
    dates = pd.to_datetime(series, errors="coerce", format="ISO8601").astype("datetime64[us]")
    if dates.isna().any():
        bad = series[dates.isna()]
        raise TableError(
            f"{name} must be a date (YYYY-MM-DD) in every row; {len(bad)} of {len(series)} are not: "
            f"{first_few(bad.tolist())}."
        )
    return dates
