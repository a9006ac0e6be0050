"""Tiers judged by the value that left, not by the number of accounts."""

from itertools import pairwise

import numpy as np
from scipy.special import ndtr

from chs_ml.validation.columns import JudgedColumns
from chs_ml.validation.policy import Policy
from chs_ml.validation.result import NAN, Array, HypothesisTest, Mask, Verdict, holm
from chs_ml.validation.tier_table import TierCodes


def ordered_by_value_test(columns: JudgedColumns, tiers: TierCodes, policy: Policy) -> HypothesisTest:
    """Ask whether the share of value that churns rises from the healthiest tier to the least healthy one.

    As *ordered*, with value-weighted rates; the standard error of their difference is linearised and
    clustered by account. Effective expected churns discount a book that a few large accounts dominate.
    """
    weight = np.nan_to_num(np.asarray(columns.value), nan=0.0)
    masks = [tiers.codes == code for code in range(len(tiers.names))]
    found = [_difference(columns, weight, a, b) for a, b in pairwise(masks)]
    speaks = [expected >= policy.least_expected for _, _, expected in found]
    p_values = [
        float(ndtr(d / e)) if ok and e > 0 else NAN for ok, (d, e, _) in zip(speaks, found, strict=True)
    ]
    corrected = holm(p_values)
    broken = [i for i, p in enumerate(corrected) if p < policy.alpha]
    falls = [i for i, (d, _, _) in enumerate(found) if not d > 0.0]
    verdict, sentence = Verdict.PASS, "The share of value lost rises from tier to tier."
    if not all(speaks):
        verdict = Verdict.NOT_ENOUGH_DATA
        least = min(expected for _, _, expected in found)
        sentence = f"By value the smallest tier has {policy.lacking(least)}."
    elif broken:
        verdict = Verdict.FAIL
        sentence = (
            f"{tiers.names[broken[0] + 1]} loses a smaller share of its value than {tiers.names[broken[0]]}."
        )
    elif falls:
        verdict = Verdict.WARN
        sentence = f"{tiers.names[falls[0] + 1]} lost no larger share of value than {tiers.names[falls[0]]}, "
        sentence += "by no more than chance."
    return HypothesisTest(
        name="ordered_by_value",
        null="no tier loses a smaller share of its value than the healthier tier before it",
        statistic=min((d for d, _, _ in found), default=NAN),
        statistic_name="smallest rise of the share of value lost",
        p_value=min((p for p in corrected if not np.isnan(p)), default=NAN),
        n=columns.counts.judged,
        events=columns.counts.churned,
        policy=f"one-sided z tests of neighbours, Holm, alpha {policy.alpha:g}; {policy.silence}",
        verdict=verdict,
        sentence=sentence,
    )


def _difference(
    columns: JudgedColumns, weight: Array, first: Mask, second: Mask
) -> tuple[float, float, float]:
    """Difference of value-weighted rates, its error, and the smallest effective expected count.

    The error is that of a score test: residuals from the pooled rate, so that a large account that alone
    makes a tier's rate does not also make it look certain.
    """
    totals = [float(weight[group].sum()) for group in (first, second)]
    if min(totals) <= 0.0:
        return NAN, NAN, 0.0
    lost = weight * columns.churned
    rates = [float(lost[group].sum()) / total for group, total in zip((first, second), totals, strict=True)]
    pooled = float(lost[first | second].sum()) / sum(totals)
    influence = np.zeros(len(weight))
    sizes = []
    for group, total, sign in zip((first, second), totals, (-1.0, 1.0), strict=True):
        influence[group] = sign * weight[group] * (columns.churned[group] - pooled) / total
        per_account = np.bincount(columns.account[group], weights=weight[group])
        sizes.append(total**2 / float(np.sum(per_account**2)))
    error = float(np.sqrt(np.sum(np.bincount(columns.account, weights=influence) ** 2)))
    return rates[1] - rates[0], error, min(sizes) * min(pooled, 1.0 - pooled)
