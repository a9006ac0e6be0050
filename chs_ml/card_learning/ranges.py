"""Scoring ranges learned from renewals, and kept only where accounts that were not learned from say so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chs_ml.accounts import mean_difference
from chs_ml.card_learning.health import CardRows, health_shares
from chs_ml.card_learning.range_fit import Seen, in_words, refitted
from chs_ml.card_learning.range_values import LearnedRange, RangeCount
from chs_ml.card_learning.written import in_form
from chs_ml.curves import BandCurve, CategoryCurve, Curve, direction_of, piece_codes, pieces_of
from chs_ml.scorecard import DIALECTS, Scorecard
from chs_ml.splits import few_folds
from chs_ml.weights import Penalty, WeightFit, fit_weights

Array = NDArray[np.float64]

FOLDS, REPEATS = 5, 2
MIN_EVENTS = 20
"""Churns, and renewals, with a value of the measure below which its ranges are left alone."""


@dataclass(frozen=True, eq=False)
class LearnedRanges:
    """Ranges of a card, learned.

    Attributes
    ----------
    card : Scorecard
        The card with the ranges that are kept.
    measures : tuple of LearnedRange
        Per measure, in the order of the card.
    scores : ndarray of shape (n,) or None
        Health scores by ranges and weights learned on other accounts; None where all of yours stay.
    """

    card: Scorecard
    measures: tuple[LearnedRange, ...]
    scores: Array | None


def learn_ranges(
    card: Scorecard,
    rows: CardRows,
    *,
    prior: Array,
    pull: float,
    caps: Mapping[str, float] | None = None,
    random_state: int = 0,
) -> LearnedRanges:
    """Fit each measure's ranges again, and keep those that help accounts that were not learned from.

    A measure's ranges are kept where they lower the held-out log loss by more than one account-clustered
    standard error, alone; and those that are kept must do so together.

    Parameters
    ----------
    card : Scorecard
        Whose ranges; each keeps its direction, its best and worst points, and at most its number of ranges.
    rows : CardRows
        Rows with score and outcome.
    prior : ndarray of shape (k,)
        Weights to pull towards; sum 1.
    pull : float
        How strongly.
    caps : mapping of str to float, optional
        Largest share per group, 0-1.
    random_state : int
        Seed of the folds.
    """
    contest = _Contest(card, rows, Penalty(prior, pull), caps or {}, random_state)
    reasons = {k: _why_not(card, rows, k) for k in range(len(card.measures))}
    alone = {k: contest.gain((k,)) for k, reason in reasons.items() if not reason}
    whole = contest.curves(tuple(alone), np.ones(len(rows.churned)))
    kept = tuple(k for k in alone if whole[k] is not None and alone[k].mean > alone[k].error)
    together = contest.gain(kept) if kept else None
    if together is None or not together.mean > together.error:
        kept = ()
    accepted = {k: curve for k, curve in whole.items() if k in kept and curve is not None}
    found = tuple(
        _learned(card, rows, k, curve=whole.get(k), gain=alone.get(k), kept=k in kept, reason=reasons[k])
        for k in range(len(card.measures))
    )
    scores = together.scores if kept and together is not None else None
    return LearnedRanges(with_curves(card, accepted), found, scores)


def with_curves(card: Scorecard, curves: Mapping[int, Curve]) -> Scorecard:
    """The card with other ranges of some measures, by position."""
    measures = [replace(m, curve=curves.get(k, m.curve)) for k, m in enumerate(card.measures)]
    return replace(card, measures=tuple(measures))


def _why_not(card: Scorecard, rows: CardRows, k: int) -> str:
    curve, known = card.measures[k].curve, ~np.isnan(rows.values[:, k])
    churned = rows.churned[known]
    if isinstance(curve, CategoryCurve):
        return "categories have no ranges"
    if direction_of(curve) == 0:
        return "points rise and fall, or do not move"
    if min(churned.sum(), len(churned) - churned.sum()) < MIN_EVENTS:
        return "too few churns with a value"
    return ""


@dataclass(frozen=True, eq=False)
class _Gain:
    mean: float
    error: float
    scores: Array


class _Contest:
    """Your ranges against learned ones, on accounts that neither weights nor ranges were learned from."""

    def __init__(
        self, card: Scorecard, rows: CardRows, penalty: Penalty, caps: Mapping[str, float], random_state: int
    ) -> None:
        self.card, self.rows, self.penalty, self.caps = card, rows, penalty, caps
        self._folds = [
            few_folds(rows.account, rows.churned, most=FOLDS, random_state=random_state + i)
            for i in range(REPEATS)
        ]
        self._yours: dict[tuple[int, int], WeightFit] = {}

    def gain(self, changed: Sequence[int]) -> _Gain:
        """What learning the ranges of these measures takes off the held-out log loss per row."""
        difference, scores = np.zeros(len(self.rows.churned)), np.zeros(len(self.rows.churned))
        for repeat, folds in enumerate(self._folds):
            for fold in np.unique(folds).tolist():
                here = folds == fold
                others = (~here).astype(np.float64)
                key = (repeat, fold)
                if key not in self._yours:
                    self._yours[key] = self._fit(self.rows.health, others)
                card = self._card(self.curves(changed, others, start=self._yours[key]))
                health = self._health(card, changed)
                fit = self._fit(health, others, start=self._yours[key])
                yours = self._yours[key].margin(self.rows.health[here])
                learned = fit.margin(health[here])
                difference[here] += (self._loss(yours, here) - self._loss(learned, here)) / REPEATS
                form = in_form(card, fit.beta, prior=self.penalty.prior, caps=self.caps)
                scores[here] += form.raw_score(self.rows.values[here]) / REPEATS
        return _Gain(*mean_difference(difference, self.rows.account), scores)

    def curves(
        self, changed: Sequence[int], row_weight: Array, *, start: WeightFit | None = None
    ) -> dict[int, Curve | None]:
        """Ranges learned on the rows that count; None where these support none in the card's direction."""
        fit = start or self._fit(self.rows.health, row_weight)
        return {k: self._curve(k, row_weight > 0, fit) for k in changed}

    def _curve(self, k: int, used: NDArray[np.bool_], fit: WeightFit) -> Curve | None:
        rows, curve = self.rows, self.card.measures[k].curve
        used = used & ~np.isnan(rows.values[:, k])
        if isinstance(curve, CategoryCurve):
            return None
        own = -fit.beta[k] * rows.health[used, k]
        others = fit.margin(rows.health[used]) - own
        found = refitted(curve, Seen(rows.values[used, k], rows.churned[used], others, own))
        if found is None or not isinstance(found, BandCurve) or not isinstance(curve, BandCurve):
            return found
        dialect = DIALECTS.get(self.card.dialect)
        if dialect is not None and dialect.check(with_curves(self.card, {k: found})):
            return in_words(found, curve)
        return found

    def _card(self, curves: Mapping[int, Curve | None]) -> Scorecard:
        return with_curves(self.card, {k: curve for k, curve in curves.items() if curve is not None})

    def _health(self, card: Scorecard, changed: Sequence[int]) -> Array:
        bare = self.rows.bare.copy()
        for k in changed:
            bare[:, k] = card.read_points(self.rows.values, k)
        return health_shares(card, bare)

    def _fit(self, health: Array, row_weight: Array, *, start: WeightFit | None = None) -> WeightFit:
        churned = self.rows.churned
        return fit_weights(health, churned, penalty=self.penalty, row_weight=row_weight, start=start)

    def _loss(self, margin: Array, here: NDArray[np.bool_]) -> Array:
        return np.asarray(np.logaddexp(0.0, margin) - self.rows.churned[here] * margin)


