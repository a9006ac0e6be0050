"""Shapley values of one leaf, for every pattern of agreement at once.

A leaf of value `v` lies behind `m` distinct features. When feature `j` is known, the row agrees with the path
(`a_j` = 1) or not (0); when unknown, it agrees with odds `z_j`. The game "v times the product of agreements"
is multilinear, so Shapley's average over orders is an integral along the diagonal (Owen 1972):

    phi_j = v (a_j - z_j) * integral_0^1 prod_{i != j} (t a_i + (1 - t) z_i) dt

The integrand is a polynomial of degree `m - 1`: Gauss-Legendre with `ceil(m / 2)` points is exact. No factor
is negative, so nothing cancels.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from functools import cache

import numpy as np
from numpy.typing import NDArray


def leaf_contributions(odds: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Contributions of leaves with equally many features, for every pattern of agreement.

    Parameters
    ----------
    odds : (n, m), the odds `z` of agreement when unknown, in [0, 1].
    values : (n,), the leaf values `v`.

    Returns
    -------
    (n, m, 2**m); bit `j` of the last index says whether feature `j` agrees.
    """
    n, m = odds.shape
    agree = np.zeros((n, m, 1 << m))
    absent = np.zeros((n, 1 << m))
    for point, weight in gauss_legendre((m + 1) // 2):
        unknown = (1.0 - point) * odds
        product = _products(unknown, point) * (values * weight)[:, None]
        # Dividing the whole product by feature j's own factor leaves the product over the others.
        agree += product[:, None, :] * ((1.0 - odds) / (unknown + point))[:, :, None]
        absent -= product / (1.0 - point)
    bits = (np.arange(1 << m) >> np.arange(m)[:, None] & 1).astype(bool)
    return np.where(bits, agree, absent[:, None, :])


def _products(unknown: NDArray[np.float64], point: float) -> NDArray[np.float64]:
    """prod_j of each leaf for every pattern: feature by feature, the patterns double."""
    product = np.ones((len(unknown), 1))
    for column in unknown.T:
        product = np.concatenate([product * column[:, None], product * (column + point)[:, None]], axis=1)
    return product


@cache
def gauss_legendre(n: int) -> tuple[tuple[float, float], ...]:
    """Points and weights on [0, 1], correctly rounded.

    Computed in decimal arithmetic, because the usual eigenvalue routine differs in the last bit between
    machines, and tables built from one model must be the same everywhere.
    """
    with localcontext() as context:
        context.prec = 50
        return tuple(_gauss_point(n, k) for k in range(n))


def _gauss_point(n: int, k: int) -> tuple[float, float]:
    x = Decimal(math.cos(math.pi * (k + 0.75) / (n + 0.5)))
    for _ in range(6):  # Newton doubles the 2 correct digits of the start each time
        value, slope = _legendre(n, x)
        x -= value / slope
    _, slope = _legendre(n, x)
    return float((1 + x) / 2), float(1 / ((1 - x * x) * slope * slope))


def _legendre(n: int, x: Decimal) -> tuple[Decimal, Decimal]:
    """Value and slope of the Legendre polynomial of degree n."""
    before, value = Decimal(1), x
    for k in range(2, n + 1):
        before, value = value, ((2 * k - 1) * x * value - (k - 1) * before) / k
    return value, n * (x * value - before) / (x * x - 1)
