"""Which metrics tell the same story: association of any two, and groups by average linkage."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from chs_ml.dataset import Dataset
from chs_ml.values import read_values

Array = NDArray[np.float64]
Codes = NDArray[np.intp]

BOUND = 0.7
MAX_ROWS = 20_000
MIN_ROWS = 20


def associations(dataset: Dataset, *, random_state: int = 0) -> pd.DataFrame:
    """Association of every two metrics, from 0 to 1.

    Two numbers: the absolute Spearman correlation. A number and a category: the correlation ratio of
    the ranks (the root of the share of their variance that the levels explain, less what chance
    explains). Two categories: Cramér's V with the bias correction of Bergsma (2013, Journal of the
    Korean Statistical Society 42, 323-328). Rows where either is missing are left out; 0 with fewer than 20.

    Parameters
    ----------
    dataset : Dataset
        All rows, open ones too; of more than 20,000 a random 20,000.
    random_state : int
        Which rows.

    Returns
    -------
    DataFrame of shape (k, k)
        Symmetric, metric names on both sides, 1 on the diagonal.
    """
    if dataset.n > MAX_ROWS:
        chosen = np.random.default_rng(random_state).choice(dataset.n, MAX_ROWS, replace=False)
        dataset = dataset.rows(np.sort(chosen))
    columns = [_Column.of(dataset, i) for i in range(len(dataset.metrics))]
    k = len(columns)
    found = np.eye(k)
    for i in range(k):
        for j in range(i):
            found[i, j] = found[j, i] = _association(columns[i], columns[j])
    names = [metric.name for metric in dataset.metrics]
    return pd.DataFrame(found, index=names, columns=names)


def metric_groups(association: pd.DataFrame, *, bound: float = BOUND) -> tuple[tuple[str, ...], ...]:
    """Metrics that belong together: average linkage on one minus the association, cut at the bound.

    Parameters
    ----------
    association : DataFrame of shape (k, k)
        From `associations`.
    bound : float
        Mean association between the parts of a group, at least; in (0, 1].

    Returns
    -------
    tuple of tuple of str
        Groups of two or more, the largest first.
    """
    if len(association) < 2:
        return ()
    distance = 1.0 - association.to_numpy(dtype=np.float64)
    tree = linkage(squareform(distance, checks=False), method="average")
    numbers = fcluster(tree, 1.0 - bound + 1e-12, criterion="distance")
    names = np.array(association.index, dtype=object)
    groups = [tuple(names[numbers == number].tolist()) for number in np.unique(numbers)]
    return tuple(
        sorted((group for group in groups if len(group) > 1), key=lambda group: (-len(group), group))
    )


class _Column:
    """One metric: values (codes of a category), NaN for missing."""

    def __init__(self, values: Array, *, is_category: bool) -> None:
        self.values, self.is_category = values, is_category
        self.known = ~np.isnan(values)

    @classmethod
    def of(cls, dataset: Dataset, position: int) -> "_Column":
        metric = dataset.metrics[position]
        values, _ = read_values(dataset.frame[metric.name], metric.kind, dataset.snapshot_date)
        if metric.is_category:
            codes = pd.factorize(values)[0].astype(np.float64)
            values = np.where(codes < 0, np.nan, codes)
        return cls(values, is_category=metric.is_category)


def _association(a: _Column, b: _Column) -> float:
    both = a.known & b.known
    x, y = a.values[both], b.values[both]
    if len(x) < MIN_ROWS or min(np.ptp(x), np.ptp(y)) == 0.0:
        return 0.0
    if a.is_category and b.is_category:
        return cramers_v(_coded(x), _coded(y))
    if a.is_category:
        return correlation_ratio(_coded(x), rankdata(y))
    if b.is_category:
        return correlation_ratio(_coded(y), rankdata(x))
    return abs(float(np.corrcoef(rankdata(x), rankdata(y))[0, 1]))


def _coded(values: Array) -> Codes:
    return np.asarray(np.unique(values, return_inverse=True)[1], dtype=np.intp)


def correlation_ratio(levels: Codes, values: Array) -> float:
    """Root of the share of variance that levels explain, adjusted as R² is; 0 where it is chance."""
    n, c = len(values), int(levels.max()) + 1
    if c >= n:
        return 0.0
    means = np.bincount(levels, weights=values) / np.bincount(levels)
    inside = float(np.sum((values - means[levels]) ** 2)) / (n - c)
    total = float(np.sum((values - values.mean()) ** 2)) / (n - 1)
    return float(np.sqrt(max(0.0, 1.0 - inside / total))) if total > 0.0 else 0.0


def cramers_v(a: Codes, b: Codes) -> float:
    """Cramér's V of two codings of shape (n,), bias-corrected."""
    n, rows, columns = len(a), int(a.max()) + 1, int(b.max()) + 1
    counts = np.bincount(a * columns + b, minlength=rows * columns).reshape(rows, columns).astype(np.float64)
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / n
    phi2 = float(np.sum((counts - expected) ** 2 / expected)) / n
    phi2 = max(0.0, phi2 - (rows - 1) * (columns - 1) / (n - 1))
    sides = [size - (size - 1) ** 2 / (n - 1) for size in (rows, columns)]
    smaller = min(sides) - 1.0
    return float(min(1.0, np.sqrt(phi2 / smaller))) if smaller > 0.0 else 0.0
