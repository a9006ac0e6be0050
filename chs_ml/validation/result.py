"""The values that validation hands out: a statistic with its interval, a test with its verdict."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Mask = NDArray[np.bool_]

NAN = float("nan")


class Verdict(StrEnum):
    """What a test says; "not enough data" is an answer, not a failure to answer."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    NOT_ENOUGH_DATA = "not enough data"


@dataclass(frozen=True)
class Interval:
    """A confidence interval; NaN ends mean that none can be given.

    Attributes
    ----------
    low, high : float
        Its ends, in the unit of what it is an interval of.
    """

    low: float = NAN
    high: float = NAN

    def holds(self, value: float) -> bool:
        """Whether the value lies inside, ends included."""
        return bool(self.low <= value <= self.high)

    @property
    def known(self) -> bool:
        """Whether both ends are numbers."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))


UNKNOWN = Interval()


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """One number about a model, with what is needed to believe it.

    Attributes
    ----------
    name : str
        Stable key, such as ``"auc"``.
    label : str
        The name people read.
    value : float
        The statistic on the judged rows; NaN where it is not defined.
    interval : Interval
        Account-clustered interval at the report's level.
    reference : float
        The same statistic of the base rate, which says the same of every account.
    n, events : int
        Judged rows, and churns among them.
    higher_is_better : bool
        Direction.
    method : str
        How the interval was made.
    sentence : str
        What it means, in one sentence.
    """

    name: str
    label: str
    value: float
    interval: Interval
    reference: float
    n: int
    events: int
    higher_is_better: bool
    method: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class HypothesisTest:
    """One test as a value: what was asked, of how much data, under which policy, and the answer.

    Attributes
    ----------
    name : str
        Stable key, such as ``"separated"``.
    subject : str
        What was tested: a tier, a pair of tiers, a score; empty where it is the whole.
    null : str
        The null hypothesis, in words.
    statistic : float
        The number that was compared.
    statistic_name : str
        What that number is.
    interval : Interval
        Interval of the statistic, where one makes sense.
    p_value : float
        After the correction that the policy names; NaN where no p-value makes sense.
    n, events : int
        Rows and churns that the test saw.
    policy : str
        The rule that turned numbers into a verdict.
    verdict : Verdict
        Pass, warn, fail or not enough data.
    sentence : str
        The answer in one sentence.
    """

    name: str
    subject: str = ""
    null: str
    statistic: float = NAN
    statistic_name: str = ""
    interval: Interval = UNKNOWN
    p_value: float = NAN
    n: int
    events: int
    policy: str
    verdict: Verdict
    sentence: str

    @property
    def spoke(self) -> bool:
        """Whether the test had enough data to answer."""
        return self.verdict is not Verdict.NOT_ENOUGH_DATA


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Sum up verdicts: any fail fails; else any lack of data is said; else any warning; else pass.

    >>> worst([Verdict.PASS, Verdict.WARN]).value
    'warn'
    """
    found = set(verdicts)
    ranked = (Verdict.FAIL, Verdict.NOT_ENOUGH_DATA, Verdict.WARN)
    return next((verdict for verdict in ranked if verdict in found), Verdict.PASS)


def holm(p_values: Iterable[float]) -> list[float]:
    """Correct p-values for multiple tests after Holm (1979), in the order given.

    Missing p-values (tests that did not speak) stay missing and are not counted.

    >>> [round(p, 2) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    raw: Array = np.array(list(p_values), dtype=np.float64)
    corrected = np.full_like(raw, np.nan)
    spoke = np.flatnonzero(~np.isnan(raw))
    order = spoke[np.argsort(raw[spoke], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(raw[order] * factors), 1.0)
    return [float(p) for p in corrected]
