"""Columns that place a score in time: snapshots, and the days accounts left."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from chs_ml.errors import TableError
from chs_ml.tiers import Tiers
from chs_ml.validation.columns import matched
from chs_ml.validation.history import ScoreHistory, churn_dates_of, read_dates, score_history
from chs_ml.validation.result import Codes


@dataclass(frozen=True, kw_only=True)
class Dated:
    """Columns of shape (n,) that place a score in time, as they were matched; None was not given."""

    score: pd.Series
    account: pd.Series | None = None
    snapshot_date: pd.Series | None = None
    churn_date: pd.Series | None = None

    @classmethod
    def of(cls, **columns: Any) -> Self:
        """Match the given columns."""
        given = matched({name: column for name, column in columns.items() if column is not None})
        if "snapshot_date" in given:
            given["snapshot_date"] = read_dates(given["snapshot_date"], "snapshot_date")
        return cls(**given)

    def months(self, positions: Codes) -> Codes | None:
        """Code of the month of each judged row; None without dates."""
        if self.snapshot_date is None:
            return None
        months = self.snapshot_date.iloc[positions].dt.strftime("%Y-%m")
        return np.asarray(pd.factorize(months)[0], dtype=np.intp)

    def history(self, given: ScoreHistory | None, tiers: Tiers | None) -> ScoreHistory | None:
        """The history that is given, else the rows where they have churn dates; None where neither is."""
        if given is not None and self.churn_date is not None and self.account is not None:
            return replace(given, churn_dates=churn_dates_of(self.account, self.churn_date))
        if given is not None or self.churn_date is None:
            return given
        if self.account is None or self.snapshot_date is None:
            raise TableError(
                "churn_date needs account and snapshot_date (--account, --snapshot-date), or account and a "
                "history: which score was known before an account left?"
            )
        return score_history(
            self.account,
            snapshot_date=self.snapshot_date,
            score=self.score,
            tiers=tiers,
            churn_date=self.churn_date,
        )
