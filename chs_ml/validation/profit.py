"""Expected maximum profit of a retention campaign: EMPC, and EMPB for business customers.

One campaign: contact the riskiest accounts, each at a contact cost; a churner stays with probability γ
and then costs an incentive; a loyal account takes the incentive and would have stayed anyway. γ is not
known, so it follows a Beta distribution, and for each γ the best number of contacts is chosen.

With g(k) = what the first k contacts would save at γ = 1 and c(k) = what they cost in any case, profit
is γ g(k) - c(k): straight lines in γ. Only contacts on the upper convex hull of (c, g) are ever best,
and between two break points the Beta integrals are in closed form.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import betainc

from chs_ml.errors import RecipeError
from chs_ml.validation.bootstrap import USUAL, Resampling, resampled
from chs_ml.validation.intervals import normal_interval
from chs_ml.validation.ranking import Ranking
from chs_ml.validation.result import Array, Codes, Interval

_TINY = 1e-12


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """What a retention campaign costs and how often it works.

    Attributes
    ----------
    alpha, beta : float
        Parameters of the Beta distribution of γ, the chance that a contacted churner stays. 6 and 14
        (mean 30 %), as Verbraken et al. use.
    incentive : float
        Cost of the incentive: an amount for EMPC, a share of the account's value for EMPB.
    contact : float
        Cost of one contact.
    """

    alpha: float = 6.0
    beta: float = 14.0
    incentive: float = 10.0
    contact: float = 1.0

    def __post_init__(self) -> None:
        if min(self.alpha, self.beta) <= 0.0 or min(self.incentive, self.contact) < 0.0:
            raise RecipeError(
                "A campaign needs alpha and beta above 0 and costs that are not negative; got alpha "
                f"{self.alpha:g}, beta {self.beta:g}, incentive {self.incentive:g}, contact {self.contact:g}."
            )


BUSINESS = Campaign(incentive=0.05, contact=15.0)


@dataclass(frozen=True, kw_only=True)
class ExpectedProfit:
    """Expected maximum profit of a score.

    Attributes
    ----------
    per_account : float
        Currency per judged row.
    interval : Interval
        Account-clustered bootstrap, normal.
    contacted : float
        Expected share of rows that the best campaign contacts.
    per_account_at_random, per_account_perfect : float
        The same of a score that says nothing, and of one that knows the outcome.
    """

    per_account: float
    interval: Interval
    contacted: float
    per_account_at_random: float
    per_account_perfect: float


def expected_maximum_profit(
    churned: Array,
    *,
    score: Array,
    account: Codes | None = None,
    customer_value: float = 200.0,
    campaign: Campaign | None = None,
    resampling: Resampling = USUAL,
) -> ExpectedProfit:
    """EMPC: Verbraken, Verbeke & Baesens (2013), IEEE Trans. Knowledge and Data Engineering 25, 961-973.

    ∫ max over thresholds of CLV (γ (1 - δ) - φ) π0 F0 - CLV (δ + φ) π1 F1, weighted with the density of
    γ; π0, F0 are the share of churners and how many of them are contacted, π1, F1 those of loyal
    accounts, δ the incentive and φ the contact cost as shares of the value.

    Parameters
    ----------
    churned : ndarray of shape (n,)
        1.0 or 0.0.
    score : ndarray of shape (n,)
        Larger = healthier.
    account : ndarray of int of shape (n,), optional
        Account codes; each row its own without.
    customer_value : float, default=200
        Value of a retained customer (CLV).
    campaign : Campaign, optional
        Incentive 10, contact 1, γ ~ Beta(6, 14) by default: the paper's.
    """
    values = np.full(len(churned), float(customer_value))
    rules = campaign or Campaign()
    incentive = np.full(len(churned), rules.incentive)
    return _profit(churned, score, _Stakes(values, incentive, rules), account, resampling)


def expected_maximum_profit_business(
    churned: Array,
    *,
    score: Array,
    value: Array,
    account: Codes | None = None,
    campaign: Campaign = BUSINESS,
    resampling: Resampling = USUAL,
) -> ExpectedProfit:
    """EMPB: the same with each account's own value (Janssens, Bogaert, Bagué & Van den Poel 2022,
    B2Boost: instance-dependent profit-driven modelling of B2B churn, Annals of Operations Research).

    Parameters
    ----------
    churned, score, account
        As in `expected_maximum_profit`.
    value : ndarray of shape (n,)
        Value of each account if it is retained; missing counts as 0.
    campaign : Campaign
        Incentive 5 % of the value, contact 15, γ ~ Beta(6, 14) by default.
    """
    values = np.nan_to_num(value, nan=0.0)
    return _profit(
        churned, score, _Stakes(values, campaign.incentive * values, campaign), account, resampling
    )


@dataclass(frozen=True)
class _Stakes:
    """Value and incentive of each row, and the campaign."""

    value: Array
    incentive: Array
    campaign: Campaign


def _profit(
    churned: Array, score: Array, stakes: _Stakes, account: Codes | None, resampling: Resampling
) -> ExpectedProfit:
    codes = np.arange(len(churned)) if account is None else account
    campaign = stakes.campaign
    gain = churned * (stakes.value - stakes.incentive)
    cost = campaign.contact + (1.0 - churned) * stakes.incentive
    ranking = Ranking.of(score, churned)
    ones = np.ones((1, len(churned)))
    profit, contacted = (float(v[0]) for v in _weighted(ranking, gain, cost, ones, campaign).values())
    order = ranking.order

    def replicate(counts: Array) -> dict[str, Array]:
        return _weighted(ranking, gain, cost, np.take(counts, codes[order], axis=1), campaign)

    drawn = resampled(replicate, codes, resampling)
    flat, perfect = Ranking.of(np.zeros_like(score), churned), Ranking.of(-gain, churned)
    return ExpectedProfit(
        per_account=profit,
        interval=normal_interval(profit, drawn["profit"], level=resampling.level) if drawn else Interval(),
        contacted=contacted,
        per_account_at_random=float(_weighted(flat, gain, cost, ones, campaign)["profit"][0]),
        per_account_perfect=float(_weighted(perfect, gain, cost, ones, campaign)["profit"][0]),
    )


def _weighted(
    ranking: Ranking, gain: Array, cost: Array, weights: Array, campaign: Campaign
) -> dict[str, Array]:
    """Expected maximum profit and contacted share for weights of shape (b, n) in the ranking's order."""
    gains = ranking.groups(weights * gain[ranking.order])
    costs = ranking.groups(weights * cost[ranking.order])
    rows = ranking.groups(weights)
    found = [
        expected_maximum(g, c, r, alpha=campaign.alpha, beta=campaign.beta)
        for g, c, r in zip(gains, costs, rows, strict=True)
    ]
    return {"profit": np.array([f[0] for f in found]), "contacted": np.array([f[1] for f in found])}


