"""Renewals: when they fall due, who leaves, and what a snapshot's outcome is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chs_ml.outcome import Outcome
from chs_ml.synthetic.accounts import Accounts, Calendar

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Integers = NDArray[np.int64]

HORIZON_DAYS = 90
STAYED = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Renewals:
    """Renewals of every account in every simulated month.

    Attributes
    ----------
    due : ndarray of bool, shape (accounts, months)
        A contract term ends in the month, counted from the first snapshot on, were the account still there.
    probability : ndarray of shape (accounts, months)
        Probability to leave at that renewal; 0 where none is due.
    churn_month : ndarray of int, shape (accounts,)
        Month in which the account left; STAYED where it did not.
    """

    due: Mask
    probability: Array
    churn_month: Integers

    def customer(self, accounts: Accounts) -> Mask:
        """Whether an account is a customer at the end of a month, shape (accounts, months)."""
        month = np.arange(self.due.shape[1])
        return (accounts.start_month[:, None] <= month) & (month < self.churn_month[:, None])

    def within_horizon(self, rows: Integers, months: Integers, horizon: int) -> tuple[Mask, Mask, Array]:
        """Look ahead from snapshots.

        Parameters
        ----------
        rows, months : ndarray of int, shape (n,)
            Accounts and months of the snapshots.
        horizon : int
            Months to look ahead.

        Returns
        -------
        due, churned : ndarray of bool, shape (n,)
            Whether a renewal falls due, and whether the account leaves.
        probability : ndarray of shape (n,)
            One minus the product of the chances to stay.
        """
        ahead = months[:, None] + np.arange(1, horizon + 1)
        stay = np.prod(1.0 - self.probability[rows[:, None], ahead], axis=1)
        left = (self.churn_month[rows] > months) & (self.churn_month[rows] <= months + horizon)
        return self.due[rows[:, None], ahead].any(axis=1), left, 1.0 - stay


def draw_renewals(
    rng: np.random.Generator, accounts: Accounts, chance: Array, calendar: Calendar
) -> Renewals:
    """Draw who leaves; the chance at a renewal is that of the state at the end of the month before."""
    month = np.arange(calendar.length)
    age = month - accounts.start_month[:, None]
    due = (age > 0) & (age % accounts.term_months[:, None] == 0) & (month > calendar.run_up)
    before = np.concatenate([np.zeros((accounts.n, 1)), chance[:, :-1]], axis=1)
    probability = np.where(due, before, 0.0)
    leaves = rng.random(probability.shape) < probability
    churn_month = np.where(leaves.any(axis=1), leaves.argmax(axis=1), STAYED)
    return Renewals(due, probability, churn_month)


def outcome_words(churned: Mask, is_open: Mask) -> NDArray[np.str_]:
    """Outcome of snapshots: open where the horizon has not elapsed at the data cut, whatever came before."""
    known = np.where(churned, Outcome.CHURNED.value, Outcome.RENEWED.value)
    return np.where(is_open, Outcome.OPEN.value, known)
