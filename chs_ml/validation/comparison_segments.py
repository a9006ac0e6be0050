"""The same duel inside each segment: does one score win everywhere, or only in the large ones?"""

from collections.abc import Mapping

import numpy as np

from chs_ml.validation.columns import JudgedColumns
from chs_ml.validation.comparison_values import Ruling, SegmentDuel
from chs_ml.validation.delong import DelongDifference, delong_auc, delong_difference
from chs_ml.validation.intervals import countable_rows
from chs_ml.validation.result import NAN, Array, Interval, Mask, holm
from chs_ml.validation.rules import Rules
from chs_ml.validation.segments import segment_masks

_SILENT = DelongDifference(NAN, NAN, Interval(), NAN)


def segment_duels(
    columns: JudgedColumns, scores: Mapping[str, Array], rules: Rules
) -> tuple[SegmentDuel, ...]:
    """Compare the AUC of every later score with the first one's, segment by segment, largest first.

    Parameters
    ----------
    columns : JudgedColumns
        The judged rows.
    scores : mapping of str to ndarray of shape (n,)
        Scores of those rows, larger = healthier; the first is the reference.
    rules : Rules
        Thresholds and level.
    """
    if columns.segment is None:
        return ()
    masks = segment_masks(columns.segment)
    reference, *others = scores
    return tuple(
        duel for other in others for duel in _against(columns, scores, (reference, other), masks, rules)
    )


def _against(
    columns: JudgedColumns,
    scores: Mapping[str, Array],
    pair: tuple[str, str],
    masks: Mapping[str, Mask],
    rules: Rules,
) -> list[SegmentDuel]:
    found = [_gap(columns, scores, pair, mask, rules) for mask in masks.values()]
    p_values = holm([gap.p_value for _, gap in found])
    return [
        SegmentDuel(
            segment=name,
            first=pair[0],
            second=pair[1],
            rows=int(mask.sum()),
            churned=int(columns.churned[mask].sum()),
            first_auc=auc,
            second_auc=auc + gap.difference,
            difference=gap.difference,
            interval=gap.interval,
            p_value=p_value,
            verdict=_verdict(gap, p_value, rules.policy.alpha),
        )
        for (name, mask), (auc, gap), p_value in zip(masks.items(), found, p_values, strict=True)
    ]


def _gap(
    columns: JudgedColumns, scores: Mapping[str, Array], pair: tuple[str, str], mask: Mask, rules: Rules
) -> tuple[float, DelongDifference]:
    churned, account = columns.churned[mask], np.unique(columns.account[mask], return_inverse=True)[1]
    rarer = min(churned.sum(), len(churned) - churned.sum()) * countable_rows(account) / len(churned)
    accounts = int(account.max()) + 1
    enough = rules.policy.speaks(float(rarer), accounts=accounts, rows=len(churned))
    if not enough or len(churned) < rules.policy.least_segment:
        return NAN, _SILENT
    first, second = (scores[name][mask] for name in pair)
    level = rules.resampling.level
    return (
        delong_auc(first, churned, account, level=level).auc,
        delong_difference(first, second, churned, account, level=level),
    )


def _verdict(gap: DelongDifference, p_value: float, alpha: float) -> Ruling:
    if np.isnan(p_value):
        return Ruling.NOT_ENOUGH_DATA
    if p_value >= alpha:
        return Ruling.NO_DIFFERENCE
    return Ruling.BETTER if gap.difference > 0.0 else Ruling.WORSE
