"""Columns filled in after the snapshot, outreach and churn dates: they judge and are never metrics."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.errors import TableError
from chs_ml.metric import Kind
from chs_ml.validation.history import churn_dates_of
from chs_ml.values import read_values

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Later:
    """What is known of rows only later.

    Attributes
    ----------
    treated : ndarray of bool, shape (n,), or None
        Whether the account was worked on between snapshot and outcome.
    churn_date : Series of shape (n,), or None
        Day the account left, blank where it stayed.
    remarks : tuple of str
        Columns that were named and are not there, or cannot be used.
    """

    treated: Mask | None = None
    churn_date: pd.Series | None = None
    remarks: tuple[str, ...] = ()

    @property
    def of_one(self) -> dict[str, Any]:
        """What `chs_ml.validate` takes of it."""
        return {"treated": self.treated, "churn_date": self.churn_date, "remarks": self.remarks}


def read_later(
    table: pd.DataFrame, account: pd.Series, *, treated: str | None, churn_date: str | None, dated: bool
) -> Later:
    """Read the columns of a table of n rows; a named column that is lacking is a remark, never a silence.

    Parameters
    ----------
    table : DataFrame
        With the columns, if it has them.
    account : Series of shape (n,)
        Account of each row.
    treated, churn_date : str or None
        Names of the columns; None where nobody asked.
    dated : bool
        Whether the rows have snapshot dates; without them nothing can be said about time.

    Raises
    ------
    TableError
        Where a row says neither yes nor no, a date cannot be read, or an account left on several days.
    """
    remarks = [
        f"No column {name!r} ([validation] {key}), so {lost}."
        for key, name, lost in (
            ("treated", treated, "churn with and without outreach is not shown"),
            ("churn_date", churn_date, "whether churn was seen coming is not said"),
        )
        if name is not None and name not in table.columns
    ]
    days = None
    if churn_date is not None and churn_date in table.columns:
        if dated:
            days = table[churn_date].reset_index(drop=True)
            churn_dates_of(account.reset_index(drop=True), days)  # checked at the door, used in validate
        else:
            remarks.append(f"Without snapshot dates the churn dates in {churn_date!r} say nothing.")
    worked = yes_or_no(table, treated) if treated is not None and treated in table.columns else None
    return Later(treated=worked, churn_date=days, remarks=tuple(remarks))


def yes_or_no(table: pd.DataFrame, name: str) -> Mask:
    """A column in which every row says yes or no, as a mask of shape (n,)."""
    values, bad = read_values(table[name], Kind.YES_NO)
    unsaid = bad | np.isnan(values)
    if unsaid.any():
        raise TableError(
            f"{name} must say yes or no in every row; {int(unsaid.sum()):,} of {len(values):,} do not, "
            f"the first in row {int(np.argmax(unsaid)) + 1}."
        )
    return np.asarray(values == 1.0)
