"""How the book is spread over tiers, and how much riskier the least healthy tier is."""

import numpy as np
from scipy.special import ndtri

from chs_ml.validation.columns import JudgedColumns
from chs_ml.validation.intervals import countable_rows
from chs_ml.validation.policy import Policy
from chs_ml.validation.result import NAN, HypothesisTest, Interval, Verdict
from chs_ml.validation.tier_table import TierCodes, TierRow


def herfindahl(shares: tuple[float, ...]) -> float:
    """Herfindahl index Σ share², of shares that sum to 1: 1/k when even, 1 when all is in one tier."""
    return float(np.sum(np.square(shares)))


def concentration_tests(rows: tuple[TierRow, ...], policy: Policy) -> tuple[HypothesisTest, ...]:
    """Ask whether too many accounts sit in one tier; a description of the book, without p-value."""
    n, events = sum(row.rows for row in rows), sum(row.churned for row in rows)
    shares = tuple(row.rows / n for row in rows)
    index = herfindahl(shares)
    healthiest = rows[0].tier
    return (
        HypothesisTest(
            name="share_healthy",
            subject=healthiest,
            null=f"at most {policy.most_healthy:.0%} of rows are {healthiest}",
            statistic=shares[0],
            statistic_name="share of rows",
            n=n,
            events=events,
            policy=f"warns above {policy.most_healthy:.0%}",
            verdict=Verdict.WARN if shares[0] > policy.most_healthy else Verdict.PASS,
            sentence=f"{shares[0]:.0%} of rows are {healthiest}; more than {policy.most_healthy:.0%} warns.",
        ),
        HypothesisTest(
            name="concentration",
            null="the book is spread over the tiers",
            statistic=index,
            statistic_name="Herfindahl index of shares",
            n=n,
            events=events,
            policy=f"warns above {policy.most_concentrated:g}",
            verdict=Verdict.WARN if index > policy.most_concentrated else Verdict.PASS,
            sentence=f"The Herfindahl index of the tiers is {index:.2f} "
            f"({1 / len(rows):.2f} when even, 1 when all rows share one tier).",
        ),
    )


def critical_test(
    columns: JudgedColumns, tiers: TierCodes, policy: Policy, *, level: float
) -> HypothesisTest:
    """Ask whether the least healthy tier is much riskier than the book.

    The churn odds of its rows over the odds of all judged rows (or the ratio of the rates, where the
    policy asks for a lift), with a log-normal interval from account-clustered influence values. Passes
    where the lower end reaches the policy's figure, fails where the upper end stays below it.
    """
    inside = tiers.codes == len(tiers.names) - 1
    by_lift = policy.critical_lift is not None
    wanted = policy.critical_lift if policy.critical_lift is not None else policy.critical_odds_ratio
    words = "lift" if by_lift else "odds ratio"
    ratio, interval, expected = _against_base(columns, inside, by_lift=by_lift, level=level)
    name = tiers.names[-1]
    verdict, sentence = Verdict.WARN, f"{name}'s {words} against the base rate is {ratio:.1f}"
    if expected < policy.least_expected:
        verdict = Verdict.NOT_ENOUGH_DATA
        sentence = f"{name}: {policy.lacking(expected)}."
    else:
        sentence += f" ({interval.low:.1f} to {interval.high:.1f}); {wanted:g} is asked."
        verdict = (
            Verdict.PASS if interval.low >= wanted else Verdict.FAIL if interval.high < wanted else verdict
        )
    return HypothesisTest(
        name="critical_lift" if by_lift else "critical_odds_ratio",
        subject=name,
        null=f"the {words} of {name} against the base rate is below {wanted:g}",
        statistic=ratio,
        statistic_name=words,
        interval=interval,
        n=int(inside.sum()),
        events=int(columns.churned[inside].sum()),
        policy=f"passes where the lower end of the {level:.0%} interval is at least {wanted:g}, fails where "
        f"the upper end is below; {policy.silence}",
        verdict=verdict,
        sentence=sentence,
    )


def _against_base(
    columns: JudgedColumns, inside: np.ndarray, *, by_lift: bool, level: float
) -> tuple[float, Interval, float]:
    churned, account, base = columns.churned, columns.account, columns.counts.base_rate
    n = int(inside.sum())
    events = float(churned[inside].sum())
    if n == 0:
        return NAN, Interval(), 0.0
    # half a churn and half a renewal keep the logarithms finite in a tier where all or none churned
    rate = (events + 0.5) / (n + 1.0) if events in (0.0, float(n)) else events / n
    slope, base_slope = (1.0 / rate, 1.0 / base) if by_lift else (_odds_slope(rate), _odds_slope(base))
    influence = -base_slope * (churned - base) / len(churned)
    influence[inside] += slope * (churned[inside] - rate) / n
    sums = np.bincount(account, weights=influence)
    accounts = len(sums)
    error = float(np.sqrt(accounts / max(accounts - 1, 1) * np.sum(sums**2)))
    ratio = rate / base if by_lift else rate / (1.0 - rate) / (base / (1.0 - base))
    reach = float(ndtri((1.0 + level) / 2.0)) * error
    interval = Interval(ratio * float(np.exp(-reach)), ratio * float(np.exp(reach)))
    return ratio, interval, countable_rows(account[inside]) * min(base, 1.0 - base)


def _odds_slope(rate: float) -> float:
    return 1.0 / (rate * (1.0 - rate))
