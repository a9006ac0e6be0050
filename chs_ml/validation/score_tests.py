"""Tests of a score as a whole: does it rank, and are its probabilities right on average and in spread?"""

import numpy as np
from scipy.special import ndtr, stdtr

from chs_ml.validation.calibration import Calibration, clustered_error, fit_logistic, log_odds
from chs_ml.validation.columns import JudgedColumns
from chs_ml.validation.intervals import countable_rows
from chs_ml.validation.policy import Policy
from chs_ml.validation.result import NAN, HypothesisTest, Statistic, Verdict

SILENT = Verdict.NOT_ENOUGH_DATA


def ranks_test(columns: JudgedColumns, auc: Statistic, policy: Policy) -> HypothesisTest:
    """Ask whether the score ranks better than chance: the whole AUC interval above one half."""
    counting = countable_rows(columns.account) / columns.counts.judged
    least = min(columns.counts.churned, columns.counts.judged - columns.counts.churned) * counting
    reach = f"AUC {auc.value:.3f} ({auc.interval.low:.3f} to {auc.interval.high:.3f})"
    counts = columns.counts
    if not policy.speaks(least, accounts=counts.accounts, rows=counts.judged):
        verdict = SILENT
        sentence = f"{policy.lacking(least)}."
    elif auc.interval.low > 0.5:
        verdict, sentence = Verdict.PASS, f"The score ranks better than chance: {reach}."
    elif auc.interval.high < 0.5:
        verdict = Verdict.FAIL
        sentence = f"The score ranks the wrong way round: {reach}. Is larger healthier, as it must be?"
    else:
        verdict = Verdict.WARN
        sentence = f"No evidence of signal: the score is not shown to rank better than chance, {reach}."
    return HypothesisTest(
        name="ranks",
        null="churned and renewed accounts have the same scores",
        statistic=auc.value,
        statistic_name="AUC",
        interval=auc.interval,
        n=auc.n,
        events=auc.events,
        policy=f"passes where the interval lies above 0.5, fails where it lies below; {policy.silence}",
        verdict=verdict,
        sentence=sentence,
    )


def mean_test(columns: JudgedColumns, found: Calibration, policy: Policy) -> HypothesisTest:
    """Ask whether the mean probability equals the churn rate.

    z test with the variance that the probabilities themselves imply, Σ p (1 - p); where accounts repeat,
    the account-clustered variance instead, if larger.
    """
    probability = np.asarray(columns.probability)
    gap = found.mean_predicted - found.base_rate
    implied = float(np.sqrt(np.sum(probability * (1.0 - probability)))) / len(probability)
    clustered = clustered_error(probability - columns.churned, columns.account)
    error = max(implied, clustered) if columns.counts.clustered else implied
    counting = countable_rows(columns.account) / columns.counts.judged
    expected = float(min(probability.sum(), (1.0 - probability).sum())) * counting
    counts = columns.counts
    speaks = policy.speaks(expected, accounts=counts.accounts, rows=counts.judged)
    degrees = float(counts.accounts - 1) if counts.clustered else np.inf
    p_value = 2.0 * float(stdtr(degrees, -abs(gap) / error)) if speaks and error > 0 else NAN
    verdict = _verdict(p_value, far=abs(gap) > policy.mean_tolerance, policy=policy)
    reach = f"{found.mean_predicted:.1%} predicted, {found.base_rate:.1%} churned"
    words = {
        SILENT: policy.lacking(expected),
        Verdict.PASS: f"Right on average: {reach}",
        Verdict.WARN: f"Slightly off on average: {reach}",
        Verdict.FAIL: f"Miscalibrated, too {'high' if gap > 0 else 'low'} on average: {reach}",
    }
    return HypothesisTest(
        name="calibration_mean",
        null="the mean probability equals the churn rate",
        statistic=gap,
        statistic_name="mean probability minus churn rate",
        interval=found.difference_interval,
        p_value=p_value,
        n=found.n,
        events=found.events,
        policy=f"z test, alpha {policy.alpha:g}; within {100 * policy.mean_tolerance:g} points warns; "
        f"{policy.silence}",
        verdict=verdict,
        sentence=f"{words[verdict]}.",
    )


def slope_test(columns: JudgedColumns, found: Calibration, policy: Policy) -> HypothesisTest:
    """Ask whether the probabilities are neither too extreme nor too timid: calibration slope 1.

    Score (Rao) test of the slope against 1 with the intercept free, in its account-clustered form; it
    keeps its size with few churns, where Wald's interval of the slope does not.
    """
    counting = countable_rows(columns.account) / columns.counts.judged
    least = found.n * min(found.mean_predicted, 1.0 - found.mean_predicted) * counting
    counts = columns.counts
    enough = policy.speaks(least, accounts=counts.accounts, rows=counts.judged)
    speaks = enough and not np.isnan(found.slope)
    p_value = slope_p_value(columns) if speaks else NAN
    far = abs(found.slope - 1.0) > policy.slope_tolerance
    verdict = _verdict(p_value, far=far, policy=policy)
    interval = found.slope_interval
    reach = f"calibration slope {found.slope:.2f} ({interval.low:.2f} to {interval.high:.2f})"
    found_right = "right" if interval.low > 0.0 else "not shown to be wrong, nor to be right"
    words = {
        SILENT: "The slope cannot be estimated" if enough else policy.lacking(least),
        Verdict.PASS: f"The spread of the probabilities is {found_right}: {reach}",
        Verdict.WARN: f"The spread of the probabilities is slightly off: {reach}",
        Verdict.FAIL: f"Miscalibrated, too {'extreme' if found.slope < 1 else 'timid'}: {reach}",
    }
    return HypothesisTest(
        name="calibration_slope",
        null="the calibration slope is 1",
        statistic=found.slope,
        statistic_name="calibration slope",
        interval=interval,
        p_value=p_value,
        n=found.n,
        events=found.events,
        policy=f"score test, alpha {policy.alpha:g}; within {policy.slope_tolerance:g} of 1 warns; "
        f"{policy.silence}",
        verdict=verdict,
        sentence=f"{words[verdict]}.",
    )


def slope_p_value(columns: JudgedColumns) -> float:
    """Score test of slope 1 with a free intercept; clustered where accounts repeat."""
    margin = log_odds(np.asarray(columns.probability))
    ones = np.ones((len(margin), 1))
    fit = fit_logistic(ones, columns.churned, columns.account, offset=margin)
    chance = 1.0 / (1.0 + np.exp(-(margin + float(fit.coefficients[0]))))
    weight = chance * (1.0 - chance)
    centred = margin - float(np.sum(weight * margin) / np.sum(weight))
    influence = centred * (columns.churned - chance)
    model = float(np.sum(weight * centred**2))
    if not columns.counts.clustered:
        return 2.0 * float(ndtr(-abs(float(influence.sum())) / np.sqrt(model)))
    sums = np.bincount(columns.account, weights=influence)
    robust = float(np.sum((sums - sums.mean()) ** 2))
    z = abs(float(influence.sum())) / float(np.sqrt(max(model, robust)))
    return 2.0 * float(stdtr(max(len(sums) - 1, 1), -z))


def _verdict(p_value: float, *, far: bool, policy: Policy) -> Verdict:
    if np.isnan(p_value):
        return SILENT
    if p_value >= policy.alpha:
        return Verdict.PASS
    return Verdict.FAIL if far else Verdict.WARN
