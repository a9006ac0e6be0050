"""What a customer-success lead asks first: how many accounts per tier, what is at risk, and where."""

from chs_ml.portfolio_summary.summary import AccountAtRisk, Expectation, PortfolioSummary, TierSummary
from chs_ml.portfolio_summary.tally import TOP, PortfolioTally, usable_values

__all__ = [
    "TOP",
    "AccountAtRisk",
    "Expectation",
    "PortfolioSummary",
    "PortfolioTally",
    "TierSummary",
    "usable_values",
]
