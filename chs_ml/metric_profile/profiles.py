"""One metric against churn: the churn rate by quantile or level, among missing values, and the AUC alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.checks import category_auc
from chs_ml.dataset import Dataset
from chs_ml.errors import InputError, NotEnoughData
from chs_ml.metric import Kind, Metric
from chs_ml.validation.delong import delong_auc
from chs_ml.validation.intervals import Rate, churn_rate
from chs_ml.validation.result import NAN, Interval
from chs_ml.values import read_values

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Mask = NDArray[np.bool_]

MAX_BINS = 10
MAX_LEVELS = 12
MIN_EACH = 2
OTHER = "(other levels)"


@dataclass(frozen=True)
class MetricBin:
    """Rows with like values of a metric.

    Attributes
    ----------
    label : str
        The level, or the range in words.
    low, high : float
        Smallest and largest value in the bin; NaN for levels.
    rate : Rate
        Churn rate with its interval (Jeffreys; on effective counts where accounts repeat), rows, churns.
    """

    label: str
    low: float
    high: float
    rate: Rate


@dataclass(frozen=True)
class MetricProfile:
    """One metric against churn, on rows with a known outcome.

    Attributes
    ----------
    metric : Metric
        Which one.
    bins : tuple of MetricBin
        At most ten quantile bins in ascending order, equal values always together; for a category its
        levels by frequency, the rare ones as one.
    missing : Rate
        Churn rate of rows without a value; n is 0 where there are none.
    auc : float
        AUC of the metric alone on rows with a value: in the declared direction, so that below .5 speaks
        against it; in the better direction where none is declared; for a category by the churn rates of
        its levels in the other half of the accounts. NaN with too few churns.
    auc_interval : Interval
        Account-clustered, on the logit scale (DeLong, Obuchowski); unknown for a category.
    declared_direction : bool
        Whether the AUC is in a declared direction; where not, noise alone lifts it above .5.
    """

    metric: Metric
    bins: tuple[MetricBin, ...]
    missing: Rate
    auc: float
    auc_interval: Interval
    declared_direction: bool

    @property
    def n(self) -> int:
        """Rows with a known outcome."""
        return self.missing.n + sum(part.rate.n for part in self.bins)

    @property
    def missing_share(self) -> float:
        """Share of those rows without a value."""
        return self.missing.n / self.n if self.n else NAN

    @property
    def against_direction(self) -> bool:
        """Whether the data speak against the declared direction: the whole interval lies below .5."""
        return self.declared_direction and bool(self.auc_interval.high < 0.5)


def metric_profiles(
    dataset: Dataset, *, bins: int = MAX_BINS, level: float = 0.95
) -> tuple[MetricProfile, ...]:
    """Profile every metric of a dataset.

    Parameters
    ----------
    dataset : Dataset
        Rows with open outcomes are left out.
    bins : int
        Most quantile bins, from 2 to 10.
    level : float
        Coverage of the intervals, in (0, 1).

    Returns
    -------
    tuple of MetricProfile
        In the order of the metrics.

    Raises
    ------
    InputError
        Where bins or level cannot be.
    NotEnoughData
        Where no outcome is known.
    """
    if not 2 <= bins <= MAX_BINS or not 0.0 < level < 1.0:
        raise InputError(
            f"bins must lie between 2 and {MAX_BINS} and level between 0 and 1; got {bins} and {level}."
        )
    known = dataset.matured
    if not known.n:
        raise NotEnoughData("Profiles need rows with a known outcome; all are open.")
    return tuple(metric_profile(known, metric, bins=bins, level=level) for metric in known.metrics)


def metric_profile(
    dataset: Dataset, metric: Metric, *, bins: int = MAX_BINS, level: float = 0.95
) -> MetricProfile:
    """Profile one metric; parameters as for `metric_profiles`, all outcomes known."""
    values, _ = read_values(dataset.frame[metric.name], metric.kind, dataset.snapshot_date)
    accounts = np.asarray(pd.factorize(dataset.account)[0], dtype=np.intp)
    codes, edges = _level_codes(values) if metric.is_category else quantile_codes(values, bins)

    def rate(rows: Mask) -> Rate:
        return churn_rate(dataset.churned[rows], accounts[rows], level=level)

    labels = [_label(metric, edge) for edge in edges]
    parts = [
        MetricBin(label, *_ends(edge), rate(codes == i))
        for i, (label, edge) in enumerate(zip(labels, edges, strict=True))
    ]
    auc, interval = _auc(metric, values, dataset.churned, accounts=accounts, level=level)
    return MetricProfile(metric, tuple(parts), rate(codes < 0), auc, interval, metric.direction.sign != 0)


def quantile_codes(values: Array, bins: int) -> tuple[Codes, list[Any]]:
    """Number the rows by quantile bin, equal values in one bin.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN for missing.
    bins : int
        Most bins.

    Returns
    -------
    codes : ndarray of int, shape (n,)
        Bins from 0, -1 for missing.
    ends : list of (low, high)
        Smallest and largest value of each bin.
    """
    known = ~np.isnan(values)
    codes = np.full(len(values), -1, dtype=np.intp)
    if not known.any():
        return codes, []
    distinct, counts = np.unique(values[known], return_counts=True)
    if len(distinct) <= bins:
        bin_of = np.arange(len(distinct))
    else:  # by the middle of each value's ranks, so that equal values stay together
        middle = (np.cumsum(counts) - counts / 2.0) / counts.sum()
        bin_of = np.unique(np.minimum((middle * bins).astype(np.intp), bins - 1), return_inverse=True)[1]
    codes[known] = bin_of[np.searchsorted(distinct, values[known])]
    ends = [(distinct[bin_of == i][0], distinct[bin_of == i][-1]) for i in range(int(bin_of.max()) + 1)]
    return codes, ends


def _level_codes(labels: NDArray[np.object_]) -> tuple[Codes, list[Any]]:
    """Number the levels by frequency, the rare ones together; -1 for missing."""
    counts = pd.Series(labels, dtype="object").dropna().value_counts()
    order = sorted(counts.index, key=lambda name: (-int(counts[name]), name))
    shown = order if len(order) <= MAX_LEVELS else order[: MAX_LEVELS - 1]
    numbers = {name: min(i, len(shown)) for i, name in enumerate(order)}
    codes = np.array([-1 if label is None else numbers[label] for label in labels], dtype=np.intp)
    return codes, shown if len(shown) == len(order) else [*shown, OTHER]


def _ends(edge: Any) -> tuple[float, float]:
    return (NAN, NAN) if isinstance(edge, str) else (float(edge[0]), float(edge[1]))


def _label(metric: Metric, edge: Any) -> str:
    if isinstance(edge, str):
        return edge
    if metric.kind is Kind.YES_NO:
        return "yes" if edge[0] == 1.0 else "no"
    low, high = (f"{end:.4g}" for end in edge)
    return low if low == high else f"{low} to {high}"


def _auc(
    metric: Metric, values: Any, churned: Array, *, accounts: Codes, level: float
) -> tuple[float, Interval]:
    if metric.is_category:
        codes = np.asarray(pd.factorize(values)[0], dtype=np.intp)
        half = np.random.default_rng(0).permutation(int(accounts.max()) + 1) % 2 == 0
        return category_auc(codes, churned, half=half[accounts]), Interval()
    known = ~np.isnan(values)
    outcome = churned[known]
    if min(outcome.sum(), len(outcome) - outcome.sum()) < MIN_EACH:
        return NAN, Interval()
    numbers = np.unique(accounts[known], return_inverse=True)[1]
    sign = metric.direction.sign or 1
    found = delong_auc(sign * values[known], outcome, numbers, level=level)
    if metric.direction.sign == 0 and found.auc < 0.5:
        found = delong_auc(-values[known], outcome, numbers, level=level)
    return found.auc, found.interval
