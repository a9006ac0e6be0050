"""The Brier score taken apart: how much is miscalibration, how much is lack of discrimination."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from chs_ml.validation.calibration import MOST_BINS, equal_mass_bins
from chs_ml.validation.result import Array


@dataclass(frozen=True, kw_only=True)
class BrierParts:
    """Two exact decompositions of one Brier score.

    Attributes
    ----------
    brier : float
        Mean squared error of the probabilities.
    uncertainty : float
        Brier score of the base rate.
    reliability, resolution, within_bins : float
        Murphy (1973, Journal of Applied Meteorology 12, 595-600) over bins of equal mass: brier =
        reliability - resolution + uncertainty + within_bins; the last is what binning hides (Stephenson,
        Coelho & Jolliffe 2008, Weather and Forecasting 23, 752-757).
    miscalibration, discrimination : float
        Without bins, by isotonic regression (CORP: Dimitriadis, Gneiting & Jordan 2021, PNAS 118): brier =
        miscalibration - discrimination + uncertainty; both are at least 0.
    """

    brier: float
    uncertainty: float
    reliability: float
    resolution: float
    within_bins: float
    miscalibration: float
    discrimination: float


def brier_parts(probability: Array, churned: Array, *, most: int = MOST_BINS) -> BrierParts:
    """Take apart the Brier score of probabilities of shape (n,)."""
    brier = float(np.mean((probability - churned) ** 2))
    base = float(churned.mean())
    uncertainty = base * (1.0 - base)
    codes = equal_mass_bins(probability, most=most)
    sizes = np.bincount(codes).astype(np.float64)
    filled = sizes > 0
    weights = sizes[filled] / len(churned)
    predicted = np.bincount(codes, weights=probability)[filled] / sizes[filled]
    realised = np.bincount(codes, weights=churned)[filled] / sizes[filled]
    reliability = float(np.sum(weights * (predicted - realised) ** 2))
    resolution = float(np.sum(weights * (realised - base) ** 2))
    recalibrated = float(np.mean((isotonic(probability, churned) - churned) ** 2))
    return BrierParts(
        brier=brier,
        uncertainty=uncertainty,
        reliability=reliability,
        resolution=resolution,
        within_bins=brier - (reliability - resolution + uncertainty),
        miscalibration=brier - recalibrated,
        discrimination=uncertainty - recalibrated,
    )


def isotonic(probability: Array, churned: Array) -> Array:
    """Non-decreasing least-squares fit of outcomes on probabilities of shape (n,), ties pooled."""
    values, groups, sizes = np.unique(probability, return_inverse=True, return_counts=True)
    means = np.bincount(groups, weights=churned, minlength=len(values)) / sizes
    fitted = isotonic_regression(means, weights=sizes.astype(np.float64)).x
    return np.asarray(fitted[groups], dtype=np.float64)
