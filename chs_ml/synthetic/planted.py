"""Planted weights: outcomes from known curves and weights, for measuring whether they are found again."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, ndtr

from chs_ml.errors import InputError
from chs_ml.metric import Direction, Metric

Array = NDArray[np.float64]
Curve = tuple[Array, Array]

STRENGTH = 0.05
CORRELATION = 0.2

# Values are uniform over (0, top). Curves reach 0 and 100 at the 1st and 99th percentile and are flat beyond,
# so that a curve scaled to those percentiles is this curve and its weight is comparable with the true one.
_LOW, _HIGH = 0.01, 0.99
_PLANTED: tuple[tuple[Metric, float, float, tuple[tuple[float, float], ...]], ...] = (
    (
        Metric(name="usage_days", group="Product usage", unit="days of 30", direction=Direction.HIGHER),
        0.5,
        30.0,
        ((_LOW, 0), (0.35, 60), (0.7, 90), (_HIGH, 100)),
    ),
    (
        Metric(name="feature_adoption", group="Product usage", unit="%", direction=Direction.HIGHER),
        0.3,
        100.0,
        ((_LOW, 0), (_HIGH, 100)),
    ),
    (
        Metric(name="resolve_hours", group="Support", unit="h", direction=Direction.LOWER),
        0.2,
        120.0,
        ((_LOW, 100), (0.4, 80), (_HIGH, 0)),
    ),
    (
        Metric(name="touchpoints", group="Engagement", unit="in 90 days", direction=Direction.HIGHER),
        0.0,
        12.0,
        ((_LOW, 0), (0.5, 70), (_HIGH, 100)),
    ),
    (
        Metric(name="overdue_days", group="Billing", unit="days", direction=Direction.LOWER),
        0.0,
        60.0,
        ((_LOW, 100), (0.5, 40), (_HIGH, 0)),
    ),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class PlantedWeights:
    """Accounts whose churn follows ``sigma(b - strength * sum_k w_k h_k(x))`` exactly.

    Attributes
    ----------
    frame : DataFrame of shape (accounts, 5)
        One numeric column per metric, none missing.
    churned : ndarray of shape (accounts,)
        1.0 churned, 0.0 renewed.
    probability : ndarray of shape (accounts,)
        The true probability of churn.
    metrics : tuple of Metric
        In column order, with their directions.
    weights : mapping of str to float
        .5, .3, .2, 0, 0; sum 1.
    curves : mapping of str to (values, points)
        True health curves: ascending values, points 0-100, flat outside.
    intercept, strength : float
        ``b``, and log-odds per point.
    """

    frame: pd.DataFrame
    churned: Array
    probability: Array
    metrics: tuple[Metric, ...]
    weights: Mapping[str, float]
    curves: Mapping[str, Curve]
    intercept: float
    strength: float


def planted_weights(*, accounts: int = 5000, seed: int, base_rate: float = 0.15) -> PlantedWeights:
    """Plant weights in simulated outcomes.

    Metrics are uniform and mildly correlated (normal copula, .2); the intercept is set so that the mean true
    probability is the base rate; ranking by the true probability reaches an AUC of about .77.

    Parameters
    ----------
    accounts : int, default=5000
        Rows, one per account, at least 1.
    seed : int
        Not negative. Same seed, same data.
    base_rate : float, default=0.15
        Mean true probability of churn, in (0, 1).

    Returns
    -------
    PlantedWeights

    Raises
    ------
    InputError
        Where there are no accounts, the base rate lies outside (0, 1) or the seed is negative.
    """
    if accounts < 1 or seed < 0 or not 0.0 < base_rate < 1.0:
        raise InputError(
            f"Planted weights need at least 1 account, a base rate in (0, 1) and a seed that is not "
            f"negative; got accounts={accounts}, base_rate={base_rate}, seed={seed}."
        )
    rng = np.random.default_rng(seed)
    curves = {metric.name: _curve(top, knots) for metric, _, top, knots in _PLANTED}
    weights = {metric.name: weight for metric, weight, _, _ in _PLANTED}
    frame = _frame(rng, accounts)
    health = np.zeros(accounts)
    for name, weight in weights.items():
        health += weight * np.interp(frame[name].to_numpy(), *curves[name])
    intercept = _intercept(-STRENGTH * health, base_rate)
    probability = expit(intercept - STRENGTH * health)
    return PlantedWeights(
        frame=frame,
        churned=(rng.random(accounts) < probability).astype(np.float64),
        probability=probability,
        metrics=tuple(metric for metric, *_ in _PLANTED),
        weights=MappingProxyType(weights),
        curves=MappingProxyType(curves),
        intercept=intercept,
        strength=STRENGTH,
    )


def _curve(top: float, knots: tuple[tuple[float, float], ...]) -> Curve:
    share, points = np.asarray(knots, dtype=np.float64).T.copy()
    return top * share, points


def _frame(rng: np.random.Generator, n: int) -> pd.DataFrame:
    common = rng.normal(size=(n, 1))
    own = rng.normal(size=(n, len(_PLANTED)))
    levels = ndtr(np.sqrt(CORRELATION) * common + np.sqrt(1.0 - CORRELATION) * own)
    columns = {}
    for i, (metric, _, top, _) in enumerate(_PLANTED):
        healthy = levels[:, i] if metric.direction is Direction.HIGHER else 1.0 - levels[:, i]
        columns[metric.name] = top * healthy
    return pd.DataFrame(columns)


def _intercept(margin: Array, base_rate: float) -> float:
    """Intercept at which the mean probability is the base rate."""
    return float(brentq(lambda b: float(expit(b + margin).mean()) - base_rate, -40.0, 40.0))
