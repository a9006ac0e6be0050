"""The same questions inside each segment, with small segments pulled towards the whole."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from chs_ml.validation.columns import JudgedColumns
from chs_ml.validation.delong import delong_auc
from chs_ml.validation.intervals import Rate, churn_rate
from chs_ml.validation.policy import Policy
from chs_ml.validation.rates import jeffreys_p_value
from chs_ml.validation.result import NAN, Interval, Mask, Verdict, holm
from chs_ml.validation.tier_table import TierCodes

_OTHER = "(none)"


@dataclass(frozen=True, kw_only=True)
class SegmentRow:
    """One segment, judged.

    Attributes
    ----------
    segment : str
        Its name; "(none)" for rows without one.
    rows, accounts, churned : int
        Sizes.
    churn_rate, interval
        Churn rate and its clustered Jeffreys interval.
    shrunk_rate : float
        Churn rate pulled towards the base rate as far as the segments differ by chance (empirical Bayes).
    predicted : float
        Mean predicted churn probability; NaN without probabilities.
    p_value : float
        Jeffreys test of the churn rate against the prediction, Holm over segments; NaN where silent.
    auc, auc_interval
        AUC inside the segment with DeLong's interval; NaN where it has too few churns or renewals.
    share_healthy : float
        Share of its rows in the healthiest tier; NaN without tiers.
    verdict : Verdict
        Of predicted against realised churn.
    """

    segment: str
    rows: int
    accounts: int
    churned: int
    churn_rate: float
    interval: Interval
    shrunk_rate: float
    predicted: float
    p_value: float
    auc: float
    auc_interval: Interval
    share_healthy: float
    verdict: Verdict


def segment_rows(
    columns: JudgedColumns, tiers: TierCodes | None, policy: Policy, *, level: float
) -> tuple[SegmentRow, ...]:
    """Judge each segment; largest first."""
    if columns.segment is None:
        return ()
    named = segment_masks(columns.segment)
    rates = [churn_rate(columns.churned[m], columns.account[m], level=level) for m in named.values()]
    shrunk = shrunken_rates(rates, columns.counts.base_rate)
    p_values = holm([_p_value(columns, m, r, policy) for m, r in zip(named.values(), rates, strict=True)])
    return tuple(
        _judged(_row(columns, tiers, policy, name, mask, rate, level=level), pulled, p, policy)
        for (name, mask), rate, pulled, p in zip(named.items(), rates, shrunk, p_values, strict=True)
    )


def segment_masks(segment: pd.Series) -> dict[str, Mask]:
    """Rows of each segment of labels of shape (n,), largest first; rows without a label are one more."""
    codes, names = pd.factorize(segment.astype("object").where(segment.notna(), _OTHER))
    order = np.argsort(-np.bincount(codes), kind="stable")
    return {str(names[code]): codes == code for code in order}


def shrunken_rates(rates: list[Rate], base_rate: float) -> list[float]:
    """Pull churn rates towards the base rate by empirical Bayes, beta-binomial by moments.

    The prior's strength m solves Σ n (rate - base)² = expected spread under a Beta with mean base rate
    and variance base (1 - base) / (m + 1) (Kleinman 1973, JASA 68, 46-54). No more spread than chance
    gives every segment the base rate.
    """
    sizes = np.array([rate.effective_n for rate in rates])
    values = np.array([rate.value for rate in rates])
    noise = base_rate * (1.0 - base_rate)
    total = float(sizes.sum())
    scale = total - float(np.sum(sizes**2)) / total
    excess = float(np.sum(sizes * (values - base_rate) ** 2)) - (len(rates) - 1) * noise
    between = max(0.0, excess / scale) if scale > 0 else 0.0
    strength = noise / between - 1.0 if between > 0 else np.inf
    pull = np.ones_like(sizes) if np.isinf(strength) else max(strength, 0.0) / (max(strength, 0.0) + sizes)
    return [float(v) for v in (1.0 - pull) * values + pull * base_rate]


def _p_value(columns: JudgedColumns, inside: Mask, rate: Rate, policy: Policy) -> float:
    if columns.probability is None or rate.n < policy.least_segment:
        return NAN
    promised = float(columns.probability[inside].mean())
    if rate.countable_n * min(promised, 1.0 - promised) < policy.least_expected:
        return NAN
    return jeffreys_p_value(rate.effective_events, rate.effective_n, promised)


def _row(
    columns: JudgedColumns,
    tiers: TierCodes | None,
    policy: Policy,
    name: str,
    inside: Mask,
    rate: Rate,
    *,
    level: float,
) -> SegmentRow:
    predicted = NAN if columns.probability is None else float(columns.probability[inside].mean())
    auc, interval = NAN, Interval()
    few = min(rate.value, 1.0 - rate.value) * rate.countable_n
    if rate.n >= policy.least_segment and few >= policy.least_expected:
        codes = np.unique(columns.account[inside], return_inverse=True)[1]
        found = delong_auc(columns.score[inside], columns.churned[inside], codes, level=level)
        auc, interval = found.auc, found.interval
    return SegmentRow(
        segment=name,
        rows=rate.n,
        accounts=rate.accounts,
        churned=rate.events,
        churn_rate=rate.value,
        interval=rate.interval,
        shrunk_rate=NAN,
        predicted=predicted,
        p_value=NAN,
        auc=auc,
        auc_interval=interval,
        share_healthy=NAN if tiers is None else float(np.mean(tiers.codes[inside] == 0)),
        verdict=Verdict.NOT_ENOUGH_DATA,
    )


def _judged(row: SegmentRow, shrunk: float, p_value: float, policy: Policy) -> SegmentRow:
    far = abs(row.churn_rate - row.predicted) > policy.mean_tolerance
    verdict = Verdict.NOT_ENOUGH_DATA if np.isnan(p_value) else Verdict.PASS
    if p_value < policy.alpha:
        verdict = Verdict.FAIL if far else Verdict.WARN
    return replace(row, shrunk_rate=shrunk, p_value=p_value, verdict=verdict)
