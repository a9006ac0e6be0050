"""Metrics as of today: joined from the current state of the books, the same in every past snapshot.

A column that is constant per account may be a fact about it, such as its industry. What changes by
nature (logins, tickets, tenure) and yet never does was read on one day, later than most snapshots.
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from chs_ml.dataset import Dataset
from chs_ml.findings import Finding, warning
from chs_ml.leakage.columns import Array, Codes, Mask, account_codes, read_numbers_of, snapshot_days
from chs_ml.leakage.dates import words_of
from chs_ml.metric import Kind, Metric

MIN_SPAN_DAYS = 180
MIN_SNAPSHOTS = 3
MIN_ACCOUNTS = 20
FROZEN = 0.99
MIN_DISTINCT = 5
FUTURE_CORRELATION = 0.4
FUTURE_Z = 4.0
CHANGING_GROUPS = frozenset({"product usage", "usage", "support", "sentiment", "engagement"})
_CHANGING = re.compile(
    r"\b(?:since|ago|last|latest|cumulative|lifetime|tenure|logins?|usage|sessions?|active|tickets?|overdue"
    r"|growth|change|trend|nps|csat|events?|touchpoints?|visits?|in \d+ days)\b"
)


def changes_by_nature(metric: Metric) -> bool:
    """Whether name, label, unit or group say that the metric is a measurement over time."""
    return metric.group.lower() in CHANGING_GROUPS or bool(_CHANGING.search(words_of(metric)))


def frozen_metrics(dataset: Dataset) -> tuple[Finding, ...]:
    """Name the metrics that never change for an account although they should.

    Looks at accounts with at least three snapshots over at least 180 days, and only at values other than
    the most frequent one: a count of rare events is zero most of the time.

    Returns
    -------
    tuple of Finding
        Code ``frozen-metric`` where name, unit or group say that the metric changes by nature, and
        ``knows-lifetime`` where they do not, but a constant value rises or falls with the time that churned
        accounts went on after their first snapshot (partial rank correlation given the first snapshot's
        date, at least .4 and four standard errors).
    """
    history = _History.of(dataset)
    found: list[Finding] = []
    for metric, values in read_numbers_of(dataset):
        if metric.kind is Kind.YES_NO:
            continue
        shifted = _as_stored(metric, values, history.days)
        telling = history.telling(shifted)
        constant = history.constant(shifted)
        n = int(telling.sum())
        if n < MIN_ACCOUNTS or float(constant[telling].mean()) < FROZEN:
            continue
        if len(np.unique(shifted[~np.isnan(shifted)])) < MIN_DISTINCT:
            continue
        found += _judged(metric, shifted, history, n=n)
    return tuple(found)


def _as_stored(metric: Metric, values: Array, days: Array) -> Array:
    """A date as the day that is written there: as days before the snapshot it would always change."""
    return days - values if metric.kind is Kind.DATE else values


def _judged(metric: Metric, values: Array, history: "_History", *, n: int) -> list[Finding]:
    if metric.kind is Kind.DATE and not _CHANGING.search(words_of(metric)):
        return []
    if changes_by_nature(metric):
        text = (
            f"{metric.name} changes by nature, and is the same in all snapshots of an account: in {n:,} "
            f"accounts with at least {MIN_SNAPSHOTS} snapshots over {MIN_SPAN_DAYS} days, "
            f"{first_values(history, values)}. It was read as of one day, later than the snapshots: compute "
            "it as of each snapshot, or add it to [data] ignore."
        )
        return [warning("frozen-metric", metric.name, text, count=n)]
    correlation, error, accounts = history.with_lifetime(values)
    if not abs(correlation) >= max(FUTURE_CORRELATION, FUTURE_Z * error):
        return []
    text = (
        f"{metric.name} is the same in all snapshots of an account and goes with how long churned accounts "
        f"went on after their first snapshot (rank correlation {correlation:.2f}, {accounts:,} churned "
        "accounts): it may have been summed up until they left. Compute it as of each snapshot, or add it "
        "to [data] ignore."
    )
    return [warning("knows-lifetime", metric.name, text, count=accounts)]


def first_values(history: "_History", values: Array) -> str:
    """Examples of accounts with their one value."""
    rows = history.first[history.long_accounts[:3]]
    return ", ".join(f"{history.names[row]} always {values[row]:g}" for row in rows)


@dataclass(frozen=True, eq=False)
class _History:
    """The rows by account: n rows, g accounts."""

    names: list[str]
    accounts: Codes
    days: Array
    churned: Array
    first: Codes
    span: Array
    long: Mask

    @classmethod
    def of(cls, dataset: Dataset) -> "_History":
        days = snapshot_days(dataset).astype(np.int64).astype(np.float64)
        accounts = account_codes(dataset)
        by = pd.Series(days).groupby(accounts)
        span = np.asarray(by.max() - by.min(), dtype=np.float64)
        long = (by.size().to_numpy() >= MIN_SNAPSHOTS) & (span >= MIN_SPAN_DAYS)
        order = np.lexsort((days, accounts))
        first = order[np.searchsorted(accounts[order], np.arange(len(span)))]
        return cls(dataset.account.tolist(), accounts, days, dataset.churned, first, span, long)

    @property
    def long_accounts(self) -> Codes:
        return np.asarray(np.flatnonzero(self.long), dtype=np.intp)

    def telling(self, values: Array) -> Mask:
        """Accounts of some length that have a value other than the most frequent one."""
        known = pd.Series(values).dropna()
        if known.empty:
            return np.zeros(len(self.span), dtype=bool)
        other = ~np.isnan(values) & (values != float(known.mode().iloc[0]))
        return self.long & (np.bincount(self.accounts, weights=other, minlength=len(self.span)) > 0)

    def constant(self, values: Array) -> Mask:
        """Accounts with one value in all their rows; a missing one is another."""
        filled = pd.Series(np.where(np.isnan(values), np.inf, values)).groupby(self.accounts)
        return np.asarray((filled.min() == filled.max()).to_numpy())

    def with_lifetime(self, values: Array) -> tuple[float, float, int]:
        """Partial rank correlation with the time to the last snapshot, over churned accounts."""
        churned = np.bincount(self.accounts, weights=self.churned == 1.0, minlength=len(self.span)) > 0
        x = values[self.first]
        chosen = churned & ~np.isnan(x)
        n = int(chosen.sum())
        if n < MIN_ACCOUNTS:
            return 0.0, np.inf, n
        begin = rankdata(self.days[self.first][chosen])
        ranks = [_without(rankdata(part[chosen]), begin) for part in (x, self.span)]
        spread = float(np.linalg.norm(ranks[0]) * np.linalg.norm(ranks[1]))
        correlation = float(ranks[0] @ ranks[1] / spread) if spread > 0.0 else 0.0
        return correlation, 1.0 / float(np.sqrt(n - 3)), n


def _without(ranks: Array, other: Array) -> Array:
    """What is left of ranks when their straight line on others is taken off."""
    y, x = ranks - ranks.mean(), other - other.mean()
    square = float(x @ x)
    return np.asarray(y - x * (float(x @ y) / square) if square > 0.0 else y)


__all__ = ["changes_by_nature", "frozen_metrics"]
