"""The sections of every recipe: the table of metrics, the split, the model, the scale."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chs_ml.recipe.values import Day, Names, Section, Share, Value, Values


class DataSpec(Section):
    """Table ``[data]``: the file and the part each of its columns plays.

    Attributes
    ----------
    path : str, optional
        csv, csv.gz or parquet; relative to the recipe file.
    account : str, optional
        Column of account ids. Without it every row is an account of its own.
    outcome : str
        Column of renewal outcomes.
    churned, renewed : optional
        The value that means churned, and those that mean renewed.
    contracted_is_churn : bool
        Whether a renewal at a smaller value counts as churn.
    snapshot_date : str, optional
        Column of dates at the end of which the metrics were known; needs `horizon_days` and `account`.
    horizon_days, lead_days : int
        Days within which churn counts, and warning days left out before them.
    settle_days : int
        Days after the horizon until an outcome is known, such as the grace period of a renewal.
    value, segment : str, optional
        Columns of contract value and of segment, for reports.
    ignore, keep : tuple of str
        Columns that are not read, and columns carried to the output untouched.
    as_of : date, optional
        The day until which outcomes were known: a row whose outcome window ends, or whose
        outcome settles, later is open.
    """

    path: str | None = None
    account: str | None = None
    outcome: str
    churned: Value = None
    renewed: Values | None = None
    contracted_is_churn: bool = False
    snapshot_date: str | None = None
    horizon_days: Annotated[int, Field(ge=1)] | None = None
    lead_days: Annotated[int, Field(ge=0)] = 0
    settle_days: Annotated[int, Field(ge=0)] = 0
    value: str | None = None
    segment: str | None = None
    ignore: Names = ()
    keep: Names = ()
    as_of: Day | None = None

    @model_validator(mode="after")
    def _dates_are_complete(self) -> Self:
        if self.snapshot_date is None:
            if self.as_of is not None:
                raise ValueError("as_of needs snapshot_date: without it no outcome window has an end")
            return self
        for key in ("horizon_days", "account"):
            if getattr(self, key) is None:
                raise ValueError(
                    f"snapshot_date needs {key}: training rows whose outcome window reaches the test are "
                    f"left out, and that takes the window's length and who is who"
                )
        return self

    @model_validator(mode="after")
    def _one_part_a_column(self) -> Self:
        parts = {"account": self.account, "outcome": self.outcome, "snapshot_date": self.snapshot_date}
        named = [name for name in parts.values() if name is not None]
        if len(set(named)) < len(named):
            raise ValueError(f"account, outcome and snapshot_date must be different columns; got {named}")
        if self.renewed is not None and self.churned is None:
            raise ValueError("renewed needs churned, the value that means churn")
        return self

    @property
    def reach_days(self) -> int:
        """A training row lies more than so many days before the first row that is judged."""
        from chs_ml.outcome import outcome_reach  # it loads pandas, for which the help does not wait

        return outcome_reach(
            horizon_days=self.horizon_days or 0, lead_days=self.lead_days, settle_days=self.settle_days
        )

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Columns that are never metrics: account, outcome and snapshot date."""
        return tuple(name for name in (self.account, self.outcome, self.snapshot_date) if name is not None)


class SplitSpec(Section):
    """Table ``[split]``: how accounts or months are set aside for the test."""

    test_share: Share = 0.25
    test_from: Day | None = None
    random_state: Annotated[int, Field(ge=0, lt=2**31)] = 0
    refit: bool = False


class ModelSpec(Section):
    """Table ``[model]``: what is learned, and when learning is refused."""

    kind: Literal["blend", "scorecard"] = "blend"
    prior: str | None = None
    random_state: Annotated[int, Field(ge=0, lt=2**31)] = 0
    bootstrap: Annotated[int, Field(ge=0)] = 200
    min_events_per_weight: Annotated[float, Field(ge=0.0)] = 2.0
    coverage_floor: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    threads: Annotated[int, Field(ge=1)] | None = None
    folds: Annotated[int, Field(ge=2)] = 5


class ScaleSpec(Section):
    """Table ``[scale]``: how risk becomes health."""

    kind: Literal["anchored", "retention"] = "anchored"
    base_rate: Share | None = None
