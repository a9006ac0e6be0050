"""Did each tier churn as predicted? Jeffreys' test, the exact binomial one, Hosmer-Lemeshow over tiers."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2
from scipy.stats import f as f_law

from chs_ml.validation.columns import JudgedColumns
from chs_ml.validation.intervals import Rate, churn_rate, countable_rows
from chs_ml.validation.policy import Policy
from chs_ml.validation.rates import binomial_p_value, jeffreys_p_value
from chs_ml.validation.result import NAN, Array, Codes, HypothesisTest, Interval, Verdict, holm
from chs_ml.validation.tier_table import TierCodes

SILENT = Verdict.NOT_ENOUGH_DATA
PValue = Callable[[float, float, float], float]
Cell = tuple[Array, Array, Codes]
_PREDICTED: tuple[tuple[str, str, PValue], ...] = (
    ("predicted_jeffreys", "Jeffreys test", jeffreys_p_value),
    ("predicted_binomial", "exact binomial test (conservative)", binomial_p_value),
)


@dataclass(frozen=True)
class _Predicted:
    """A tier's churn rate and its mean predicted probability."""

    tier: str
    rate: Rate
    promised: float
    expected: float
    speaks: bool


def predicted_tests(
    columns: JudgedColumns, tiers: TierCodes, policy: Policy, *, level: float
) -> tuple[HypothesisTest, ...]:
    """Ask of each tier whether it churned as predicted: Jeffreys' test, then the exact binomial one.

    Holm within each of the two families. The binomial test is exact and therefore conservative.
    """
    cells = [_predicted(columns, tiers, code, policy, level=level) for code in range(len(tiers.names))]
    found: tuple[HypothesisTest, ...] = ()
    for name, words, p_of in _PREDICTED:
        drafts = [_predicted_draft(cell, policy, name, words, p_of) for cell in cells]
        corrected = holm([draft.p_value for draft in drafts])
        found += tuple(_predicted_verdict(d, p, policy) for d, p in zip(drafts, corrected, strict=True))
    return found


def _predicted(
    columns: JudgedColumns, tiers: TierCodes, code: int, policy: Policy, *, level: float
) -> _Predicted:
    inside = tiers.codes == code
    rate = churn_rate(
        columns.churned[inside], columns.account[inside], level=level, correlation=tiers.correlation
    )
    promised = float(np.asarray(columns.probability)[inside].mean()) if rate.n else NAN
    expected = rate.countable_n * min(promised, 1.0 - promised) if rate.n else 0.0
    speaks = policy.speaks(expected, accounts=rate.accounts, rows=rate.n)
    return _Predicted(tiers.names[code], rate, promised, expected, speaks)


def _predicted_draft(cell: _Predicted, policy: Policy, name: str, words: str, p_of: PValue) -> HypothesisTest:
    rate, promised = cell.rate, cell.promised
    sentence = (
        f"{cell.tier}: {promised:.1%} predicted, {rate.value:.1%} churned ({_percent(rate.interval)})"
        if cell.speaks
        else f"{cell.tier}: {policy.lacking(cell.expected)}"
    )
    return HypothesisTest(
        name=name,
        subject=cell.tier,
        null="the tier churns at its mean predicted probability",
        statistic=rate.value - promised,
        statistic_name="churn rate minus prediction",
        interval=Interval(rate.interval.low - promised, rate.interval.high - promised),
        p_value=p_of(rate.effective_events, rate.effective_n, promised) if cell.speaks else NAN,
        n=rate.n,
        events=rate.events,
        policy=f"two-sided {words} on effective counts, Holm over tiers, alpha {policy.alpha:g}; gaps within "
        f"{100 * policy.mean_tolerance:g} points warn; {policy.silence}",
        verdict=SILENT,
        sentence=sentence,
    )


