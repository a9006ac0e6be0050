"""The section ``[validation]``: how scores are judged, what tiers promised, and what a campaign costs.

The defaults repeat those of `chs_ml.validation`, which a recipe does not load: the command line's help
would wait for it.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from chs_ml.recipe.values import Section, Share

Above0 = Annotated[float, Field(gt=0.0)]
AtLeast0 = Annotated[float, Field(ge=0.0)]
AtLeast1 = Annotated[float, Field(ge=1.0)]


class MarginsSpec(Section):
    """Table ``[validation.margins]``: differences between two scores that would not matter, by statistic."""

    auc: Above0 | None = None
    average_precision: Above0 | None = None
    top_decile_lift: Above0 | None = None
    log_loss: Above0 | None = None
    brier: Above0 | None = None
    value_captured: Above0 | None = None


class ValueSpec(Section):
    """Table ``[validation.value]``: what the team can do, and what a retention campaign costs.

    Attributes
    ----------
    capacity : int, optional
        Accounts that the team can call in one month.
    customer_value : float, optional
        Value of a retained customer, the same for all (EMPC). Without it each account counts with its
        own, from ``[data] value`` (EMPB).
    incentive : float, optional
        What a contacted account is given: an amount beside `customer_value`, else a share of the
        account's value.
    contact : float, optional
        Cost of one contact, an amount.
    alpha, beta : float
        Parameters of the Beta distribution of the chance that a contacted churner stays.
    """

    capacity: Annotated[int, Field(ge=1)] | None = None
    customer_value: Above0 | None = None
    incentive: AtLeast0 | None = None
    contact: AtLeast0 | None = None
    alpha: Above0 = 6.0
    beta: Above0 = 14.0

    @model_validator(mode="after")
    def _campaign_is_complete(self) -> Self:
        costs = {"incentive": self.incentive, "contact": self.contact}
        lacking = [name for name, cost in costs.items() if cost is None]
        if self.customer_value is not None and lacking:
            raise ValueError(f"customer_value needs {lacking[0]}: profit takes what a campaign costs")
        if len(lacking) == 1:
            raise ValueError(f"incentive and contact belong together; {lacking[0]} is missing")
        if self.customer_value is None and self.incentive is not None and self.incentive >= 1.0:
            raise ValueError(
                f"incentive must be a share of the account's value, below 1, got {self.incentive!r}; an "
                "amount needs customer_value beside it"
            )
        return self


class PromiseSpec(Section):
    """One ``[[validation.promises]]``: what a tier promised when it was certified."""

    tier: str
    at_most: Share
    confidence: Share = 0.95


class ValidationSpec(Section):
    """Table ``[validation]``: intervals, the thresholds of the verdicts, and columns only judging reads.

    `chs_ml.validation.Rules.of` turns its plain values (``model_dump()``) into what `chs_ml.validate` takes.

    Attributes
    ----------
    bootstrap, random_state, level
        Replicates, seed, and level of the intervals.
    alpha ... least_segment
        The fields of `chs_ml.Policy`.
    treated : str, optional
        Column that says who was worked on between snapshot and outcome; never a metric.
    randomised : bool
        Whether a random hold-out decided that.
    churn_date : str, optional
        Column of the day an account left, blank where it did not; never a metric.
    """

    bootstrap: Annotated[int, Field(ge=2)] = 1000
    random_state: Annotated[int, Field(ge=0, lt=2**31)] = 0
    level: Share = 0.95
    alpha: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.05
    least_expected: AtLeast1 = 10.0
    least_accounts: Annotated[int, Field(ge=1)] = 20
    relevant_ratio: AtLeast1 = 2.0
    most_healthy: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    most_concentrated: Annotated[float, Field(gt=0.0, le=1.0)] = 0.66
    critical_odds_ratio: Above0 = 2.0
    critical_lift: Above0 | None = None
    mean_tolerance: AtLeast0 = 0.015
    slope_tolerance: AtLeast0 = 0.15
    least_segment: Annotated[int, Field(ge=1)] = 50
    treated: str | None = None
    randomised: bool = False
    churn_date: str | None = None
    margins: MarginsSpec = MarginsSpec()
    value: ValueSpec = ValueSpec()
    promises: Annotated[tuple[PromiseSpec, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _treatment_has_a_column(self) -> Self:
        if self.randomised and self.treated is None:
            raise ValueError("randomised needs treated, the column that says who was worked on")
        return self

    @property
    def later_columns(self) -> tuple[str, ...]:
        """Columns that are filled in after the snapshot: they judge, and are never metrics."""
        return tuple(name for name in (self.treated, self.churn_date) if name is not None)
