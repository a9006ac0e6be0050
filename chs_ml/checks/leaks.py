"""How well one column alone tells churned accounts from the others."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.findings import Finding, warning
from chs_ml.metric import Metric

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAK_AUC = 0.99
STRONG_AUC = 0.90
LEAK_MIN_EACH = 10


def rank_auc(values: Array, churned: Array) -> float:
    """AUC of a column of numbers as a risk score, where missing may be the riskiest or the safest.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN for missing.
    churned : ndarray of shape (n,)
        1 and 0; both must occur.

    Returns
    -------
    float
        In [.5, 1]: the larger of AUC and 1 - AUC, and of both places for the missing values, so that
        a column that is filled in only after a churn is seen too.
    """
    if not np.isnan(values).any():
        auc = _auc(values, churned)
        return max(auc, 1.0 - auc)
    low, high = (_auc(np.where(np.isnan(values), end, values), churned) for end in (-np.inf, np.inf))
    return max(low, 1.0 - low, high, 1.0 - high)


def _auc(values: Array, churned: Array) -> float:
    """Mann-Whitney statistic over pairs, ties count half."""
    order = np.argsort(values)
    ranked, bad = values[order], churned[order] == 1.0
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    churns = np.add.reduceat(bad.astype(np.float64), starts)
    kept = np.diff(np.r_[starts, len(ranked)]) - churns
    below = np.cumsum(kept) - kept
    return float(churns @ (below + kept / 2.0) / (churns.sum() * kept.sum()))


def category_auc(codes: NDArray[np.intp], churned: Array, *, half: Mask) -> float:
    """AUC of a column of categories, each coded by its churn rate in the other half of the accounts.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Numbered categories, -1 for missing, which is a category of its own.
    churned : ndarray of shape (n,)
        1 and 0.
    half : ndarray of bool, shape (n,)
        One half of the accounts. A category's rate never contains the row that it is given to:
        otherwise many small categories would look like a leak.

    Returns
    -------
    float
        Mean over the halves, in [0, 1]; NaN where a half lacks churns or renewals.
    """
    aucs = [_coded_auc(codes + 1, churned, rows=rows) for rows in (half, ~half)]
    return float(np.mean(aucs))


def _coded_auc(codes: NDArray[np.intp], churned: Array, *, rows: Mask) -> float:
    if rows.all() or len(np.unique(churned[rows])) < 2:
        return float("nan")
    size = int(codes.max()) + 1
    n = np.bincount(codes[~rows], minlength=size)
    churns = np.bincount(codes[~rows], weights=churned[~rows], minlength=size)
    rates = (churns + churned[~rows].mean()) / (n + 1.0)
    return _auc(rates[codes[rows]], churned[rows])


def check_leak(name: str, auc: float) -> list[Finding]:
    """Name a metric that alone all but separates churned accounts from the others."""
    if not auc >= STRONG_AUC:
        return []
    if auc >= LEAK_AUC:
        text = (
            f"{name} alone separates churned accounts from the others (AUC {auc:.3f}): a suspected leak. "
            f"Was it known at the snapshot? If not, add it to [data] ignore."
        )
        return [warning("suspected-leak", name, text)]
    text = (
        f"{name} alone tells churned accounts from the others unusually well (AUC {auc:.3f}). "
        f"Make sure that it was known at the snapshot."
    )
    return [warning("strong-alone", name, text)]


def single_auc(metric: Metric, *, values: Any, churned: Array, half: Mask) -> float:
    """AUC of one metric alone, NaN where fewer than ten churns or renewals could tell.

    Parameters
    ----------
    metric : Metric
        What the column is.
    values : ndarray of shape (n,)
        As read.
    churned : ndarray of shape (n,)
        1, 0 or NaN; open rows do not count.
    half : ndarray of bool, shape (n,)
        For `category_auc`.
    """
    known = ~np.isnan(churned)
    outcome = churned[known]
    if min(outcome.sum(), len(outcome) - outcome.sum()) < LEAK_MIN_EACH:
        return float("nan")
    if not metric.is_category:
        return rank_auc(values[known], outcome)
    codes = pd.factorize(values[known])[0]
    return category_auc(codes, outcome, half=half[known])
