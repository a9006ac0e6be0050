"""Metrics that are the distance to the renewal in disguise.

Where snapshots lie at any time before a renewal, the distance says how near the moment of decision is
and nothing about health. It may be wanted; then it should be there under its own name.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from chs_ml.dataset import Dataset
from chs_ml.findings import Finding, warning
from chs_ml.leakage.columns import days_as_floats, read_numbers_of, snapshot_days
from chs_ml.values import calendar_days

ALMOST = 0.9
MIN_ROWS = 50
MIN_DISTINCT = 3


def renewal_proxies(dataset: Dataset, renewal_date: pd.Series) -> tuple[Finding, ...]:
    """Name the metrics that rise or fall with the days to the renewal and with hardly anything else.

    Parameters
    ----------
    dataset : Dataset
        With snapshot dates, n rows.
    renewal_date : Series of dates, shape (n,)
        The renewal that each row looks ahead to, in row order.

    Returns
    -------
    tuple of Finding
        Code ``days-to-renewal``: rank correlation of at least .9 over at least 50 rows.
    """
    distance = days_as_floats(calendar_days(renewal_date) - snapshot_days(dataset))
    found = []
    for metric, values in read_numbers_of(dataset):
        known = ~np.isnan(values) & ~np.isnan(distance)
        x, d = values[known], distance[known]
        if len(x) < MIN_ROWS or min(len(np.unique(x)), len(np.unique(d))) < MIN_DISTINCT:
            continue
        correlation = float(spearmanr(x, d).statistic)
        if abs(correlation) < ALMOST:
            continue
        slope, start = (float(part) for part in np.polyfit(d, x, 1))
        r2 = float(np.corrcoef(x, d)[0, 1]) ** 2
        text = (
            f"{metric.name} is almost a function of the days to the renewal (rank correlation "
            f"{correlation:.3f}, R² of a straight line {r2:.3f}: {start:.3g} {slope:+.3g} per day; "
            f"{len(x):,} rows). It measures the calendar, not the customer: add it to [data] ignore, or "
            "state it as days to renewal."
        )
        found.append(warning("days-to-renewal", metric.name, text, count=len(x)))
    return tuple(found)


def renewal_column(dataset: Dataset, given: Any = None) -> pd.Series | None:
    """The renewal dates of the rows: given, or a carried column of that name, or none."""
    if given is not None:
        return pd.Series(given).reset_index(drop=True)
    if "renewal_date" in dataset.keep.columns:
        return dataset.keep["renewal_date"]
    return None
