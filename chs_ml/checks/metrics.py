"""All checks of one column that would be a metric."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.checks.columns import check_direction, check_values, is_identifier
from chs_ml.checks.kinds import holds_lists
from chs_ml.checks.leaks import check_leak, single_auc
from chs_ml.findings import Finding, warning
from chs_ml.metric import Kind, Metric
from chs_ml.values import read_values

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Facts:
    """What the checks of a metric look at beside its column.

    Attributes
    ----------
    snapshot : Series of datetime64, shape (n,), or None
        Snapshot dates.
    churned : ndarray of shape (n,)
        1, 0, or NaN for open.
    first : ndarray of bool, shape (n,)
        The first row of each account.
    half : ndarray of bool, shape (n,)
        One half of the accounts.
    """

    snapshot: pd.Series | None
    churned: Array
    first: Mask
    half: Mask

    @classmethod
    def of(cls, account: pd.Series, snapshot: pd.Series | None, churned: Array) -> "Facts":
        """Gather the facts from the keys and outcomes of n rows."""
        numbers, names = pd.factorize(account)
        half = np.random.default_rng(0).permutation(len(names)) % 2 == 0
        return cls(snapshot, churned, ~account.duplicated().to_numpy(), half[numbers])

    @property
    def row_sets(self) -> list[Any]:
        """All rows, and one row per account: a name repeats from snapshot to snapshot."""
        return [slice(None)] if self.first.all() else [slice(None), self.first]

    @property
    def judged(self) -> Mask:
        """Rows with a known outcome; all rows where there are none."""
        known = ~np.isnan(self.churned)
        return known if known.any() else ~known


def check_metric(
    series: pd.Series, metric: Metric, *, facts: Facts, declared: bool
) -> tuple[bool, list[Finding]]:
    """Check one column that would be a metric.

    Parameters
    ----------
    series : Series of shape (n,)
        As stored.
    metric : Metric
        How it is to be read.
    facts : Facts
        Dates, outcomes and accounts of the rows.
    declared : bool
        Whether the recipe declares it; then it stays even if it looks like an identifier.

    Returns
    -------
    fits : bool
        Whether it can be learned from.
    findings : list of Finding
        What is to be said about it.
    """
    name = metric.name
    if holds_lists(series):
        return False, [warning("not-a-value", name, f"{name} holds lists, not values; it is left out.")]
    if metric.kind is Kind.DATE and facts.snapshot is None:
        text = f"{name} holds dates, and no [data] snapshot_date says how long ago they were; it is left out."
        return False, [warning("date-without-snapshot", name, text)]
    values, unreadable = read_values(series, metric.kind, facts.snapshot)
    findings = check_direction(metric)
    if not metric.is_category:
        findings += check_values(name, series, values=values, unreadable=unreadable)
    codes = pd.factorize(values)[0]
    useless = _useless(name, codes[facts.judged])
    if useless:  # how many blanks is then beside the point
        return False, [*(found for found in findings if found.code != "blank-values"), *useless]
    if any(is_identifier(codes[rows], values[rows], metric.kind) for rows in facts.row_sets):
        findings.append(_identifier(name, declared=declared))
        if not declared:
            return False, findings
    auc = single_auc(metric, values=values, churned=facts.churned, half=facts.half)
    return True, [*findings, *check_leak(name, auc)]


def _useless(name: str, codes: NDArray[np.intp]) -> list[Finding]:
    if (codes < 0).all():
        text = f"{name} has no value in any row with a known outcome; it is left out."
        return [warning("all-missing", name, text)]
    if (codes == codes[0]).all():
        return [warning("constant", name, f"{name} has the same value in every row; it is left out.")]
    return []


def _identifier(name: str, *, declared: bool) -> Finding:
    what_now = (
        "it stays because [metrics] declares it."
        if declared
        else "it is left out. Declare it in [metrics] if it measures something."
    )
    return warning("identifier-like", name, f"{name} looks like a name or a number of its row; {what_now}")
