"""A simulated B2B SaaS portfolio: monthly snapshots of accounts before their renewals."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.metric import Direction, Kind
from chs_ml.outcome import Outcome
from chs_ml.synthetic.accounts import (
    INDUSTRIES,
    PLANS,
    REGIONS,
    SEGMENTS,
    TERMS,
    Accounts,
    Calendar,
)
from chs_ml.synthetic.catalogue import CATALOGUE, WEIGHTED
from chs_ml.synthetic.drawing import draw
from chs_ml.synthetic.paths import Paths
from chs_ml.synthetic.raw_recipe import raw_recipe
from chs_ml.synthetic.raw_tables import RawTables, make_raw_tables
from chs_ml.synthetic.renewals import HORIZON_DAYS, Renewals, outcome_words
from chs_ml.synthetic.truth import Truth

Integers = NDArray[np.int64]

WHOLE_NUMBERS = frozenset(
    {
        "usage_days",
        "days_since_login",
        "tickets_open",
        "tickets_escalated",
        "touchpoints",
        "tenure_months",
        "overdue_days",
        "failed_payments",
    }
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Portfolio:
    """A simulated portfolio and the truth behind it.

    Attributes
    ----------
    customers : DataFrame
        One row per month's end at which an account is a customer with a renewal due in the next 90 days:
        account_id, snapshot_date, name, owner, segment, renewal_date (the next one), 21 metrics, arr and
        outcome. Outcome is 'open' where 90 days after the snapshot lie beyond the data cut; else 'churned'
        where the account left at a renewal within those 90 days, 'renewed' where it is still a customer.
    accounts : DataFrame
        One row per account: profile, first contract date, contract term, seats, ARR at the start.
    renewals : DataFrame
        One row per renewal after the first snapshot and up to the data cut that an account reached:
        account_id, renewal_date, outcome ('renewed' or 'churned') and the true probability to leave.
    truth : Truth
        True weights, curves, and the true probability of each row of customers.
    data_cut : Timestamp
        Last day of which anything is known.
    months, seed : int
        What it was simulated with.
    """

    customers: pd.DataFrame
    accounts: pd.DataFrame
    renewals: pd.DataFrame
    truth: Truth
    data_cut: pd.Timestamp
    months: int
    seed: int

    def raw_recipe(
        self, folder: str | Path, *, kind: Literal["renewal", "calendar"] = "renewal"
    ) -> dict[str, Any]:
        """A recipe for the raw tables in a folder (see `write_raw_tables`), as ``load_recipe`` takes it.

        Parameters
        ----------
        folder : str or Path
            Where the tables are.
        kind : {"renewal", "calendar"}
            Snapshots 30 days before each renewal, or at the month ends of `customers`.
        """
        first = self.customers["snapshot_date"].min()
        return raw_recipe(
            kind=kind,
            first=f"{first:%Y-%m-%d}",
            data_cut=f"{self.data_cut:%Y-%m-%d}",
            horizon_days=HORIZON_DAYS,
            folder=str(folder),
        )

    def raw_tables(self) -> RawTables:
        """Make the raw tables behind the metrics: contracts, usage by day, tickets, surveys, invoices …

        The portfolio is drawn once more, so that it need not keep what it was made of.
        """
        drawn = draw(accounts=len(self.accounts), months=self.months, seed=self.seed)
        return make_raw_tables(drawn, self.accounts, seed=self.seed)

    @property
    def recipe(self) -> dict[str, Any]:
        """A recipe for the customers table, as ``load_recipe`` takes it; a new dict each time."""
        data = {
            "path": "customers.csv",
            "account": "account_id",
            "outcome": "outcome",
            "churned": Outcome.CHURNED.value,
            "snapshot_date": "snapshot_date",
            "horizon_days": HORIZON_DAYS,
            "value": "arr",
            "segment": "segment",
            "keep": ["name", "owner", "renewal_date"],
        }
        return {"data": data, "metrics": {name: _declared(name) for name in CATALOGUE}}


def simulate(*, accounts: int = 2000, months: int = 24, seed: int = 0) -> Portfolio:
    """Simulate the portfolio of a B2B SaaS company.

    A latent health per account (account effect + AR(1)) drives the metrics through noise; usage has a
    season; surveys are missing more often where health is low, and silence itself adds risk. Accounts
    leave only at renewals, by the formula in :class:`Truth`.

    Parameters
    ----------
    accounts : int, default=2000
        Accounts that are customers at some time, at least 1.
    months : int, default=24
        Monthly snapshots from 31 January 2024 on, at least 4 (the last three are open); the data cut is
        the day of the last one.
    seed : int, default=0
        Not negative. Same seed, same portfolio, to the last byte.

    Returns
    -------
    Portfolio
        Customers in order of snapshot date and account.

    Raises
    ------
    InputError
        Where there are no accounts, too few months for an outcome to be known, or the seed is negative.
    """
    made = draw(accounts=accounts, months=months, seed=seed)
    drawn, calendar, renewals = made.accounts, made.calendar, made.renewals
    customers, probability = _customers(drawn, made.paths, renewals, calendar)
    return Portfolio(
        customers=customers,
        accounts=_accounts_table(drawn, calendar),
        renewals=_renewals_table(drawn, renewals, calendar),
        truth=Truth(probability=probability),
        data_cut=pd.Timestamp(calendar.data_cut),
        months=months,
        seed=seed,
    )


def _declared(name: str) -> dict[str, Any]:
    metric = CATALOGUE[name].metric
    entry: dict[str, Any] = {"group": metric.group, "label": metric.label, "kind": metric.kind.value}
    if metric.unit:
        entry["unit"] = metric.unit
    if metric.direction is not Direction.UNKNOWN:
        entry["direction"] = metric.direction.value
    return entry


def _ids(n: int) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Keys and names of the accounts."""
    numbers = range(1, n + 1)
    return np.array([f"A{i:05d}" for i in numbers]), np.array([f"Account {i:05d}" for i in numbers])


