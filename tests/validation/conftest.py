"""A simulated book with known truth, for the tests of validation."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Book:
    """Rows of a portfolio whose true churn probabilities are known."""

    churned: Array
    probability: Array
    score: Array
    account: NDArray[np.intp]
    value: Array


def make_book(
    n: int, *, seed: int, base: float = 0.1, spread: float = 1.4, rows_per_account: int = 1
) -> Book:
    """Draw a calibrated book; accounts share part of their risk, which the probability knows."""
    rng = np.random.default_rng(seed)
    account = np.arange(n) // rows_per_account
    shared = rng.normal(size=n)[account]
    margin = logit(base) - spread**2 / 4 + spread * np.sqrt(0.5) * (shared + rng.normal(size=n))
    probability = expit(margin)
    luck = np.sqrt(0.8) * rng.normal(size=n)[account] + np.sqrt(0.2) * rng.normal(size=n)
    churned = (norm.cdf(luck) < probability).astype(float)
    score = np.clip(62.5 - 12.5 / np.log(2.0) * (margin - logit(base)), 0.01, 99.99)
    return Book(churned, probability, score, account, rng.lognormal(9.0, 1.0, n))


@pytest.fixture(scope="session")
def book() -> Book:
    """Three thousand accounts, one row each."""
    return make_book(3000, seed=1)


@pytest.fixture(scope="session")
def monthly_book() -> Book:
    """Five hundred accounts with six rows each."""
    return make_book(3000, seed=2, rows_per_account=6)
