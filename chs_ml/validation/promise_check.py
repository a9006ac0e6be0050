"""What a tier promised when it was certified, checked on other rows."""

import numpy as np
from scipy.stats import binom

from chs_ml.errors import RecipeError, nearest
from chs_ml.validation.certification import Promise
from chs_ml.validation.columns import JudgedColumns
from chs_ml.validation.intervals import Rate, churn_rate
from chs_ml.validation.policy import Policy
from chs_ml.validation.result import NAN, HypothesisTest, Verdict
from chs_ml.validation.tier_table import TierCodes


def promise_test(
    columns: JudgedColumns, tiers: TierCodes, promise: Promise, policy: Policy
) -> HypothesisTest:
    """Ask whether a certified tier still keeps its promise.

    Exact one-sided binomial test of "the churn rate is at most the promise" on effective counts: fails
    where the rate is proven to be higher, warns where it was higher by no more than chance. An exact test
    needs no least expected count: it keeps silent only where no number of churns could have failed it (and,
    where accounts repeat, on too few of them to know the design effect).

    Raises
    ------
    RecipeError
        Where no tier has the promise's name.
    """
    rate = _rate_of(columns, tiers, promise.tier)
    n = round(rate.effective_n) if rate.n else 0
    events = min(round(rate.effective_events), n) if rate.n else 0
    fewest = int(binom.isf(policy.alpha, n, promise.at_most)) + 1 if n else 1
    known = rate.accounts == rate.n or rate.accounts >= policy.least_accounts
    speaks = fewest <= n and known
    p_value = float(binom.sf(events - 1, n, promise.at_most)) if speaks else NAN
    verdict = Verdict.WARN if rate.value > promise.at_most else Verdict.PASS
    verdict = Verdict.FAIL if p_value < policy.alpha else verdict
    verdict = verdict if speaks else Verdict.NOT_ENOUGH_DATA
    return HypothesisTest(
        name="tier_promise",
        subject=promise.tier,
        null=f"the churn rate of {promise.tier} is at most {promise.at_most:.1%}",
        statistic=rate.value,
        statistic_name="churn rate",
        interval=rate.interval,
        p_value=p_value,
        n=rate.n,
        events=rate.events,
        policy="exact one-sided binomial test on effective counts (conservative), alpha "
        f"{policy.alpha:g}; higher by chance warns; silent where no number of churns could fail it",
        verdict=verdict,
        sentence=_sentence(rate, promise, verdict, fewest=round(fewest * rate.design_effect)),
    )


def _rate_of(columns: JudgedColumns, tiers: TierCodes, tier: str) -> Rate:
    if tier not in tiers.names:
        raise RecipeError(
            f"A promise must name a tier; {tier!r} is none of {', '.join(tiers.names)}."
            f"{nearest(tier, tiers.names)}"
        )
    inside = np.asarray(tiers.codes == tiers.names.index(tier))
    return churn_rate(columns.churned[inside], columns.account[inside], correlation=tiers.correlation)


def _sentence(rate: Rate, promise: Promise, verdict: Verdict, *, fewest: int) -> str:
    said = f"{promise.tier} promised at most {promise.at_most:.1%}; {rate.events:,} of {rate.n:,} churned"
    if verdict is Verdict.NOT_ENOUGH_DATA:
        return f"{said}: so few accounts could not break it, whatever they did."
    words = {
        Verdict.FAIL: ": the promise is broken",
        Verdict.WARN: f", more than promised but no more than chance brings ({fewest:,} would break it)",
        Verdict.PASS: f"; {fewest:,} would break it",
    }
    return f"{said} ({rate.value:.1%}){words[verdict]}."
