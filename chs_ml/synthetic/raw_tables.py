"""The simulated portfolio as a company has it: raw tables, from which metrics can be computed as of a date.

They are made to match the monthly metrics of `Portfolio.customers`. As of a snapshot S (the end of that
day; a window of d days is S - d < day <= S) this holds:

========================  =============================================================================
metric                    from the raw tables
========================  =============================================================================
usage_days                distinct days in active_users_daily, 30 days: equal from the second month on
days_since_login          days since the last 'login' in events_daily: equal where it lies in S's month
logins_per_seat           logins in 30 days by seats, rounded to 0.1: equal for 99 % of rows with 10 seats
                          or more; fewer seats cannot make every tenth
usage_change              100 (a / b - 1) with a, b the sums of usage_days + 1 at the last three month ends
                          and the three before, at most 200: equal
seats_used                most active users of a day, 30 days, in % of seats: within half a seat
feature_adoption          distinct features in 30 days, in % of ten: within 5 points, except a few rows in
                          February, whose window reaches into January
tickets_open              opened_at <= S < closed_at: equal
tickets_escalated         escalated_at in 90 days: equal from the third month on
resolve_hours             mean resolution_hours of tickets closed in 30 days: equal; where the metric is
                          missing (no open and no escalated ticket) there may still be a closed one
nps, csat                 score of the latest survey answered in 30 days: equal
touchpoints               touchpoints in 90 days: equal from the third month on
sponsor                   latest row of sponsors: equal
tenure_months             calendar months since the first subscription: equal
contract_growth           mrr against a year before, to the rounding of mrr
overdue_days              S - due_at of the oldest invoice with issued_at <= S < paid_at, where positive:
                          equal from the fourth month on
failed_payments           failed payments in 90 days: equal from the third month on
arr                       12 mrr of the latest subscription or amendment: equal to the cent's rounding
========================  =============================================================================

"From the n-th month on" is for new accounts: the paths have a past before the contract, the tables do not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from chs_ml.errors import TableError
from chs_ml.synthetic.drawing import Drawn
from chs_ml.synthetic.raw_money import (
    amendments_table,
    invoices_table,
    payments_table,
    renewals_table,
    subscriptions_table,
)
from chs_ml.synthetic.raw_records import (
    sponsors_table,
    surveys_table,
    tickets_table,
    touchpoints_table,
)
from chs_ml.synthetic.raw_usage import usage_tables
from chs_ml.table import write_table


@dataclass(frozen=True, eq=False, kw_only=True)
class RawTables:
    """A portfolio as raw tables; no row is later than the data cut, no later-filled field is either.

    Attributes
    ----------
    accounts : DataFrame
        account_id, name, owner, segment, contract_term, plan, region, industry, first_contract_date.
    subscriptions : DataFrame
        One row per contract term, from the first one on: account_id, plan, start_date, end_date, mrr, seats,
        term_months, cancelled_at.
    amendments : DataFrame
        Prices that change inside a multi-year term: account_id, effective_at, mrr.
    renewals : DataFrame
        One row per term: account_id, term_start, renewal_date, mrr, outcome (renewed, churned or open),
        mrr_next.
    events_daily : DataFrame
        account_id, event_date, event_type (ten features and 'login'), n_events.
    active_users_daily : DataFrame
        account_id, event_date, active_users.
    tickets : DataFrame
        ticket_id, account_id, opened_at, priority, escalated_at, closed_at, resolution_hours.
    surveys : DataFrame
        survey_id, account_id, kind, sent_at, answered_at, score.
    invoices : DataFrame
        invoice_id, account_id, kind, issued_at, due_at, amount, paid_at.
    payments : DataFrame
        account_id, attempted_at, amount, status.
    touchpoints : DataFrame
        account_id, happened_at, kind, owner.
    sponsors : DataFrame
        account_id, recorded_at, sponsor.
    data_cut : Timestamp
        Last day of which anything is known. Activity begins six months before the first snapshot.
    """

    accounts: pd.DataFrame
    subscriptions: pd.DataFrame
    amendments: pd.DataFrame
    renewals: pd.DataFrame
    events_daily: pd.DataFrame
    active_users_daily: pd.DataFrame
    tickets: pd.DataFrame
    surveys: pd.DataFrame
    invoices: pd.DataFrame
    payments: pd.DataFrame
    touchpoints: pd.DataFrame
    sponsors: pd.DataFrame
    data_cut: pd.Timestamp

    def __iter__(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Names and tables."""
        for part in fields(self):
            table = getattr(self, part.name)
            if isinstance(table, pd.DataFrame):
                yield part.name, table


def make_raw_tables(drawn: Drawn, accounts: pd.DataFrame, *, seed: int) -> RawTables:
    """Make the raw tables of a drawn portfolio.

    Parameters
    ----------
    drawn : Drawn
        The portfolio.
    accounts : DataFrame
        `Portfolio.accounts`.
    seed : int
        Seed of the portfolio; each table has its own stream, so that one can change without the others.
    """
    usage, tickets, surveys, touchpoints, invoices, payments = (
        np.random.default_rng([seed, stream]) for stream in range(1, 7)
    )
    keys = accounts["account_id"].astype("str")
    data_cut = pd.Timestamp(drawn.calendar.data_cut)
    events_daily, active_users_daily = usage_tables(drawn, keys, usage)
    subscriptions = subscriptions_table(drawn, keys)
    billed = invoices_table(drawn, keys, invoices)
    return RawTables(
        accounts=accounts.drop(columns=["term_months", "seats", "arr"]),
        subscriptions=subscriptions,
        amendments=amendments_table(drawn, keys),
        renewals=renewals_table(subscriptions, data_cut),
        events_daily=events_daily,
        active_users_daily=active_users_daily,
        tickets=tickets_table(drawn, keys, tickets),
        surveys=surveys_table(drawn, keys, surveys),
        invoices=billed,
        payments=payments_table(drawn, keys, billed, payments),
        touchpoints=touchpoints_table(drawn, keys, touchpoints),
        sponsors=sponsors_table(drawn, keys),
        data_cut=data_cut,
    )


def write_raw_tables(tables: RawTables, folder: str | Path) -> Mapping[str, Path]:
    """Write each table as ``<name>.parquet`` into a folder, which is made where it does not exist.

    Returns
    -------
    mapping of str to Path
        The files, by name of the table.

    Raises
    ------
    TableError
        Where the folder cannot be made or written to.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TableError(f"Cannot make the folder {target}: {error.strerror}.") from error
    written = {}
    for name, table in tables:
        written[name] = target / f"{name}.parquet"
        write_table(table, written[name])
    return written