def _predicted_verdict(draft: HypothesisTest, p_value: float, policy: Policy) -> HypothesisTest:
    if np.isnan(p_value):
        return replace(draft, sentence=f"{draft.sentence}.")
    if p_value >= policy.alpha:
        return replace(
            draft, p_value=p_value, verdict=Verdict.PASS, sentence=f"{draft.sentence}: as predicted."
        )
    far = abs(draft.statistic) > policy.mean_tolerance
    direction = "more than predicted" if draft.statistic > 0 else "less than predicted"
    verdict = Verdict.FAIL if far else Verdict.WARN
    return replace(draft, p_value=p_value, verdict=verdict, sentence=f"{draft.sentence}: {direction}.")


def hosmer_lemeshow_test(columns: JudgedColumns, tiers: TierCodes, policy: Policy) -> HypothesisTest:
    """Ask of all tiers together whether they churned as predicted (Hosmer & Lemeshow 1980, over tiers).

    One row per account: Σ (observed - expected)² / (n p (1 - p)), chi-squared with one degree of freedom
    per tier, for the predictions were not fitted on these rows. Repeated accounts: the score form
    s' V⁻¹ s, s the sums of outcome minus probability per tier, V their account-clustered covariance,
    referred to Hotelling's T².
    """
    inside = [tiers.codes == code for code in range(len(tiers.names))]
    probability = np.asarray(columns.probability)
    cells = [(probability[m], columns.churned[m], columns.account[m]) for m in inside]
    expected = [
        min(p.sum(), (1.0 - p).sum()) * countable_rows(a) / len(p) if len(p) else 0.0 for p, _, a in cells
    ]
    counts = columns.counts
    speaks = policy.speaks(min(expected), accounts=counts.accounts, rows=counts.judged)
    statistic, p_value = NAN, NAN
    if speaks:
        statistic, p_value = (_clustered if columns.counts.clustered else _independent)(columns, cells, tiers)
    worst_gap = max((abs(float(y.mean() - p.mean())) for p, y, _ in cells if len(p)), default=NAN)
    verdict = SILENT
    sentence = f"The smallest tier has {policy.lacking(min(expected))}."
    if speaks and p_value >= policy.alpha:
        verdict, sentence = Verdict.PASS, "Taken together, the tiers churned as predicted."
    elif speaks:
        verdict = Verdict.FAIL if worst_gap > policy.mean_tolerance else Verdict.WARN
        sentence = (
            f"Taken together, the tiers did not churn as predicted; the largest gap is {worst_gap:.1%}."
        )
    return HypothesisTest(
        name="hosmer_lemeshow",
        null="all tiers churn at their mean predicted probabilities",
        statistic=statistic,
        statistic_name="chi-squared" if not columns.counts.clustered else "clustered chi-squared",
        p_value=p_value,
        n=sum(len(p) for p, _, _ in cells),
        events=int(sum(y.sum() for _, y, _ in cells)),
        policy=f"{len(cells)} degrees of freedom, alpha {policy.alpha:g}; gaps within "
        f"{100 * policy.mean_tolerance:g} points warn; {policy.silence}",
        verdict=verdict,
        sentence=sentence,
    )


def _independent(columns: JudgedColumns, cells: list[Cell], tiers: TierCodes) -> tuple[float, float]:
    terms = [(y.sum() - p.sum()) ** 2 / (len(p) * p.mean() * (1.0 - p.mean())) for p, y, _ in cells if len(p)]
    statistic = float(np.sum(terms))
    return statistic, float(chi2.sf(statistic, len(terms)))


def _clustered(columns: JudgedColumns, cells: list[Cell], tiers: TierCodes) -> tuple[float, float]:
    residual = columns.churned - np.asarray(columns.probability)
    size = columns.counts.accounts
    masks = [tiers.codes == code for code in range(len(tiers.names))]
    sums = np.stack([np.bincount(columns.account[m], weights=residual[m], minlength=size) for m in masks])
    k = len(sums)
    centred = sums - sums.mean(axis=1, keepdims=True)
    covariance = size / (size - 1) * (centred @ centred.T)
    total = sums.sum(axis=1)
    statistic = float(total @ np.linalg.solve(covariance, total))
    scaled = statistic * (size - k) / (k * (size - 1))
    return statistic, float(f_law.sf(scaled, k, size - k))


def _percent(interval: Interval) -> str:
    return f"{interval.low:.1%} to {interval.high:.1%}"
