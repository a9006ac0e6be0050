"""What acting on a score is worth: net benefit, calls at capacity, the profit of a campaign."""

from dataclasses import dataclass

import numpy as np

from chs_ml.errors import RecipeError, TableError
from chs_ml.validation.bootstrap import Resampling
from chs_ml.validation.capacity import CapacityValue, value_at_capacity
from chs_ml.validation.columns import JudgedColumns
from chs_ml.validation.net_benefit import NetBenefit, net_benefit_curve
from chs_ml.validation.profit import (
    Campaign,
    ExpectedProfit,
    expected_maximum_profit,
    expected_maximum_profit_business,
)
from chs_ml.validation.result import Codes

MOST_REPLICATES = 500


@dataclass(frozen=True, kw_only=True)
class Outreach:
    """What the team can do, and what a retention campaign costs.

    Attributes
    ----------
    capacity : int or None
        Accounts that the team can call in one period; None leaves value at capacity out.
    campaign : Campaign or None
        None leaves profit out.
    customer_value : float or None
        Value of a retained customer, the same for all (EMPC); without it each account counts with its own
        (EMPB).
    """

    capacity: int | None = None
    campaign: Campaign | None = None
    customer_value: float | None = None

    def __post_init__(self) -> None:
        if self.customer_value is not None and self.campaign is None:
            raise RecipeError("customer_value needs a campaign: profit takes what a campaign costs.")


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What acting on a score is worth.

    Attributes
    ----------
    net_benefit : tuple of NetBenefit
        Empty without probabilities.
    capacity : CapacityValue or None
        Where a capacity is given.
    profit_of : str
        "EMPC" or "EMPB"; empty where no campaign is given.
    profit : ExpectedProfit or None
        Of the campaign.
    """

    net_benefit: tuple[NetBenefit, ...] = ()
    capacity: CapacityValue | None = None
    profit_of: str = ""
    profit: ExpectedProfit | None = None


def worth_of(
    columns: JudgedColumns, outreach: Outreach, resampling: Resampling, *, period: Codes | None = None
) -> Worth:
    """Net benefit, value at capacity, and a campaign's expected maximum profit on the judged rows.

    Parameters
    ----------
    columns : JudgedColumns
        The judged rows.
    outreach : Outreach
        What the team can do.
    resampling : Resampling
        Bootstrap of the intervals; at most 500 replicates are drawn.
    period : ndarray of int of shape (n,), optional
        Period of each judged row, in which the capacity is filled anew; all rows are one without.

    Raises
    ------
    TableError
        Where a campaign needs the accounts' values and there are none.
    """
    few = Resampling(
        replicates=min(resampling.replicates, MOST_REPLICATES),
        random_state=resampling.random_state,
        level=resampling.level,
    )
    name, profit = _profit(columns, outreach, few)
    capacity = None
    if outreach.capacity is not None:
        capacity = value_at_capacity(
            columns.churned, score=columns.score, capacity=outreach.capacity, value=columns.value,
            account=columns.account, period=period, resampling=few,
        )  # fmt: skip
    curve: tuple[NetBenefit, ...] = ()
    if columns.probability is not None:
        curve = net_benefit_curve(
            columns.churned, probability=columns.probability, account=columns.account, level=few.level
        )
    return Worth(net_benefit=curve, capacity=capacity, profit_of=name, profit=profit)


def _profit(
    columns: JudgedColumns, outreach: Outreach, resampling: Resampling
) -> tuple[str, ExpectedProfit | None]:
    """EMPC where one value holds for all customers, EMPB where each account has its own."""
    if outreach.campaign is None:
        return "", None
    if outreach.customer_value is not None:
        return "EMPC", expected_maximum_profit(
            columns.churned, score=columns.score, account=columns.account,
            customer_value=outreach.customer_value, campaign=outreach.campaign, resampling=resampling,
        )  # fmt: skip
    if columns.value is None:
        raise TableError(
            "A campaign's profit needs customer_value, or a column of account values ([data] value, --value)."
        )
    return "EMPB", expected_maximum_profit_business(
        columns.churned, score=columns.score, account=columns.account, value=np.asarray(columns.value),
        campaign=outreach.campaign, resampling=resampling,
    )  # fmt: skip
