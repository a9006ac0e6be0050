"""How well one metric alone tells churn, by the time that is left until the churn.

What is known ahead grows slowly towards the end. A metric that is written at the end, or after it,
tells everything close to the churn and nothing before.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from chs_ml.dataset import Dataset
from chs_ml.findings import Finding, warning
from chs_ml.leakage.columns import (
    Array,
    Codes,
    Mask,
    account_codes,
    account_half,
    binned,
    days_as_floats,
    snapshot_days,
    unseen_risk,
)
from chs_ml.leakage.dates import churn_days
from chs_ml.validation.delong import delong_auc

MIN_CHURNS = 20
STEEP = 0.15
NEAR_AUC = 0.70
ERROR_RATE = 0.005
"""Chance of any false alarm over all metrics, were nothing steeper than the threshold by nature."""


@dataclass(frozen=True)
class LagAuc:
    """AUC of one metric against the churns of one range of lags.

    Attributes
    ----------
    metric : str
        Name.
    low, high : float
        Days from the snapshot to the churn, low < lag <= high; below zero is after the churn.
    auc : float
        The churned rows of that range against all renewed rows, each bin of values by its churn rate in
        the other half of the accounts; .5 is chance.
    error : float
        Its account-clustered standard error (DeLong, Obuchowski).
    churns : int
        Churned rows in the range.
    """

    metric: str
    low: float
    high: float
    auc: float
    error: float
    churns: int

    @property
    def words(self) -> str:
        """The range in words, as of the days to the churn."""
        if self.high <= 0.0:
            return "after the churn"
        if np.isinf(self.high):
            return f"over {self.low:.0f} days"
        return f"up to {self.high:.0f} days" if self.low <= 0.0 else f"{self.low:.0f} to {self.high:.0f} days"


def lags_of(dataset: Dataset, churn_dates: pd.Series | None = None) -> tuple[Array, tuple[float, ...]]:
    """Days to the churn of each churned row, and the edges of the ranges to look at.

    Without churn dates, the last snapshot that counts as churned stands for the churn: lags are then
    too short by up to the time between two snapshots, and the edges lie between snapshots.
    """
    days, window = snapshot_days(dataset), float(dataset.horizon_days or 90)
    churned = dataset.churned == 1.0
    if churn_dates is not None:
        lag = days_as_floats(churn_days(dataset, churn_dates) - days)
        edges = (0.0, dataset.lead_days + window / 3.0, dataset.lead_days + 2.0 * window / 3.0, np.inf)
        return np.where(churned, lag, np.nan), edges
    last = pd.Series(np.where(churned, days, np.datetime64("NaT", "D"))).groupby(account_codes(dataset))
    lag = days_as_floats(last.transform("max").to_numpy().astype("datetime64[D]") - days)
    return np.where(churned, lag, np.nan), (-1.0, window / 6.0, window / 2.0, np.inf)


def aucs_by_lag(
    dataset: Dataset, churn_dates: pd.Series | None = None, *, random_state: int = 0
) -> tuple[LagAuc, ...]:
    """AUC of every metric alone, by the lag to the churn.

    Parameters
    ----------
    dataset : Dataset
        With snapshot dates.
    churn_dates : Series of dates, optional
        By account id; see `lags_of`.
    random_state : int
        Which half of the accounts.

    Returns
    -------
    tuple of LagAuc
        By metric and range, nearest first; ranges with fewer than 20 churned rows are left out.
    """
    lag, edges = lags_of(dataset, churn_dates)
    lows = (-np.inf, *edges[:-1]) if churn_dates is not None else edges[:-1]
    bounds = [(low, high) for low, high in zip(lows, edges[-len(lows) :], strict=True)]
    ranges = [(low, high, (lag > low) & (lag <= high)) for low, high in bounds]
    ranges = [part for part in ranges if int(part[2].sum()) >= MIN_CHURNS]
    kept = dataset.churned == 0.0
    if not ranges or int(kept.sum()) < MIN_CHURNS:
        return ()
    accounts = account_codes(dataset)
    half = account_half(accounts, random_state)
    found: list[LagAuc] = []
    for metric in dataset.metrics:
        # rates of all lags together: learned close to the churn alone, they would tell the time to the
        # renewal, which a tenure in months gives away, and not the churn
        risk = unseen_risk(binned(dataset, metric), dataset.churned, learn=dataset.is_matured, half=half)
        for low, high, rows in ranges:
            auc, error = _auc(risk, dataset.churned, accounts, rows=rows | kept)
            found.append(LagAuc(metric.name, low, high, auc, error, int(rows.sum())))
    return tuple(found)


def _auc(risk: Array, churned: Array, accounts: Codes, *, rows: Mask) -> tuple[float, float]:
    numbers = np.unique(accounts[rows], return_inverse=True)[1]
    found = delong_auc(-risk[rows], churned[rows], numbers)
    return found.auc, found.error


def steep_lags(aucs: tuple[LagAuc, ...]) -> tuple[Finding, ...]:
    """Name the metrics whose AUC rises steeply as the lag shrinks.

    Parameters
    ----------
    aucs : tuple of LagAuc
        From `aucs_by_lag`.

    Returns
    -------
    tuple of Finding
        Code ``steep-lag``: near AUC at least .70, at least .15 above that of the longest lags, and more than
        noise (one-sided, .5 % over all metrics together).
    """
    names = list(dict.fromkeys(auc.metric for auc in aucs))
    z = float(norm.isf(ERROR_RATE / max(len(names), 1)))
    found = []
    for name in names:
        parts = [auc for auc in aucs if auc.metric == name]
        far = parts[-1]
        near = max(parts[:-1], key=lambda auc: auc.auc, default=far)
        gap, error = near.auc - far.auc, float(np.hypot(near.error, far.error))
        if gap < STEEP or near.auc < NEAR_AUC or gap < z * error:
            continue
        text = (
            f"{name} alone tells churn with an AUC of {near.auc:.3f} {near.words} ({near.churns:,} churned "
            f"rows), and {far.auc:.3f} {far.words} ({far.churns:,}): {gap:.3f} more, {z * error:.3f} would "
            "be noise. Is it written when the account leaves? If so, add it to [data] ignore, or lengthen "
            "[data] lead_days."
        )
        found.append(warning("steep-lag", name, text, count=near.churns))
    return tuple(found)
