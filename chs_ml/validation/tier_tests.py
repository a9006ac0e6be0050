"""Tiers judged as a bank judges its rating grades: enough data, order, separation."""

from itertools import pairwise

import numpy as np

from chs_ml.validation.columns import JudgedColumns
from chs_ml.validation.intervals import churn_rate
from chs_ml.validation.policy import Policy
from chs_ml.validation.rates import RateDifference, rate_difference
from chs_ml.validation.result import NAN, HypothesisTest, Interval, Verdict, holm
from chs_ml.validation.tier_table import TierCodes

SILENT = Verdict.NOT_ENOUGH_DATA


def enough_data_test(columns: JudgedColumns, tiers: TierCodes, policy: Policy) -> HypothesisTest:
    """Ask whether every tier would see enough churns and renewals if it churned at the base rate."""
    base = columns.counts.base_rate
    rarer = min(base, 1.0 - base)
    masks = [tiers.codes == code for code in range(len(tiers.names))]
    rates = [churn_rate(columns.churned[m], columns.account[m], correlation=tiers.correlation) for m in masks]
    effective = [rate.countable_n for rate in rates]
    needed = int(np.ceil(policy.least_expected / rarer))
    short = [
        name for name, n in zip(tiers.names, effective, strict=True) if n * rarer < policy.least_expected
    ]
    least = min(effective) * rarer
    if short:
        shown = ", ".join(f"{n} ({effective[tiers.names.index(n)]:,.0f})" for n in short)
        sentence = f"At this base rate a tier needs about {needed:,} independent rows; fewer in {shown}."
    else:
        sentence = f"Every tier expects at least {least:,.0f} churns and renewals at the base rate."
    return HypothesisTest(
        name="enough_data",
        null="every tier can be judged",
        statistic=least,
        statistic_name="least expected count",
        n=columns.counts.judged,
        events=columns.counts.churned,
        policy=f"at least {policy.least_expected:g} expected churns and renewals in each tier, at the base "
        "rate, repeated accounts discounted",
        verdict=SILENT if short else Verdict.PASS,
        sentence=sentence,
    )


def neighbour_differences(
    columns: JudgedColumns, tiers: TierCodes, *, level: float
) -> list[tuple[str, str, RateDifference]]:
    """Differences of churn rates between neighbouring tiers, healthier first."""
    found = []
    for code, (healthier, sicker) in enumerate(pairwise(tiers.names)):
        difference = rate_difference(
            columns.churned, columns.account,
            first=tiers.codes == code, second=tiers.codes == code + 1, level=level,
            correlation=tiers.correlation,
        )  # fmt: skip
        found.append((healthier, sicker, difference))
    return found


def ordered_test(
    pairs: list[tuple[str, str, RateDifference]], counts: tuple[int, int], policy: Policy
) -> HypothesisTest:
    """Ask whether churn rises from the healthiest tier to the least healthy one.

    Fails where a neighbour churns significantly *less* than the healthier tier before it (one-sided
    two-proportion tests, Holm); passes where all observed rates rise; warns where observed rates fall
    by no more than chance. Speaks only where every pair has enough data: a test that spoke only when it
    has something to complain of would err whenever it speaks.
    """
    speaking = [d.least_expected >= policy.least_expected for _, _, d in pairs]
    corrected = holm([d.p_fall if ok else NAN for ok, (_, _, d) in zip(speaking, pairs, strict=True)])
    falls = [(a, b, d) for a, b, d in pairs if not d.difference > 0.0]
    proven = [pair for pair, p in zip(pairs, corrected, strict=True) if p < policy.alpha]
    verdict = Verdict.PASS
    if not all(speaking):
        silent = [pair for pair, ok in zip(pairs, speaking, strict=True) if not ok]
        verdict, sentence = SILENT, _silence(silent, policy)
    elif proven:
        verdict = Verdict.FAIL
        sentence = f"Order is broken: {_pair_sentence(proven[0], 'churns less than')}."
    elif falls:
        verdict, sentence = (
            Verdict.WARN,
            f"By chance or not: {_pair_sentence(falls[0], 'churns no more than')}.",
        )
    else:
        sentence = "Churn rises from tier to tier, from the healthiest to the least healthy."
    known = [p for p in corrected if not np.isnan(p)]
    return HypothesisTest(
        name="ordered",
        null="no tier churns less than the healthier tier before it",
        statistic=min((d.difference for _, _, d in pairs), default=NAN),
        statistic_name="smallest rise between neighbours",
        p_value=min(known, default=NAN),
        n=counts[0],
        events=counts[1],
        policy=f"one-sided two-proportion tests of neighbours, Holm, alpha {policy.alpha:g}; a fall that is "
        f"not significant warns; {policy.silence}",
        verdict=verdict,
        sentence=sentence,
    )


def separated_tests(
    pairs: list[tuple[str, str, RateDifference]], policy: Policy
) -> tuple[HypothesisTest, ...]:
    """Ask of each pair of neighbours whether the less healthy tier churns more.

    Two-sided two-proportion tests, Holm. Not significant is not yet "alike": the test fails where the
    interval also rules out the smallest ratio that matters, and warns where it does not.
    """
    speaking = [d.least_expected >= policy.least_expected for _, _, d in pairs]
    corrected = holm([d.p_two_sided if ok else NAN for ok, (_, _, d) in zip(speaking, pairs, strict=True)])
    return tuple(_separated(pair, p, policy) for pair, p in zip(pairs, corrected, strict=True))


def _separated(pair: tuple[str, str, RateDifference], p_value: float, policy: Policy) -> HypothesisTest:
    healthier, sicker, found = pair
    points = f"{100 * found.difference:+.1f} points ({_points(found.interval)})"
    if np.isnan(p_value):
        verdict, sentence = SILENT, _silence([pair], policy)
    elif p_value < policy.alpha and found.difference > 0:
        verdict, sentence = Verdict.PASS, f"{sicker} churns more than {healthier}: {points}."
    elif p_value < policy.alpha:
        verdict, sentence = (
            Verdict.FAIL,
            f"The wrong way round: {sicker} churns less than {healthier}: {points}.",
        )
    elif found.ratio_high < policy.relevant_ratio:
        verdict = Verdict.FAIL
        sentence = (
            f"Not separated: {healthier} and {sicker} churn alike: {points}, "
            f"at most {found.ratio_high:.1f} times as often."
        )
    else:
        verdict = Verdict.WARN
        sentence = (
            f"Not shown to be separated: {sicker} against {healthier} {points}; more renewals would tell."
        )
    return HypothesisTest(
        name="separated",
        subject=f"{healthier} / {sicker}",
        null="both tiers churn at the same rate",
        statistic=found.difference,
        statistic_name="difference of churn rates",
        interval=found.interval,
        p_value=p_value,
        n=found.n,
        events=found.events,
        policy=f"two-sided two-proportion test, Holm, alpha {policy.alpha:g}; not significant fails where a "
        f"ratio of {policy.relevant_ratio:g} is ruled out, else warns; {policy.silence}",
        verdict=verdict,
        sentence=sentence,
    )


def _pair_sentence(pair: tuple[str, str, RateDifference], words: str) -> str:
    healthier, sicker, found = pair
    return f"{sicker} {words} {healthier} ({100 * found.difference:+.1f} points, {_points(found.interval)})"


def _silence(pairs: list[tuple[str, str, RateDifference]], policy: Policy) -> str:
    healthier, sicker, found = pairs[0]
    return f"{healthier} and {sicker} cannot be compared: {policy.lacking(found.least_expected)}."


def _points(interval: Interval) -> str:
    return f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"
