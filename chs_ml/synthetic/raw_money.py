"""Contract terms, renewals, invoices and payments of the simulated accounts, one row each."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.synthetic.accounts import PLANS
from chs_ml.synthetic.drawing import Drawn
from chs_ml.synthetic.raw_records import (
    NO_DAY,
    Days,
    Integers,
    event_days,
    microseconds,
    monthly_counts,
    spread,
)

Array = NDArray[np.float64]

PAYMENT_DAYS = 30
GROWTH_BEFORE = 1.05
MULTI_YEAR = 24


def subscriptions_table(drawn: Drawn, keys: pd.Series) -> pd.DataFrame:
    """Contract terms: account_id, plan, start_date, end_date (the day of renewal), mrr, seats, term_months,
    cancelled_at (filled in when the account leaves)."""
    rows, months = _terms(drawn)
    accounts = drawn.accounts
    start, end = (
        _anniversary(drawn, rows, months),
        _anniversary(drawn, rows, months + accounts.term_months[rows]),
    )
    left = (end == drawn.leave[rows]) & (end <= drawn.calendar.data_cut)
    table = pd.DataFrame(
        {
            "account_id": keys.take(rows).to_numpy(),
            "plan": PLANS[accounts.plan[rows]],
            "start_date": microseconds(start),
            "end_date": microseconds(end),
            "mrr": np.round(_arr(drawn, rows, months) / 12.0, 2),
            "seats": accounts.seats[rows],
            "term_months": accounts.term_months[rows],
            "cancelled_at": microseconds(np.where(left, end, NO_DAY)),
        }
    )
    return table.sort_values(["start_date", "account_id"], ignore_index=True)


def amendments_table(drawn: Drawn, keys: pd.Series) -> pd.DataFrame:
    """Prices that change inside a multi-year term: account_id, effective_at, mrr."""
    rows, months = _terms(drawn)
    long = drawn.accounts.term_months[rows] == MULTI_YEAR
    rows, months = rows[long], months[long] + 12
    days = _anniversary(drawn, rows, months)
    kept = drawn.kept(rows, days)
    table = pd.DataFrame(
        {
            "account_id": keys.take(rows).to_numpy(),
            "effective_at": microseconds(days),
            "mrr": np.round(_arr(drawn, rows, months) / 12.0, 2),
        }
    )
    return table[kept].sort_values(["effective_at", "account_id"], ignore_index=True)


def renewals_table(subscriptions: pd.DataFrame, data_cut: pd.Timestamp) -> pd.DataFrame:
    """Renewals, one per term: account_id, term_start, renewal_date, mrr, outcome, mrr_next.

    Outcome and mrr_next are known from the renewal date on; outcome is 'open' after the data cut.
    """
    terms = subscriptions.sort_values(["account_id", "start_date"])
    following = terms.groupby("account_id")["mrr"].shift(-1)
    due = terms["end_date"] <= data_cut
    word = np.where(~due, "open", np.where(terms["cancelled_at"].notna(), "churned", "renewed"))
    table = pd.DataFrame(
        {
            "account_id": terms["account_id"],
            "term_start": terms["start_date"],
            "renewal_date": terms["end_date"],
            "mrr": terms["mrr"],
            "outcome": word,
            "mrr_next": following.where(due),
        }
    )
    return table.sort_values(["renewal_date", "account_id"], ignore_index=True)


def _terms(drawn: Drawn) -> tuple[Integers, Integers]:
    """Accounts and start months of all terms up to the data cut."""
    accounts, last = drawn.accounts, int(drawn.months[-1])
    count = np.maximum(0, (last - accounts.start_month) // accounts.term_months + 1)
    rows = np.repeat(np.arange(accounts.n), count)
    number = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    months = accounts.start_month[rows] + number * accounts.term_months[rows]
    start = _anniversary(drawn, rows, months)
    kept = (start < drawn.leave[rows]) & (start <= drawn.calendar.data_cut)
    return rows[kept], months[kept]


def _anniversary(drawn: Drawn, rows: Integers, months: Integers) -> Days:
    days: Days = drawn.calendar.first_days(months) + (drawn.accounts.start_day[rows] - 1)
    return days


def _arr(drawn: Drawn, rows: Integers, months: Integers) -> Array:
    """Yearly value from a month on; before the simulation, what the first growth says and 5 % a year."""
    value = drawn.paths.arr[rows, np.clip(months, 0, drawn.calendar.length - 1)]
    growth = drawn.paths.true["contract_growth"][rows, 0]
    tenure = -drawn.accounts.start_month[rows]  # at the first simulated month
    since = tenure // 12 - (months - drawn.accounts.start_month[rows]) // 12
    earlier = value / (1.0 + growth / 100.0) / GROWTH_BEFORE ** np.maximum(since - 1, 0)
    return np.where((months < 0) & (since > 0), np.round(earlier, -1), value)


# --- invoices and payments ---


def invoices_table(drawn: Drawn, keys: pd.Series, rng: np.random.Generator) -> pd.DataFrame:
    """Invoices: invoice_id, account_id, kind, issued_at, due_at, amount, paid_at (filled in later).

    Subscriptions are paid in time; usage is billed beside them, and may be overdue: the oldest unpaid
    invoice at a month's end is as late as the path says.
    """
    table = pd.concat([_in_time(drawn, keys, rng), _late(drawn, keys, rng)])
    table = table.sort_values(["issued_at", "account_id", "due_at"], ignore_index=True)
    table.insert(0, "invoice_id", [f"I{i:07d}" for i in range(1, len(table) + 1)])
    return table


def _invoices(
    drawn: Drawn, keys: pd.Series, rows: Integers, *, kind: str, days: tuple[Days, Days, Days], amount: Array
) -> pd.DataFrame:
    issued, due, paid = days
    table = pd.DataFrame(
        {
            "account_id": keys.take(rows).to_numpy(),
            "kind": kind,
            "issued_at": microseconds(issued),
            "due_at": microseconds(due),
            "amount": np.round(amount, 2),
            "paid_at": microseconds(np.where(paid <= drawn.calendar.data_cut, paid, NO_DAY)),
        }
    )
    return table[drawn.kept(rows, issued)]


def _in_time(drawn: Drawn, keys: pd.Series, rng: np.random.Generator) -> pd.DataFrame:
    period = np.minimum(drawn.accounts.term_months, 12)
    age = drawn.months - drawn.accounts.start_month[:, None]
    rows, months = np.nonzero((age >= 0) & (age % period[:, None] == 0))
    issued = _anniversary(drawn, rows, months)
    due = issued + np.timedelta64(PAYMENT_DAYS, "D")
    paid = issued + rng.integers(3, PAYMENT_DAYS + 1, len(rows))
    amount = drawn.paths.arr[rows, months] * period[rows] / 12.0
    return _invoices(drawn, keys, rows, kind="subscription", days=(issued, due, paid), amount=amount)


def _late(drawn: Drawn, keys: pd.Series, rng: np.random.Generator) -> pd.DataFrame:
    overdue = np.where(drawn.customer, drawn.paths.recorded["overdue_days"][:, drawn.months], 0.0)
    overdue = overdue.astype(np.int64)
    rows, months = np.nonzero(overdue)
    due = drawn.calendar.last_days(months) - overdue[rows, months]
    issued = np.maximum(due - PAYMENT_DAYS, drawn.start[rows])
    for back in (1, 2, 3):  # an invoice that an earlier month's end did not know was entered after it
        earlier = np.maximum(months - back, 0)
        end = drawn.calendar.last_days(earlier)
        unknown = (months >= back) & ((end - due).astype(np.int64) > overdue[rows, earlier])
        issued = np.where(unknown, np.maximum(issued, end + 1), issued)
    paid = drawn.calendar.first_days(months + 1) + rng.integers(0, 27, len(rows))
    amount = drawn.paths.arr[rows, months] / 12.0 * rng.uniform(0.03, 0.2, len(rows))
    kept = due > drawn.start[rows]
    days = (issued[kept], due[kept], paid[kept])
    return _invoices(drawn, keys, rows[kept], kind="usage", days=days, amount=amount[kept])


def payments_table(
    drawn: Drawn, keys: pd.Series, invoices: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Payment attempts: account_id, attempted_at, amount, status ('succeeded' or 'failed')."""
    paid = invoices[invoices["paid_at"].notna()]
    good = pd.DataFrame(
        {
            "account_id": paid["account_id"],
            "attempted_at": paid["paid_at"],
            "amount": paid["amount"],
            "status": "succeeded",
        }
    )
    rows, months, _ = spread(monthly_counts(drawn.paths.recorded["failed_payments"])[:, drawn.months])
    days = event_days(drawn, rows, months, rng)
    amount = np.round(drawn.paths.arr[rows, months] / 12.0 * rng.uniform(0.05, 1.0, len(rows)), 2)
    bad = pd.DataFrame(
        {
            "account_id": keys.take(rows).to_numpy(),
            "attempted_at": microseconds(days),
            "amount": amount,
            "status": "failed",
        }
    )[drawn.kept(rows, days)]
    order = ["attempted_at", "account_id", "status", "amount"]
    return pd.concat([good, bad]).sort_values(order, ignore_index=True)
