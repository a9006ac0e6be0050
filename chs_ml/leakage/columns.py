"""What the tests for leaks share: the rows of a dataset as plain columns."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.dataset import Dataset
from chs_ml.errors import InputError, first_few
from chs_ml.metric import Metric
from chs_ml.values import calendar_days, read_values

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Mask = NDArray[np.bool_]
Days = NDArray[np.datetime64]

MAX_BINS = 20


def snapshot_days(dataset: Dataset) -> Days:
    """Snapshot dates as datetime64[D] of shape (n,).

    Raises
    ------
    InputError
        Where the dataset has none.
    """
    if dataset.snapshot_date is None:
        raise InputError("This looks at snapshots over time: name their column in [data] snapshot_date.")
    return calendar_days(dataset.snapshot_date)


def days_as_floats(days: NDArray[np.timedelta64]) -> Array:
    """Days as floats, NaN for NaT."""
    return np.where(np.isnat(days), np.nan, days / np.timedelta64(1, "D"))


def account_codes(dataset: Dataset) -> Codes:
    """Accounts numbered from 0 in order of appearance."""
    return np.asarray(pd.factorize(dataset.account, use_na_sentinel=False)[0], dtype=np.intp)


def account_half(accounts: Codes, random_state: int) -> Mask:
    """One random half of the accounts, as a mask of the rows."""
    n = int(accounts.max(initial=-1)) + 1
    chosen = np.random.default_rng(random_state).permutation(n) % 2 == 0
    return np.asarray(chosen[accounts])


def read_numbers_of(dataset: Dataset) -> Iterator[tuple[Metric, Array]]:
    """The metrics that are no categories, with their values as floats."""
    for metric in dataset.metrics:
        if not metric.is_category:
            values, _ = read_values(dataset.frame[metric.name], metric.kind, dataset.snapshot_date)
            yield metric, values


def binned(dataset: Dataset, metric: Metric) -> Codes:
    """A metric in at most 20 quantile bins, or its levels; 0 is missing."""
    values, _ = read_values(dataset.frame[metric.name], metric.kind, dataset.snapshot_date)
    if metric.is_category:
        return np.asarray(pd.factorize(values)[0] + 1, dtype=np.intp)
    known = ~np.isnan(values)
    if not known.any():
        return np.zeros(dataset.n, dtype=np.intp)
    edges = np.unique(np.quantile(values[known], np.linspace(0.0, 1.0, MAX_BINS + 1), method="nearest"))
    codes = np.searchsorted(edges, np.where(known, values, edges[0]), side="right")
    return np.asarray(np.where(known, codes, 0), dtype=np.intp)


def unseen_risk(codes: Codes, churned: Array, *, learn: Mask, half: Mask) -> Array:
    """Churn rate of each row's bin among the learning rows of the other half of the accounts.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Bins from 0.
    churned : ndarray of shape (n,)
        1 and 0; NaN rows must not be learned from.
    learn, half : ndarray of bool, shape (n,)
        Rows to learn rates from, and one half of the accounts.

    Returns
    -------
    ndarray of shape (n,)
        Rates, drawn to the mean as if by two more rows.
    """
    risk = np.empty(len(codes))
    size = int(codes.max(initial=0)) + 1
    for side in (half, ~half):
        rows = learn & ~side
        mean = float(churned[rows].mean()) if rows.any() else 0.5
        n = np.bincount(codes[rows], minlength=size)
        churns = np.bincount(codes[rows], weights=churned[rows], minlength=size)
        risk[side] = ((churns + 2.0 * mean) / (n + 2.0))[codes[side]]
    return risk


def first_keys(dataset: Dataset, rows: Mask, *, limit: int = 3) -> str:
    """Name the first rows of a mask by account and snapshot date."""
    chosen = np.flatnonzero(rows)
    shown = chosen[:limit]
    names = dataset.account.iloc[shown].tolist()
    if dataset.snapshot_date is not None:
        days = calendar_days(dataset.snapshot_date)[shown]
        names = [f"{name} on {day}" for name, day in zip(names, days, strict=True)]
    return first_few([*names, *([""] * (len(chosen) - len(shown)))], limit=limit)
