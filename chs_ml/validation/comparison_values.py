"""What a comparison hands out: one score's statistics, and paired differences with a ruling."""

from dataclasses import dataclass
from enum import StrEnum

from chs_ml.validation.result import HypothesisTest, Interval, Statistic
from chs_ml.validation.tier_table import TierRow

COMPARED = ("auc", "average_precision", "top_decile_lift", "log_loss", "brier", "value_captured")
MARGINS = {
    "auc": 0.02,
    "average_precision": 0.02,
    "top_decile_lift": 0.5,
    "log_loss": 0.005,
    "brier": 0.005,
    "value_captured": 0.05,
}


class Ruling(StrEnum):
    """What a paired comparison says of the second score."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no difference shown"
    NOT_ENOUGH_DATA = "not enough data"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One statistic of two scores on the same rows.

    Attributes
    ----------
    statistic : str
        Key of the statistic, such as ``"auc"``.
    first, second : str
        Names; the first is the reference.
    difference : float
        Second minus first.
    interval : Interval
        Paired, account-clustered: t with the standard deviation of the replicates' differences.
    p_value : float
        Two-sided, of the same t; 1 where no replicate differs.
    delong_interval, delong_p_value
        Of AUCs, by DeLong (clustered: Obuchowski); NaN for other statistics.
    higher_is_better : bool
        Direction of the statistic.
    margin : float
        Largest difference that would not matter.
    equivalent : bool
        Whether the interval at twice the error rate (two one-sided tests) lies inside ± margin.
    verdict : Ruling
        Of the second score.
    sentence : str
        The answer in one sentence.
    """

    statistic: str
    first: str
    second: str
    difference: float
    interval: Interval
    p_value: float
    delong_interval: Interval
    delong_p_value: float
    higher_is_better: bool
    margin: float
    equivalent: bool
    verdict: Ruling
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One score of a comparison.

    Attributes
    ----------
    name : str
        Its name.
    statistics : tuple of Statistic
        With intervals.
    tiers : tuple of TierRow
        Where the score is on the 0-100 scale, or bounds were given.
    promises : tuple of HypothesisTest
        What tiers promised, checked on its tiers.
    """

    name: str
    statistics: tuple[Statistic, ...]
    tiers: tuple[TierRow, ...]
    promises: tuple[HypothesisTest, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SegmentDuel:
    """Two scores inside one segment.

    Attributes
    ----------
    segment : str
        Its name; "(none)" for rows without one.
    first, second : str
        Names; the first is the reference.
    rows, churned : int
        Sizes.
    first_auc, second_auc : float
        AUCs inside the segment; NaN where it has too few churns or renewals.
    difference, interval
        Second minus first, with DeLong's interval, clustered by account.
    p_value : float
        DeLong's, Holm over the segments; NaN where silent.
    verdict : Ruling
        Of the second score, at the policy's alpha.
    """

    segment: str
    first: str
    second: str
    rows: int
    churned: int
    first_auc: float
    second_auc: float
    difference: float
    interval: Interval
    p_value: float
    verdict: Ruling


def ruling(interval: Interval, *, higher_is_better: bool) -> Ruling:
    """What the interval of a difference says of the second score."""
    if not interval.known or interval.holds(0.0):
        return Ruling.NO_DIFFERENCE
    return Ruling.BETTER if (interval.low > 0.0) == higher_is_better else Ruling.WORSE
