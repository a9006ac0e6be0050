"""Outreach changes what it predicts: tiers with and without treatment, side by side."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from chs_ml.tiers import Tiers
from chs_ml.validation.columns import JudgedColumns, judged_columns, matched
from chs_ml.validation.intervals import churn_rate
from chs_ml.validation.policy import Policy
from chs_ml.validation.rates import RateDifference, rate_difference
from chs_ml.validation.result import NAN, HypothesisTest, Interval, Mask, Verdict, holm
from chs_ml.validation.tier_table import TierCodes, tier_codes


@dataclass(frozen=True, kw_only=True)
class TreatedTier:
    """One tier, treated and untreated.

    Attributes
    ----------
    tier : str
        Its name.
    treated, untreated : int
        Rows.
    treated_rate, treated_interval, untreated_rate, untreated_interval
        Churn rates with clustered Jeffreys intervals.
    treated_share : float
        Share of the tier's rows that were treated.
    """

    tier: str
    treated: int
    untreated: int
    treated_rate: float
    treated_interval: Interval
    untreated_rate: float
    untreated_interval: Interval
    treated_share: float


@dataclass(frozen=True, kw_only=True)
class InterventionReport:
    """Churn by tier and treatment.

    Attributes
    ----------
    tiers : tuple of TreatedTier
        Healthiest first.
    tests : tuple of HypothesisTest
        Per tier, treated against untreated.
    randomised : bool
        Whether treatment was withheld at random; only then is a difference an effect.
    warnings : tuple of str
        What outreach does to the reading of the tiers.
    """

    tiers: tuple[TreatedTier, ...]
    tests: tuple[HypothesisTest, ...]
    randomised: bool
    warnings: tuple[str, ...]


def judge_interventions(
    outcomes: Any,
    *,
    score: Any,
    treated: Any,
    randomised: bool = False,
    tier: Any = None,
    tiers: Tiers | None = None,
    account: Any = None,
    policy: Policy | None = None,
) -> InterventionReport:
    """Show churn by tier and treatment, and warn where saves make a tier look safe.

    Parameters
    ----------
    outcomes, score, tier, tiers, account
        As in `validate`.
    treated : Series or array of bool of shape (n,)
        Whether the account was worked on between snapshot and outcome (outreach log, or not in the hold-out).
    randomised : bool, default=False
        Whether a random hold-out decided who was treated.
    policy : Policy, optional
        Thresholds of the verdicts.
    """
    given = {"outcomes": outcomes, "score": score, "treated": treated, "tier": tier, "account": account}
    table = matched({name: column for name, column in given.items() if column is not None})
    columns = judged_columns(
        table["outcomes"], score=table["score"], tier=table.get("tier"), account=table.get("account"),
        treated=table["treated"],
    )  # fmt: skip
    cut = tier_codes(columns, tiers or Tiers())
    codes = TierCodes((), np.empty(0, dtype=np.intp)) if cut is None else cut
    worked = np.asarray(columns.treated, dtype=bool)
    return treated_tiers(columns, codes, worked, policy or Policy(), randomised=randomised)


def treated_tiers(
    columns: JudgedColumns, tiers: TierCodes, worked: Mask, policy: Policy, *, randomised: bool = False
) -> InterventionReport:
    """Compare the worked and the other rows of each tier; `worked` is a mask of the judged rows."""
    inside = [tiers.codes == code for code in range(len(tiers.names))]
    rows = tuple(_row(columns, tiers, code, worked) for code in range(len(tiers.names)))
    pairs = [
        rate_difference(columns.churned, columns.account, first=mask & worked, second=mask & ~worked)
        for mask in inside
    ]
    speaks = [pair.least_expected >= policy.least_expected for pair in pairs]
    p_values = holm([p.p_two_sided if ok else NAN for p, ok in zip(pairs, speaks, strict=True)])
    tests = tuple(
        _test(row, pair, p, policy, randomised=randomised)
        for row, pair, p in zip(rows, pairs, p_values, strict=True)
    )
    return InterventionReport(
        tiers=rows, tests=tests, randomised=randomised, warnings=_warnings(rows, tests, policy)
    )


def _row(columns: JudgedColumns, cut: TierCodes, code: int, worked: Mask) -> TreatedTier:
    inside = cut.codes == code
    treated = churn_rate(columns.churned[inside & worked], columns.account[inside & worked])
    untreated = churn_rate(columns.churned[inside & ~worked], columns.account[inside & ~worked])
    n = treated.n + untreated.n
    return TreatedTier(
        tier=cut.names[code],
        treated=treated.n,
        untreated=untreated.n,
        treated_rate=treated.value,
        treated_interval=treated.interval,
        untreated_rate=untreated.value,
        untreated_interval=untreated.interval,
        treated_share=treated.n / n if n else NAN,
    )


def _test(
    row: TreatedTier, pair: RateDifference, p_value: float, policy: Policy, *, randomised: bool
) -> HypothesisTest:
    reach = f"{row.treated_rate:.1%} churned with outreach, {row.untreated_rate:.1%} without"
    verdict = Verdict.PASS
    if np.isnan(p_value):
        verdict, sentence = Verdict.NOT_ENOUGH_DATA, f"{row.tier}: {policy.lacking(pair.least_expected)}."
    elif p_value >= policy.alpha:
        sentence = f"{row.tier}: no difference shown: {reach}."
    elif randomised:
        sentence = f"{row.tier}: outreach changed churn: {reach}."
    else:
        verdict = Verdict.WARN
        sentence = f"{row.tier}: {reach}; who was called was not drawn at random, so this is no effect size."
    return HypothesisTest(
        name="treatment",
        subject=row.tier,
        null="treated and untreated rows of the tier churn alike",
        statistic=pair.difference,
        statistic_name="untreated minus treated churn rate",
        interval=pair.interval,
        p_value=p_value,
        n=pair.n,
        events=pair.events,
        policy=f"two-proportion tests, Holm, alpha {policy.alpha:g}; a difference warns unless randomised; "
        f"{policy.silence}",
        verdict=verdict,
        sentence=sentence,
    )


def _warnings(
    rows: tuple[TreatedTier, ...], tests: tuple[HypothesisTest, ...], policy: Policy
) -> tuple[str, ...]:
    found = []
    last = rows[-1] if rows else None
    if last is not None and last.treated and last.treated_share > rows[0].treated_share:
        found.append(
            f"{last.treated_share:.0%} of {last.tier} rows were worked on, {rows[0].treated_share:.0%} of "
            f"{rows[0].tier}: saves make {last.tier} look safer than it is. Judge it on untreated rows."
        )
    found += [
        f"{test.subject} churns less where it was worked on; its overall churn rate understates its risk."
        for test in tests
        if test.spoke and test.p_value < policy.alpha and test.statistic > 0
    ]
    if last is not None and last.untreated == 0:
        found.append(
            f"Every {last.tier} row was worked on: its untreated risk cannot be known. Keep a hold-out."
        )
    return tuple(found)
