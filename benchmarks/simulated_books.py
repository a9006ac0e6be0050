"""Books whose truth is known, for benchmarks/error_rates.py: outcomes, scores, tiers and accounts by lot."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm

from chs_ml.validation.columns import Counts, JudgedColumns
from chs_ml.validation.tier_table import TierCodes, with_correlation

Array = NDArray[np.float64]
NAMES = ("Healthy", "At-Risk", "Critical")
SHARES = (0.5, 0.3, 0.2)


@dataclass(frozen=True)
class Setting:
    """Rows, base rate, and rows per account."""

    n: int
    base: float
    rows_per_account: int

    def __str__(self) -> str:
        rows = f"{self.rows_per_account} row{'s' if self.rows_per_account > 1 else ''} per account"
        return f"n = {self.n:,}, base rate {self.base:.0%}, {rows}"


SETTINGS = tuple(Setting(n, base, rows) for rows in (1, 6) for base in (0.1, 0.3) for n in (60, 300, 3000))


def shared_normal(rng: np.random.Generator, setting: Setting, share: float) -> Array:
    """Standard normal per row, of which the account's rows share a part."""
    account = np.arange(setting.n) // setting.rows_per_account
    own, common = rng.normal(size=setting.n), rng.normal(size=setting.n)[account]
    return np.asarray(np.sqrt(share) * common + np.sqrt(1.0 - share) * own)


def book(
    rng: np.random.Generator, setting: Setting, *, risk_spread: float
) -> tuple[JudgedColumns, TierCodes]:
    """Draw a calibrated book; with spread 0 all tiers churn alike."""
    score = shared_normal(rng, setting, 0.8)
    margin = logit(setting.base) - risk_spread * score
    probability = expit(margin)
    churned = (norm.cdf(shared_normal(rng, setting, 0.6)) < probability).astype(np.float64)
    account = np.arange(setting.n) // setting.rows_per_account
    edges = norm.isf(np.cumsum(SHARES)[:-1])
    codes = len(edges) - np.searchsorted(edges[::-1], score, side="right")
    counts = Counts(
        rows=setting.n, open=0, withheld=0, without_probability=0, judged=setting.n,
        churned=int(churned.sum()), accounts=int(account.max()) + 1,
    )  # fmt: skip
    columns = JudgedColumns(
        churned=churned, score=score, account=account, probability=probability,
        value=rng.lognormal(0.0, 0.7, setting.n), segment=None, tier=None, new_account=None,
        positions=np.arange(setting.n), counts=counts,
        treated=rng.random(account.max() + 1)[account] < 0.5,
    )  # fmt: skip
    return columns, with_correlation(columns, TierCodes(NAMES, codes.astype(np.intp)))


@dataclass(frozen=True)
class Binormal:
    """Accounts of whom a fixed number churns, with scores of a known AUC; rows of one churn together."""

    auc: float
    accounts: int
    churned: int
    rows: int

    def __str__(self) -> str:
        rows = f"{self.rows} row{'s' if self.rows > 1 else ''} each"
        return f"AUC {self.auc:.2f}, {self.churned} of {self.accounts:,} accounts churned, {rows}"

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array, NDArray[np.intp]]:
        """Outcomes, scores and account codes; half the score's noise is the account's own."""
        account = np.repeat(np.arange(self.accounts), self.rows)
        churned = (account < self.churned).astype(np.float64)
        noise = np.sqrt(0.5) * rng.normal(size=self.accounts)[account]
        noise = noise + np.sqrt(0.5) * rng.normal(size=len(account))
        return churned, -(noise + np.sqrt(2.0) * norm.ppf(self.auc) * churned), account


_GRID = np.linspace(-9.0, 9.0, 20001)
_DENSITY = norm.pdf(_GRID)
INTERCEPT, SPREAD = -2.7806, 1.288  # a base rate of 10 % and an AUC of .80
_TRUTH = expit(INTERCEPT + SPREAD * _GRID)


def portfolio(rng: np.random.Generator, n: int) -> tuple[Array, Array, Array]:
    """True churn probabilities, scores and outcomes of n accounts: base rate 10 %, AUC .80."""
    margin = INTERCEPT + SPREAD * rng.normal(size=n)
    truth = expit(margin)
    return truth, -margin, (rng.random(n) < truth).astype(np.float64)


def true_rate(lower_bound: float) -> float:
    """Churn rate of all accounts that could ever score at least so high, by integration."""
    inside = lower_bound <= -(INTERCEPT + SPREAD * _GRID)
    return float(np.sum((_DENSITY * _TRUTH)[inside]) / np.sum(_DENSITY[inside]))
