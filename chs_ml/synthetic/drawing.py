"""Everything that is drawn for a portfolio, in one order: the same seed, the same draws."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chs_ml.errors import InputError
from chs_ml.synthetic.accounts import Accounts, Calendar, draw_accounts
from chs_ml.synthetic.paths import Paths, draw_paths
from chs_ml.synthetic.renewals import STAYED, Renewals, draw_renewals
from chs_ml.synthetic.truth import churn_at_renewal

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
Days = NDArray[np.datetime64]

NEVER = np.datetime64("2999-12-31", "D")


@dataclass(frozen=True, eq=False)
class Drawn:
    """Accounts, their monthly paths and their renewals.

    Attributes
    ----------
    calendar : Calendar
        Simulated months.
    accounts : Accounts
        n accounts.
    paths : Paths
        Arrays of shape (n, months).
    renewals : Renewals
        Who left, and when.
    """

    calendar: Calendar
    accounts: Accounts
    paths: Paths
    renewals: Renewals

    @property
    def months(self) -> Integers:
        """The months up to the data cut, run-up included."""
        return np.arange(self.calendar.shown.stop)

    @property
    def start(self) -> Days:
        """First day of the first contract, shape (n,)."""
        return self.calendar.first_days(self.accounts.start_month) + (self.accounts.start_day - 1)

    @property
    def leave(self) -> Days:
        """Day on which an account left, which has nothing more; NEVER where it stayed."""
        left = self.renewals.churn_month != STAYED
        month = np.where(left, self.renewals.churn_month, 0)
        return np.where(left, self.calendar.first_days(month) + (self.accounts.start_day - 1), NEVER)

    @property
    def customer(self) -> Mask:
        """Whether an account is a customer at the end of a month up to the data cut, shape (n, months)."""
        return self.renewals.customer(self.accounts)[:, : self.calendar.shown.stop]

    def kept(self, rows: Integers, days: Days) -> Mask:
        """Events of accounts that fall into their time as customers, and not after the data cut."""
        inside = (days >= self.start[rows]) & (days < self.leave[rows])
        return np.asarray(inside & (days <= self.calendar.data_cut))


def draw(*, accounts: int, months: int, seed: int) -> Drawn:
    """Draw a portfolio.

    Raises
    ------
    InputError
        Where there are no accounts, too few months for an outcome to be known, or the seed is negative.
    """
    if accounts < 1 or months <= Calendar.horizon or seed < 0:
        raise InputError(
            f"A portfolio needs at least 1 account, {Calendar.horizon + 1} months, so that some outcomes are "
            f"known, and a seed that is not negative; got accounts={accounts}, months={months}, seed={seed}."
        )
    rng = np.random.default_rng(seed)
    calendar = Calendar(months)
    drawn = draw_accounts(rng, accounts, calendar)
    paths = draw_paths(rng, drawn, calendar)
    renewals = draw_renewals(rng, drawn, churn_at_renewal(drawn, paths), calendar)
    return Drawn(calendar, drawn, paths, renewals)
