"""What a team that can call k accounts would have reached, and the value at risk in the book."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from chs_ml.errors import RecipeError
from chs_ml.validation.bootstrap import USUAL, Resampling, resampled
from chs_ml.validation.intervals import percentile_interval
from chs_ml.validation.ranking import Ranking, at_share
from chs_ml.validation.result import NAN, UNKNOWN, Array, Codes, Interval


@dataclass(frozen=True, kw_only=True)
class CapacityValue:
    """What calling the k riskiest accounts of each period reaches.

    Attributes
    ----------
    capacity : int
        Accounts called per period.
    called : int
        Rows called over all periods.
    churners, churners_interval
        Churners among them; ties at the edge count with the share a random pick would take.
    precision, recall : float
        Churners per call, and share of all churners.
    at_random : float
        Churners that as many random calls would reach.
    value, value_interval
        Value of those churners; NaN without values.
    value_share : float
        Share of all churned value.
    """

    capacity: int
    called: int
    churners: float
    churners_interval: Interval
    precision: float
    recall: float
    at_random: float
    value: float
    value_interval: Interval
    value_share: float


def value_at_capacity(
    churned: Array,
    *,
    score: Array,
    capacity: int,
    value: Array | None = None,
    account: Codes | None = None,
    period: Codes | None = None,
    resampling: Resampling = USUAL,
) -> CapacityValue:
    """Judge a score by what a team of limited capacity would have reached.

    Parameters
    ----------
    churned : ndarray of shape (n,)
        1.0 or 0.0.
    score : ndarray of shape (n,)
        Larger = healthier. Pass ``-probability * value`` to call by expected loss instead.
    capacity : int
        Accounts that can be called in one period.
    value, account : ndarray of shape (n,), optional
        Value of each row; account codes for the clustered bootstrap.
    period : ndarray of int of shape (n,), optional
        Period of each row, such as the month of its snapshot; all rows are one period without.
    """
    if capacity < 1:
        raise RecipeError(f"capacity must be at least 1 account per period, got {capacity}.")
    codes = np.arange(len(churned)) if account is None else account
    periods = np.zeros(len(churned), dtype=np.intp) if period is None else period
    worth = np.zeros(len(churned)) if value is None else np.nan_to_num(value, nan=0.0)
    lists = [
        _CallList.of(np.flatnonzero(periods == p), churned, score, worth, capacity) for p in set(periods)
    ]

    def reached(counts: Array) -> dict[str, Array]:
        found = [one.reached(counts[:, codes[one.rows]]) for one in lists]
        return {name: np.sum([part[name] for part in found], axis=0) for name in found[0]}

    accounts = int(codes.max()) + 1
    estimate = {name: float(v[0]) for name, v in reached(np.ones((1, accounts))).items()}
    drawn = resampled(reached, codes, resampling)
    called = sum(one.called for one in lists)
    lost = float((worth * churned).sum())
    known = value is not None
    return CapacityValue(
        capacity=capacity,
        called=called,
        churners=estimate["churners"],
        churners_interval=percentile_interval(drawn["churners"], level=resampling.level),
        precision=estimate["churners"] / called,
        recall=estimate["churners"] / float(churned.sum()) if churned.any() else NAN,
        at_random=sum(one.at_random for one in lists),
        value=estimate["value"] if known else NAN,
        value_interval=percentile_interval(drawn["value"], level=resampling.level) if known else UNKNOWN,
        value_share=estimate["value"] / lost if known and lost > 0 else NAN,
    )


@dataclass(frozen=True)
class _CallList:
    """The rows of one period, sorted, and how many of them are called."""

    rows: Codes
    ranking: Ranking
    called: int
    at_random: float

    @classmethod
    def of(cls, rows: Codes, churned: Array, score: Array, worth: Array, capacity: int) -> "_CallList":
        ranking = Ranking.of(score[rows], churned[rows], worth[rows])
        called = min(capacity, len(rows))
        return cls(rows, ranking, called, float(called * churned[rows].mean()))

    def reached(self, weights: Array) -> dict[str, Array]:
        """Churners and value among the called share, for weights of shape (b, rows), rescaled to the rows."""
        ordered = weights[:, self.ranking.order]
        total = np.maximum(ordered.sum(axis=1), 1.0)
        share = self.called / len(self.rows)
        cumulated = np.cumsum(self.ranking.groups(ordered), axis=1)
        worth = np.zeros(len(self.rows)) if self.ranking.value is None else self.ranking.value
        found = {}
        for name, amount in (("churners", self.ranking.churned), ("value", self.ranking.churned * worth)):
            sums = np.cumsum(self.ranking.groups(ordered * amount), axis=1)
            found[name] = at_share(cumulated, sums, share) * len(self.rows) / total
        return found


@dataclass(frozen=True, kw_only=True)
class ValueAtRisk:
    """Expected churn of a book, in accounts and in value, with the range that luck alone allows.

    Attributes
    ----------
    churns, churns_interval
        Σ p and its interval.
    value, value_interval
        Σ p · value and its interval; NaN without values.
    """

    churns: float
    churns_interval: Interval
    value: float
    value_interval: Interval


def value_at_risk(probability: Array, *, value: Array | None = None, level: float = 0.95) -> ValueAtRisk:
    """Expected churns and value at risk of accounts of shape (n,), one row each.

    The interval is normal with variance Σ p (1 - p) value², as if probabilities were right and accounts
    churned independently; it holds luck, not the error of the probabilities.
    """
    z = float(norm.isf((1.0 - level) / 2.0))
    spread = probability * (1.0 - probability)
    ones = np.ones_like(probability)
    worth = ones if value is None else np.nan_to_num(value, nan=0.0)
    sums = []
    for weight in (ones, worth):
        middle = float(np.sum(probability * weight))
        half = z * float(np.sqrt(np.sum(spread * weight**2)))
        sums.append((middle, Interval(max(0.0, middle - half), min(float(weight.sum()), middle + half))))
    (churns, churns_interval), (lost, lost_interval) = sums
    return ValueAtRisk(
        churns=churns,
        churns_interval=churns_interval,
        value=NAN if value is None else lost,
        value_interval=UNKNOWN if value is None else lost_interval,
    )