def _customers(
    accounts: Accounts, paths: Paths, renewals: Renewals, calendar: Calendar
) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    months, rows = np.nonzero(renewals.customer(accounts)[:, calendar.shown].T)
    months = months + calendar.run_up
    due, churned, probability = renewals.within_horizon(rows, months, calendar.horizon)
    months, rows, churned = months[due], rows[due], churned[due]
    snapshot = calendar.last_days(months)
    keys, names = _ids(accounts.n)
    ahead = np.argmax(
        renewals.due[rows[:, None], months[:, None] + np.arange(1, calendar.horizon + 1)], axis=1
    )
    columns = {
        "account_id": keys[rows],
        "snapshot_date": _dates(snapshot),
        "name": names[rows],
        "owner": accounts.owner[rows],
        "segment": SEGMENTS[accounts.segment[rows]],
        "renewal_date": _dates(_renewal_days(accounts, rows, months + 1 + ahead, calendar)),
        **{name: _recorded(paths, name, (rows, months)) for name in WEIGHTED},
        **{name: words[rows] for name, words in _profile(accounts).items()},
        "arr": paths.arr[rows, months],
        "outcome": outcome_words(churned, snapshot + np.timedelta64(HORIZON_DAYS, "D") > calendar.data_cut),
    }
    return pd.DataFrame(columns), probability[due]


def _recorded(paths: Paths, name: str, where: tuple[Integers, Integers]) -> NDArray[Any]:
    values = paths.recorded[name][where]
    if CATALOGUE[name].metric.kind is Kind.YES_NO:
        return np.where(values == 1.0, "yes", "no")
    return values.astype(np.int64) if name in WHOLE_NUMBERS else values


def _profile(accounts: Accounts) -> dict[str, NDArray[np.str_]]:
    return {
        "contract_term": TERMS[accounts.term],
        "plan": PLANS[accounts.plan],
        "region": REGIONS[accounts.region],
        "industry": INDUSTRIES[accounts.industry],
    }


def _renewal_days(
    accounts: Accounts, rows: Integers, months: Integers, calendar: Calendar
) -> NDArray[np.datetime64]:
    return calendar.first_days(months) + (accounts.start_day[rows] - 1)


def _dates(days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    return days.astype("datetime64[us]")


def _accounts_table(accounts: Accounts, calendar: Calendar) -> pd.DataFrame:
    keys, names = _ids(accounts.n)
    first = _renewal_days(accounts, np.arange(accounts.n), accounts.start_month, calendar)
    return pd.DataFrame(
        {
            "account_id": keys,
            "name": names,
            "owner": accounts.owner,
            "segment": SEGMENTS[accounts.segment],
            **_profile(accounts),
            "first_contract_date": _dates(first),
            "term_months": accounts.term_months,
            "seats": accounts.seats,
            "arr": accounts.arr,
        }
    )


def _renewals_table(accounts: Accounts, renewals: Renewals, calendar: Calendar) -> pd.DataFrame:
    reached = renewals.due & (np.arange(calendar.length) <= renewals.churn_month[:, None])
    months, rows = np.nonzero(reached[:, : calendar.shown.stop].T)
    churned = renewals.churn_month[rows] == months
    table = pd.DataFrame(
        {
            "account_id": _ids(accounts.n)[0][rows],
            "renewal_date": _dates(_renewal_days(accounts, rows, months, calendar)),
            "outcome": outcome_words(churned, np.zeros(len(rows), dtype=bool)),
            "probability": renewals.probability[rows, months],
        }
    )
    return table.sort_values(["renewal_date", "account_id"], ignore_index=True)