def _learned(
    card: Scorecard,
    rows: CardRows,
    k: int,
    *,
    curve: Curve | None,
    gain: _Gain | None,
    kept: bool,
    reason: str,
) -> LearnedRange:
    yours = card.measures[k].curve
    if not reason and not kept:
        helped = gain is not None and gain.mean > gain.error and curve is not None
        reason = "they help alone, not together" if helped else "no evidence that others do better"
    learned = curve if kept else None
    return LearnedRange(
        metric=card.metric_names[k],
        label=card.measures[k].metric.title,
        yours=yours,
        learned=learned,
        gain=float("nan") if gain is None else gain.mean,
        error=float("nan") if gain is None else gain.error,
        reason=reason,
        your_counts=_counts(yours, rows, k) if learned is not None else (),
        learned_counts=_counts(learned, rows, k) if learned is not None else (),
    )


def _counts(curve: Curve, rows: CardRows, k: int) -> tuple[RangeCount, ...]:
    if isinstance(curve, CategoryCurve):
        return ()
    codes, found = piece_codes(curve, rows.values[:, k]), []
    ends = pieces_of(curve)
    for i, (low, high) in enumerate(ends):
        here = codes == i
        at = np.array([high if np.isinf(low) else low, low if np.isinf(high) else high])
        points = (
            (curve.points[i],) * 2 if isinstance(curve, BandCurve) else tuple(curve.evaluate(at).tolist())
        )
        found.append(
            RangeCount(
                low=low, high=high, points_low=points[0], points_high=points[1], n=int(here.sum()),
                events=int(rows.churned[here].sum()),
            )
        )  # fmt: skip
    return tuple(found)