def expected_maximum(
    gains: Array, costs: Array, rows: Array, *, alpha: float, beta: float
) -> tuple[float, float]:
    """Expected maximum of γ · cumulated gain - cumulated cost over prefixes, γ ~ Beta(alpha, beta).

    Parameters
    ----------
    gains, costs, rows : ndarray of shape (g,)
        Per group of tied scores, riskiest first: what is saved at γ = 1, what is spent, how many rows.

    Returns
    -------
    tuple of float
        Profit per row, and expected share of rows in the best prefix.
    """
    used = rows > 0
    spent = np.maximum(costs[used], _TINY)
    # pooling adjacent gain-to-cost ratios until they fall is the upper convex hull of the cumulated curve
    pooled = isotonic_regression(gains[used] / spent, weights=spent, increasing=False)
    ends = pooled.blocks[1:] - 1
    ratios = pooled.x[ends]
    total = float(rows.sum())
    gain, cost, share = (np.r_[0.0, np.cumsum(v[used])[ends]] / total for v in (gains, costs, rows))
    with np.errstate(divide="ignore"):
        turns = np.where(ratios > 0.0, 1.0 / np.maximum(ratios, _TINY), np.inf)
    edges = np.r_[0.0, np.clip(turns, 0.0, 1.0), 1.0]
    mass = np.diff(betainc(alpha, beta, edges))
    moment = alpha / (alpha + beta) * np.diff(betainc(alpha + 1.0, beta, edges))
    return float(np.sum(gain * moment - cost * mass)), float(np.sum(share * mass))
