"""Scorecards: metrics, health curves and weights; handcrafted or learned.

The score of an account is ``S = sum_k w_k h_k(x_k)``: every metric's value becomes points on its health
curve, and weights that sum to 1 average them; or points are added up on top of a start. Caps, floors and
ageing apply as the card says. Everything is frozen in the card, and sums run column by column in a fixed
order: a row scores the same alone and among a million.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.curves import points_range
from chs_ml.inputs import InputColumn, InputSchema
from chs_ml.metric import Kind, Metric
from chs_ml.scorecard.checking import check_card
from chs_ml.scorecard.coverage import counted, covered, stale_remarks
from chs_ml.scorecard.measure import Measure, group_members, raw_weights
from chs_ml.scorecard.missing import (
    GroupShares,
    MissingRule,
    mean_over_groups,
    mean_over_present,
    shares_over_groups,
    shares_over_present,
    weighted_sums,
)
from chs_ml.scorecard.overrides import Override
from chs_ml.scorecard.rules import ANY, Combine, Group, Limit, Scheme
from chs_ml.scorecard.sums import added_points, column_sum, spread
from chs_ml.tiers import Tiers

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

BLOCK_ROWS = 1 << 13


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """A health score by formula.

    Parameters
    ----------
    name : str
        What people call the card.
    measures : tuple of Measure
        Lines of the card; sums run in this order.
    missing : MissingRule
        What a missing value does.
    combine : Combine
        Weighted mean, or sum of plus and minus points.
    groups : tuple of Group
        Weights or ranges of groups; either all groups have a weight or none has.
    neutral : float, optional
        Points that say nothing: of missing values under the rule neutral, and what old values decay to. 50 in
        a mean (half of `top`), 0 in a sum.
    coverage_floor : float
        Share of known weight, 0-1, below which the score is withheld.
    start : float
        What a sum starts from.
    low, high : float, optional
        Range that the score is clipped to; 0 and `top` in a sum, none in a mean.
    top : float
        Best score in the card's own points. The health score is ``100 / top`` times the card's own score.
    limits : tuple of Limit
        Caps and floors that single measures trigger, applied in this order, last of all.
    scheme : Scheme, optional
        Names for ranges of the score.
    dialect : str
        The platform whose rules the card follows; empty for none.
    """

    name: str
    measures: tuple[Measure, ...]
    missing: MissingRule = MissingRule.RENORMALISE
    combine: Combine = Combine.MEAN
    groups: tuple[Group, ...] = ()
    neutral: float | None = None
    coverage_floor: float = 0.0
    start: float = 0.0
    low: float | None = None
    high: float | None = None
    top: float = 100.0
    limits: tuple[Limit, ...] = ()
    scheme: Scheme | None = None
    dialect: str = ""

    def __post_init__(self) -> None:
        check_card(self)

    @cached_property
    def schema(self) -> InputSchema:
        """The columns the card takes: its measures, then the days on which ageing values were taken."""
        measured = tuple(m.column for m in self.measures)
        dates = dict.fromkeys(m.staleness.date for m in self.measures if m.staleness is not None)
        dated = tuple(
            InputColumn(metric=Metric(name=name, kind=Kind.DATE, group="Dates"))
            for name in dates
            if name not in {c.metric.name for c in measured}
        )
        return InputSchema(measured + dated)

    @cached_property
    def weights(self) -> Array:
        """Shares of shape (k,), summing to 1.

        In a sum a measure's share is its reach: weight x span of points.
        """
        raw = raw_weights(self.measures, self.groups)
        if self.combine is Combine.SUM:
            raw = raw * np.array([m.span for m in self.measures])
        return np.asarray(raw / raw.sum())

    def weight_by_metric(self) -> dict[str, float]:
        """Share per metric name."""
        return dict(zip(self.metric_names, self.weights.tolist(), strict=True))

    @cached_property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the measured metrics, in order."""
        return tuple(m.metric.name for m in self.measures)

    @property
    def neutral_points(self) -> float:
        """Points that say nothing."""
        if self.neutral is not None:
            return self.neutral
        return self.top / 2.0 if self.combine is Combine.MEAN else 0.0

    @property
    def floor(self) -> float:
        """Coverage below which the score is withheld."""
        if self.missing is MissingRule.WITHHOLD and self.coverage_floor == 0.0:
            return 1.0
        return self.coverage_floor

    @property
    def per_own_point(self) -> float:
        """Health points, 0-100, per point of the card's own."""
        return 100.0 / self.top

    @cached_property
    def _clip(self) -> tuple[float, float] | None:
        if self.combine is Combine.SUM:
            return (0.0 if self.low is None else self.low, self.top if self.high is None else self.high)
        if self.low is None and self.high is None:
            return None
        return (-np.inf if self.low is None else self.low, np.inf if self.high is None else self.high)

    @cached_property
    def _group_shares(self) -> GroupShares:
        shares = self.weights
        found = []
        for members in group_members(self.measures).values():
            total = float(sum(shares[k] for k in members))
            if total > 0:
                found.append((total, tuple((k, float(shares[k]) / total) for k in members)))
        return tuple(found)

    @cached_property
    def _fills(self) -> tuple[float | None, ...]:
        """Points of a missing value that has none of its own; None where it drops out."""
        if self.missing is MissingRule.NEUTRAL:
            return (self.neutral_points,) * len(self.measures)
        if self.missing is MissingRule.WORST:
            return tuple(points_range(m.curve)[0] for m in self.measures)
        return (None,) * len(self.measures)

    def read_points(self, values: Array, k: int) -> Array:
        """Points of shape (n,) of measure k after ageing; NaN where a missing value has none of its own."""
        measure = self.measures[k]
        points = measure.curve.evaluate(values[:, k])
        if measure.staleness is None:
            return points
        absent = np.nan if measure.curve.missing is None else measure.curve.missing
        return measure.staleness.aged(points, self.age(values, k), neutral=self.neutral_points, absent=absent)

    def age(self, values: Array, k: int) -> Array:
        """Days since the value of measure k was taken, of shape (n,); NaN where nobody knows."""
        staleness = self.measures[k].staleness
        if staleness is None:
            return np.full(len(values), np.nan)
        return np.asarray(values[:, self.schema.names.index(staleness.date)])

    def _filled(self, points: Array, k: int) -> Array:
        fill = self._fills[k]
        return points if fill is None else np.where(np.isnan(points), fill, points)

    def points(self, values: Array) -> Array:
        """Points of an encoded matrix, by measure.

        Parameters
        ----------
        values : ndarray of shape (n, columns)
            As ``card.schema.encode`` gives it.

        Returns
        -------
        ndarray of shape (n, k)
            The card's own points, column-contiguous; NaN where a missing value drops out.
        """
        return self.filled(self.bare_points(values))

    def bare_points(self, values: Array) -> Array:
        """As `points`, before the missing-value rule."""
        points = np.empty((len(values), len(self.measures)), order="F")
        for k in range(len(self.measures)):
            points[:, k] = self.read_points(values, k)
        return points

    def filled(self, bare: Array) -> Array:
        """Points of shape (n, k) under the missing-value rule; NaN where a missing value drops out."""
        if all(fill is None for fill in self._fills):
            return bare
        return np.asfortranarray(np.column_stack([self._filled(p, k) for k, p in enumerate(bare.T)]))

    def coverage(self, values: Array) -> Array:
        """Share of weight, of shape (n,), 0 to 1, that has a value that counts."""
        return covered(self, counted(self, values))

    def remarks(self, values: Array) -> list[tuple[str, Mask]]:
        """What degrades rows of an encoded matrix of shape (n, columns): values that are stale."""
        return stale_remarks(self, values)

    def weighted_points(self, values: Array) -> tuple[Array, Array]:
        """What each column puts into the score, and the share of weight that has a value.

        Returns
        -------
        weighted : ndarray of shape (n, columns)
            Health points; 0 where a missing value dropped out, and for columns of days. Rows sum to the
            score: what a clip or a limit changes is shared out in proportion to the size of the parts.
        coverage : ndarray of shape (n,)
            0 to 1.
        """
        weighted = self.parts(self.points(values))
        extra = len(self.schema.columns) - weighted.shape[1]
        if extra:
            weighted = np.asfortranarray(np.hstack([weighted, np.zeros((len(values), extra))]))
        return weighted, self.coverage(values)

    def parts(self, points: Array) -> Array:
        """What each measure puts into the health score, of shape (n, k), from points of shape (n, k)."""
        if self.combine is Combine.SUM:
            weighted = added_points(points, self.measures, self.groups)
        else:
            weighted = self.shares(points) * np.nan_to_num(points)
        if self._clip is not None or self.limits:
            target = self._held(column_sum(weighted) + self._start, points) - self._start
            nothing_known = np.isnan(column_sum(weighted))
            weighted = np.where(nothing_known[:, None], weighted, spread(weighted, target))
        if self._start:
            weighted = weighted + self._start / len(self.measures)
        return weighted if self.top == 100.0 else weighted * self.per_own_point

    @property
    def _start(self) -> float:
        return self.start if self.combine is Combine.SUM else 0.0

    def shares(self, points: Array) -> Array:
        """What each measure counts in each row, of shape (n, k); NaN where nothing is known."""
        if self.missing is MissingRule.REDISTRIBUTE:
            return shares_over_groups(points, self._group_shares)
        if self.missing.drops:
            return shares_over_present(points, self.weights)
        shares = np.empty(points.shape, order="F")
        for k, weight in enumerate(self.weights):
            shares[:, k] = weight * ~np.isnan(points[:, k])
        return shares

    def _held(self, score: Array, points: Array) -> Array:
        """Scores of shape (n,), in own points, after the clip and the limits."""
        if self._clip is not None:
            score = np.clip(score, *self._clip)
        for limit in self.limits:
            for k, name in enumerate(self.metric_names):
                if limit.measure in (ANY, name):
                    score = limit.apply(score, points[:, k])
        return score

    def raw_score(self, values: Array) -> Array:
        """Health score of an encoded matrix of shape (n, columns), 0-100, not rounded.

        Block by block, so that a million accounts pass through the processor's cache once.
        """
        if len(values) <= BLOCK_ROWS:
            return self.total(self.bare_points(values))
        score = np.empty(len(values))
        for start in range(0, len(values), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            score[block] = self.total(self.bare_points(values[block]))
        return score

    def total(self, bare: Array) -> Array:
        """Health score of shape (n,), not rounded, from points before the missing-value rule."""
        points = self.filled(bare)
        if self.combine is Combine.SUM or self.limits:
            return column_sum(self.parts(points))
        if self.missing is MissingRule.REDISTRIBUTE:
            total = mean_over_groups(points, self._group_shares)
        elif self.missing.drops:
            total = mean_over_present(points, self.weights)
        else:
            total, _ = weighted_sums(zip(self.weights.tolist(), points.T, strict=True), len(points))
        if self._clip is not None:
            total = np.clip(total, *self._clip)
        return total if self.top == 100.0 else total * self.per_own_point

    def score(
        self,
        frame: pd.DataFrame,
        *,
        tiers: Tiers | None = None,
        floor: float | None = None,
        as_of: object = None,
        account: str | None = None,
        overrides: Sequence[Override] = (),
    ) -> pd.DataFrame:
        """Score a table of metrics.

        Parameters
        ----------
        frame : DataFrame of shape (n, any)
            A column per measure, in any order; others are ignored.
        tiers : Tiers, optional
            Where tiers begin, on 0-100; 75 / 50 / 0 by default.
        floor : float, optional
            Coverage below which a score is withheld; the card's own by default.
        as_of : str or date, optional
            The snapshot: name of its column, or one day for all rows. Ageing values and overrides need it.
        account : str, optional
            Column of account ids; overrides need it.
        overrides : sequence of Override
            Values set by hand, and exceptions; those that hold on the day of a row apply, the last one wins.

        Returns
        -------
        DataFrame of n rows under the same index
            ``health_score`` (0-100, larger = healthier), ``tier``, ``coverage``, ``status``,
            ``status_detail``; ``own_score`` where the card's own points end elsewhere than at 100, and
            ``label`` where it has a scheme.

        Raises
        ------
        TableError
            Where a required column, the snapshot or the account is missing.
        """
        from chs_ml.scorecard.scoring import scored_table

        return scored_table(
            self, frame, tiers=tiers or Tiers(), floor=self.floor if floor is None else floor,
            as_of=as_of, account=account, overrides=tuple(overrides),
        )  # fmt: skip

    def explain(self, frame: pd.DataFrame, *, as_of: object = None) -> pd.DataFrame:
        """Points that each measure cost.

        Returns
        -------
        DataFrame of shape (n, k)
            A column per metric, in health points. In a mean: negative, zero at its best, summing to
            score - 100. In a sum: points added or taken, summing to score minus start.
        """
        from chs_ml.scorecard.scoring import snapshot_of

        values = self.schema.encode(frame, snapshot=snapshot_of(frame, as_of)).values
        points = self.points(values)
        if self.combine is Combine.SUM:
            cost = self.parts(points) - self._start * self.per_own_point / len(self.measures)
        else:
            cost = self.parts(points) - self.shares(points) * 100.0
        return pd.DataFrame(cost, index=frame.index, columns=list(self.metric_names))

    def to_toml(self) -> str:
        """The card as text, exact to the last digit."""
        from chs_ml.scorecard.writing import card_text

        return card_text(self)

    @classmethod
    def from_toml(cls, text: str, *, source: str = "the scorecard") -> "Scorecard":
        """Read a card from text; `source` is named in errors."""
        from chs_ml.scorecard.reading import card_from_text

        return card_from_text(text, source=source)
