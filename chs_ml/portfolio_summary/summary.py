"""A scored portfolio in numbers, as one frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chs_ml.portfolio_summary.text import summary_text
from chs_ml.validation.plain import to_plain

Array = NDArray[np.float64]

Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Expectation:
    """A sum over accounts, expected from their churn probabilities.

    The interval is normal, with the variance of independent accounts that churn with exactly the
    probabilities given (Poisson-binomial; weighted where values are summed). It says how far chance
    alone may carry the sum. It does not cover that the probabilities are estimates, that one cause (a
    price rise, a recession) moves many accounts at once, or that values change.

    Attributes
    ----------
    expected : float
        Number of churns, or value in the table's currency.
    low, high : float
        95 % interval, cut at nothing and at everything.
    """

    expected: float
    low: float
    high: float

    @classmethod
    def of(cls, probability: Array, size: Array) -> "Expectation":
        """Expect the sum of `size` over accounts that churn with `probability`, both of shape (n,)."""
        expected = float(np.sum(probability * size))
        reach = Z_95 * float(np.sqrt(np.sum(size**2 * probability * (1.0 - probability))))
        return cls(expected, max(expected - reach, 0.0), min(expected + reach, float(np.sum(size))))


@dataclass(frozen=True, kw_only=True)
class TierSummary:
    """One tier.

    Attributes
    ----------
    tier : str
        Its name.
    accounts : int
        Accounts in it.
    share : float
        Of the accounts that count, 0 to 1.
    expected_churns : float
        Sum of churn probabilities.
    value, value_at_risk : float or None
        Sums of value, and of probability times value; None where the model knows no value column.
    """

    tier: str
    accounts: int
    share: float
    expected_churns: float
    value: float | None
    value_at_risk: float | None


@dataclass(frozen=True, kw_only=True)
class AccountAtRisk:
    """One of the accounts with the most to lose.

    Attributes
    ----------
    account : str
        Account id; the number of the row, from 1, where the table has no ids.
    snapshot_date : str or None
        Day of the snapshot.
    churn_probability, health_score : float
        As published.
    tier : str
        As published.
    value, value_at_risk : float or None
        Value, and value times churn probability; None where the model knows no value column.
    kept : mapping of str to str
        The columns that the recipe keeps, such as owner.
    reasons : tuple of str
        What costs the account most points.
    """

    account: str
    snapshot_date: str | None
    churn_probability: float
    health_score: float
    tier: str
    value: float | None
    value_at_risk: float | None
    kept: Mapping[str, str]
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PortfolioSummary:
    """A scored portfolio in numbers.

    Attributes
    ----------
    rows : int
        Rows scored.
    statuses : mapping of str to int
        Rows per status: ok, degraded, withheld, invalid.
    accounts : int
        Accounts that count below: each once, by its latest snapshot, where that has a score.
    tiers : tuple of TierSummary
        Healthiest first.
    expected_churns : Expectation
        Sum of the churn probabilities.
    value_at_risk : Expectation or None
        Sum of probability times value; None where the model knows no value column.
    value : float or None
        Sum of value.
    value_column : str or None
        Name of that column.
    top : tuple of AccountAtRisk
        Most value at risk first; without values, likeliest to churn first.
    notes : tuple of str
        What the reader must know besides.
    """

    rows: int
    statuses: Mapping[str, int]
    accounts: int
    tiers: tuple[TierSummary, ...]
    expected_churns: Expectation
    value_at_risk: Expectation | None
    value: float | None
    value_column: str | None
    top: tuple[AccountAtRisk, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, text and numbers."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    def to_text(self) -> str:
        """Plain text of at most 100 columns."""
        return summary_text(self)

    def __str__(self) -> str:
        return self.to_text()
