"""The rivals every score must beat: the single best metric, and the base rate."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.errors import NotEnoughData
from chs_ml.outcome import churn_codes
from chs_ml.validation.ranking import Ranking, rank_statistics
from chs_ml.validation.result import Array

LEAST_EVENTS = 5


@dataclass(frozen=True, kw_only=True)
class BestMetric:
    """The single metric that ranks best.

    Attributes
    ----------
    name : str
        Its column.
    auc : float
        On the rows where it was chosen; flattering there, as the best of many.
    score : Series of shape (n,)
        The metric turned so that larger = healthier, missing values in the place of their churn rate.
    """

    name: str
    auc: float
    score: pd.Series


def single_best_metric(
    outcomes: object, metrics: pd.DataFrame, *, chosen_on: NDArray[np.bool_] | None = None
) -> BestMetric:
    """Choose the numeric metric with the best AUC, in its better direction.

    Parameters
    ----------
    outcomes : Series or array of shape (n,)
        As in `validate`, in the row order of `metrics`.
    metrics : DataFrame of shape (n, k)
        Only numeric columns compete.
    chosen_on : ndarray of bool of shape (n,), optional
        Rows on which the choice is made, such as the training rows; all rows without, which flatters it.

    Raises
    ------
    NotEnoughData
        Where no column can rank.
    """
    churned = churn_codes(outcomes)
    used = ~np.isnan(churned) & (np.ones(len(churned), dtype=bool) if chosen_on is None else chosen_on)
    best: BestMetric | None = None
    for name in metrics.select_dtypes("number").columns:
        values = metrics[name].to_numpy(dtype=np.float64, na_value=np.nan)
        filled = _filled(values, churned, used)
        if filled is None:
            continue
        auc = _auc(filled[used], churned[used])
        turned, auc = (filled, auc) if auc >= 0.5 else (-filled, 1.0 - auc)
        if best is None or auc > best.auc:
            best = BestMetric(name=str(name), auc=auc, score=pd.Series(turned, index=metrics.index))
    if best is None:
        raise NotEnoughData("No numeric metric has two values among rows with churned and renewed outcomes.")
    return best


def _filled(values: Array, churned: Array, used: NDArray[np.bool_]) -> Array | None:
    """Put missing values where accounts churn as the missing ones do; None where there is nothing to rank."""
    known = used & ~np.isnan(values)
    if known.sum() < LEAST_EVENTS or len(np.unique(values[known])) < 2 or len(np.unique(churned[used])) < 2:
        return None
    missing = np.isnan(values)
    if not missing.any():
        return values
    seen = missing & used
    wanted = float(churned[seen].mean()) if seen.any() else float(churned[known].mean())
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, 11)))
    bins = np.clip(np.searchsorted(edges, values[known], side="right") - 1, 0, len(edges) - 2)
    rates = np.bincount(bins, weights=churned[known], minlength=len(edges) - 1)
    sizes = np.maximum(np.bincount(bins, minlength=len(edges) - 1), 1)
    nearest = int(np.argmin(np.abs(rates / sizes - wanted)))
    return np.where(missing, (edges[nearest] + edges[nearest + 1]) / 2.0, values)


def _auc(score: Array, churned: Array) -> float:
    ranking = Ranking.of(score, churned)
    return float(rank_statistics(ranking, np.ones((1, len(score))))["auc"][0])
