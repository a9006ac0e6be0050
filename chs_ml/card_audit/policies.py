"""Each missing-value policy backtested: what would the score have been, and how well would it have ranked?"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from chs_ml.card_learning.health import CardRows
from chs_ml.scorecard import Combine, Measure, MissingRule, Scorecard
from chs_ml.validation.delong import delong_auc, delong_difference
from chs_ml.validation.result import NAN, Interval

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PolicyRow:
    """One policy on the same rows.

    Attributes
    ----------
    policy : str
        Its name.
    current : bool
        Whether the card has it.
    scored : int
        Rows with a score under it.
    auc, interval : float, Interval
        Ranking of renewals over churns among them, account-clustered.
    score_missing, churn_missing : float
        Mean score, and churn rate, of scored rows that lack a value; NaN where there are none.
    score_full, churn_full : float
        The same of rows that lack none.
    gain, gain_interval : float, Interval
        AUC over the card's own policy on the rows that both score, paired, account-clustered; the interval is
        corrected for the number of policies (Bonferroni). NaN for the card's own.
    """

    policy: str
    current: bool
    scored: int
    auc: float
    interval: Interval
    score_missing: float
    churn_missing: float
    score_full: float
    churn_full: float
    gain: float = NAN
    gain_interval: Interval = field(default_factory=Interval)

    @property
    def flatters(self) -> bool:
        """Whether rows that lack values churn more, and score no lower."""
        return self.churn_missing > self.churn_full and self.score_missing >= self.score_full


def missing_policies(card: Scorecard, rows: CardRows, *, level: float = 0.95) -> tuple[PolicyRow, ...]:
    """Score the rows under every policy that the card could have.

    Parameters
    ----------
    card : Scorecard
        As it is.
    rows : CardRows
        Rows with score and outcome.
    level : float
        Of the intervals.
    """
    variants, churned = _variants(card), rows.churned
    scores = [_scores(one, rows) for _, one in variants]
    own = rows.score
    found = []
    for (name, one), score in zip(variants, scores, strict=True):
        current = name == str(card.missing)
        row = _row(name, one, rows, score, current=current, level=level)
        both = ~np.isnan(score)
        if not current and 1 < churned[both].sum() < both.sum() - 1:
            account = np.unique(rows.account[both], return_inverse=True)[1]
            each = 1.0 - (1.0 - level) / max(len(variants) - 1, 1)
            paired = delong_difference(own[both], score[both], churned[both], account, level=each)
            row = replace(row, gain=paired.difference, gain_interval=paired.interval)
        found.append(row)
    return tuple(found)


def _scores(card: Scorecard, rows: CardRows) -> Array:
    known = card.coverage(rows.values)
    return np.where((known > 0) & (known >= card.floor), card.raw_score(rows.values), np.nan)


def _variants(card: Scorecard) -> list[tuple[str, Scorecard]]:
    bare = tuple(_without_own(m) for m in card.measures)
    if card.combine is Combine.SUM:
        rules = [MissingRule.NEUTRAL, MissingRule.WORST, MissingRule.WITHHOLD]
    else:
        rules = [r for r in MissingRule if r is not MissingRule.OWN]
    found = [(str(rule), replace(card, measures=bare, missing=rule)) for rule in rules]
    if all(m.curve.missing is not None for m in card.measures):
        found.append((str(MissingRule.OWN), replace(card, missing=MissingRule.OWN)))
    return found


def _without_own(measure: Measure) -> Measure:
    return replace(measure, curve=replace(measure.curve, missing=None))


def _row(
    name: str, card: Scorecard, rows: CardRows, score: Array, *, current: bool, level: float
) -> PolicyRow:
    scored = ~np.isnan(score)
    lacks = scored & np.isnan(card.bare_points(rows.values)).any(axis=1)
    full = scored & ~lacks
    auc, interval = _auc(score[scored], rows.churned[scored], rows.account[scored], level)
    return PolicyRow(
        policy=name,
        current=current,
        scored=int(scored.sum()),
        auc=auc,
        interval=interval,
        score_missing=_mean(score[lacks]),
        churn_missing=_mean(rows.churned[lacks]),
        score_full=_mean(score[full]),
        churn_full=_mean(rows.churned[full]),
    )


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else NAN


def _auc(score: Array, churned: Array, account: NDArray[np.intp], level: float) -> tuple[float, Interval]:
    if not 1 < churned.sum() < len(churned) - 1:
        return NAN, Interval()
    found = delong_auc(score, churned, np.unique(account, return_inverse=True)[1], level=level)
    return found.auc, found.interval
