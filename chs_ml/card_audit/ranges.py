"""Where the scoring ranges of a card are too wide, or flat."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import norm

from chs_ml.card_learning.health import CardRows
from chs_ml.curves import CategoryCurve, piece_codes, pieces_of
from chs_ml.scorecard import Scorecard
from chs_ml.validation.delong import delong_auc
from chs_ml.validation.intervals import jeffreys
from chs_ml.validation.result import Interval, holm

Array = NDArray[np.float64]

CROWDED = 0.8
"""Share of accounts in one range from which a measure hardly tells accounts apart."""
MIN_EVENTS = 20


@dataclass(frozen=True, kw_only=True)
class RangeRow:
    """One range of one measure.

    Attributes
    ----------
    metric : str
        The measure.
    low, high : float
        Ends of the range; infinite where it is open.
    points : float
        Points inside, in the card's own; the mean over its rows.
    n, events : int
        Rows, and churns.
    churn, interval : float, Interval
        Churn rate; Jeffreys.
    finding : str
        ``too wide``: inside it, larger values still go with more or less churn, for the same points;
        ``crowded``: it holds at least 80 % of the rows; ``out of order``: churns more than the range with
        fewer points beside it, beyond chance; empty where nothing is found.
    """

    metric: str
    low: float
    high: float
    points: float
    n: int
    events: int
    churn: float
    interval: Interval
    finding: str


def judge_ranges(card: Scorecard, rows: CardRows, *, level: float = 0.95) -> tuple[RangeRow, ...]:
    """Judge every range of every numeric measure; tests are Holm-corrected over all ranges of the card.

    Parameters
    ----------
    card : Scorecard
        Bands, or the pieces between the knots of its curves.
    rows : CardRows
        Rows with score and outcome.
    level : float
        Of intervals, and 1 minus the size of the tests.
    """
    pieces, inside = [], []
    for k, m in enumerate(card.measures):
        if not isinstance(m.curve, CategoryCurve):
            codes = piece_codes(m.curve, rows.values[:, k])
            pieces += [(k, i, *ends) for i, ends in enumerate(pieces_of(m.curve))]
            inside += [codes == i for i in range(len(pieces_of(m.curve)))]
    p_values = [_width_p(rows, k, mask) for (k, *_), mask in zip(pieces, inside, strict=True)]
    corrected = holm(p_values)
    found = []
    for (k, _, low, high), mask, p in zip(pieces, inside, corrected, strict=True):
        n, events = int(mask.sum()), int(rows.churned[mask].sum())
        known = int((~np.isnan(rows.values[:, k])).sum())
        wide = bool(np.isfinite(p) and p < 1.0 - level)
        found.append(
            RangeRow(
                metric=card.metric_names[k],
                low=low,
                high=high,
                points=float(np.nanmean(rows.bare[mask, k])) if n else float("nan"),
                n=n,
                events=events,
                churn=events / n if n else float("nan"),
                interval=jeffreys(events, n, level=level) if n else Interval(),
                finding="too wide" if wide else ("crowded" if known and n >= CROWDED * known else ""),
            )
        )
    return _with_order(found)


def _width_p(rows: CardRows, k: int, mask: NDArray[np.bool_]) -> float:
    """Whether values inside a range of equal points still tell churns from renewals; NaN where not asked."""
    churned = rows.churned[mask]
    flat = mask.any() and float(np.nanmax(rows.bare[mask, k]) - np.nanmin(rows.bare[mask, k])) < 1e-9
    if not flat or min(churned.sum(), len(churned) - churned.sum()) < MIN_EVENTS:
        return float("nan")
    found = delong_auc(rows.values[mask, k], churned, np.unique(rows.account[mask], return_inverse=True)[1])
    if not found.error > 0:
        return float("nan")
    return 2.0 * float(norm.sf(abs(float(logit(found.auc))) * found.auc * (1.0 - found.auc) / found.error))


def _with_order(found: list[RangeRow]) -> tuple[RangeRow, ...]:
    """Name ranges that get more points than their neighbour and churn more beyond both intervals."""
    named = list(found)
    for i, row in enumerate(found):
        for beside in found[max(i - 1, 0) : i + 2]:
            worse = row.interval.low > beside.interval.high and row.points > beside.points
            if beside.metric == row.metric and worse and not row.finding:
                named[i] = RangeRow(**{**row.__dict__, "finding": "out of order"})
    return tuple(named)
