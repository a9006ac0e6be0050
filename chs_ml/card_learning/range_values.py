"""What learning ranges hands back: your ranges beside the learned ones, with counts and churn rates."""

from dataclasses import dataclass

from chs_ml.curves import Curve


@dataclass(frozen=True, kw_only=True)
class RangeCount:
    """One range and what happened in it.

    Attributes
    ----------
    low, high : float
        Its ends; infinite where it is open.
    points_low, points_high : float
        Points at its ends, in the card's own; the same in a band.
    n, events : int
        Rows, and churns.
    """

    low: float
    high: float
    points_low: float
    points_high: float
    n: int
    events: int

    @property
    def churn(self) -> float:
        """Churn rate; NaN where it is empty."""
        return self.events / self.n if self.n else float("nan")


@dataclass(frozen=True, kw_only=True)
class LearnedRange:
    """The ranges of one measure.

    Attributes
    ----------
    metric, label : str
        The measure.
    yours : Curve
        Its ranges in the card.
    learned : Curve or None
        Better ones; None where yours stay.
    gain, error : float
        Held-out log loss per row that learned ranges take off, and its account-clustered standard error; NaN
        where nothing was learned.
    reason : str
        Why yours stay; empty where they do not.
    your_counts, learned_counts : tuple of RangeCount
        Rows and churns per range; empty where yours stay.
    """

    metric: str
    label: str
    yours: Curve
    learned: Curve | None
    gain: float
    error: float
    reason: str
    your_counts: tuple[RangeCount, ...] = ()
    learned_counts: tuple[RangeCount, ...] = ()
