"""``validate``: one score column against outcomes, everything that can be asked of it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chs_ml.tiers import Tiers
from chs_ml.validation.bootstrap import Judged, Resampling, check_resampling, replicates
from chs_ml.validation.brier import BrierParts, brier_parts
from chs_ml.validation.calibration import Calibration, calibration
from chs_ml.validation.certification import Promise
from chs_ml.validation.columns import JudgedColumns, judged_columns
from chs_ml.validation.curve import CalibrationCurve, calibration_curve
from chs_ml.validation.dated import Dated
from chs_ml.validation.delong import delong_statistic
from chs_ml.validation.discrimination import statistics_of
from chs_ml.validation.history import ScoreHistory
from chs_ml.validation.intervention import treated_tiers
from chs_ml.validation.over_time import over_time
from chs_ml.validation.policy import Policy
from chs_ml.validation.promise_check import promise_test
from chs_ml.validation.report import ValidationReport
from chs_ml.validation.result import Codes, HypothesisTest, Statistic, Verdict, worst
from chs_ml.validation.rules import Rules
from chs_ml.validation.score_tests import mean_test, ranks_test, slope_test
from chs_ml.validation.segments import segment_rows
from chs_ml.validation.tier_predictions import hosmer_lemeshow_test, predicted_tests
from chs_ml.validation.tier_shape import concentration_tests, critical_test
from chs_ml.validation.tier_table import TierCodes, tier_codes, tier_rows
from chs_ml.validation.tier_tests import (
    enough_data_test,
    neighbour_differences,
    ordered_test,
    separated_tests,
)
from chs_ml.validation.value_tests import ordered_by_value_test
from chs_ml.validation.worth import Outreach, worth_of

HEADLINE = {"ranks", "calibration_mean", "calibration_slope", "enough_data", "ordered", "separated"}


def validate(  # noqa: PLR0913 - one argument per column that may be judged
    outcomes: Any,
    *,
    score: Any,
    probability: Any = None,
    tier: Any = None,
    tiers: Tiers | None = None,
    value: Any = None,
    account: Any = None,
    segment: Any = None,
    new_account: Any = None,
    treated: Any = None,
    randomised: bool = False,
    snapshot_date: Any = None,
    churn_date: Any = None,
    history: ScoreHistory | None = None,
    horizon_days: int | None = None,
    as_of: str | None = None,
    outreach: Outreach | None = None,
    out_of_time: bool | None = None,
    promises: Sequence[Promise] = (),
    policy: Policy | None = None,
    remarks: Sequence[str] = (),
    n_bootstrap: int = 1000,
    random_state: int = 0,
    level: float = 0.95,
) -> ValidationReport:
    """Judge a health score by what happened at renewals.

    Knows columns, no model: a score exported from another tool is judged by the same code. Series are
    matched by index (the same labels in another order are brought into order, other labels are
    refused), arrays by position.

    Parameters
    ----------
    outcomes : Series or array of shape (n,)
        renewed, churned, contracted, open in any case, or 0 and 1 with 1 = churned. Open outcomes are
        counted and judge nothing.
    score : Series or array of shape (n,)
        Health score, larger = healthier. Rows without one are counted and left out.
    probability : Series or array of shape (n,), optional
        Churn probability in [0, 1]. Without it there are no calibration statistics.
    tier : Series or array of shape (n,), optional
        Tier labels. Without them the score is cut at `tiers`.
    tiers : Tiers, optional
        Names, healthiest first, and lower bounds; 75 and 50 by default.
    value : Series or array of shape (n,), optional
        Value of the account, such as a year's revenue; not negative.
    account : Series or array of shape (n,), optional
        Account of each row. Intervals and tests are clustered by it; without it every row counts as its
        own account.
    segment : Series or array of shape (n,), optional
        Segment labels; each segment is judged where it has enough rows.
    new_account : Series or array of bool of shape (n,), optional
        True for accounts never seen in training; the statistics are repeated for them.
    treated : Series or array of bool of shape (n,), optional
        Whether the account was worked on between snapshot and outcome; churn is then shown with and without.
    randomised : bool, default=False
        Whether a random hold-out decided who was treated; only then is a difference an effect.
    snapshot_date : Series or array of shape (n,), optional
        Day of each score; calls at capacity are counted per month, and with `churn_date` the rows are the
        score's history.
    churn_date : Series or array of shape (n,), optional
        Day the account left, blank where it stayed: was its churn seen coming? Needs `account`, and
        `snapshot_date` or `history`.
    history : ScoreHistory, optional
        All snapshots, judged over time instead of the rows.
    horizon_days : int, optional
        Days within which a churn confirms an alarm; 90 by default.
    as_of : str, optional
        Date up to which churns are known; the newest snapshot by default.
    outreach : Outreach, optional
        Capacity and campaign, for what acting on the score is worth.
    out_of_time : bool, optional
        Whether the rows are later than the training data; the report says so.
    promises : sequence of Promise, optional
        What tiers promised when they were certified; checked again on these rows.
    policy : Policy, optional
        Thresholds of the verdicts.
    remarks : sequence of str, optional
        What the reader must know besides; joins the report's notes.
    n_bootstrap : int, default=1000
        Replicates of the account-clustered bootstrap.
    random_state : int, default=0
        Its seed.
    level : float, default=0.95
        Level of the intervals, in (0, 1).

    Returns
    -------
    ValidationReport
        Statistics with intervals, calibration, tiers, tests and a verdict.

    Raises
    ------
    TableError
        Where columns do not match or hold what they must not.
    RecipeError
        Where a setting is out of range.
    NotEnoughData
        Where the judged rows lack churns or renewals.
    """
    check_resampling(n_bootstrap, level)
    rules = Rules(
        policy=policy or Policy(), promises=tuple(promises), outreach=outreach or Outreach(),
        randomised=randomised,
        resampling=Resampling(replicates=n_bootstrap, random_state=random_state, level=level),
    )  # fmt: skip
    columns = judged_columns(
        outcomes, score=score, probability=probability, tier=tier, value=value, account=account,
        segment=segment, new_account=new_account, treated=treated,
    )  # fmt: skip
    dated = Dated.of(score=score, account=account, snapshot_date=snapshot_date, churn_date=churn_date)
    report = _report(columns, tier_codes(columns, tiers), rules, period=dated.months(columns.positions))
    told = dated.history(history, tiers)
    notes = (*_out_of_time_note(out_of_time), *report.notes, *_history_note(told), *remarks)
    if told is None:
        return replace(report, notes=notes)
    time = over_time(told, as_of=as_of, horizon_days=horizon_days, policy=rules.policy, level=level)
    return replace(report, time=time, notes=notes)


def _report(
    columns: JudgedColumns, cut: TierCodes | None, rules: Rules, *, period: Codes | None
) -> ValidationReport:
    """Everything that the judged rows say, without their history."""
    statistics, level = _statistics(columns, rules.resampling), rules.resampling.level
    found, curve, parts = _calibrated(columns, rules.resampling)
    tests = _score_tests(columns, statistics, found, rules.policy)
    if cut is not None:
        tests += _tier_tests(columns, cut, rules.policy, level=level)
        tests += tuple(promise_test(columns, cut, promise, rules.policy) for promise in rules.promises)
    outreach = None
    if cut is not None and columns.treated is not None:
        outreach = treated_tiers(columns, cut, columns.treated, rules.policy, randomised=rules.randomised)
    return ValidationReport(
        verdict=headline_verdict(tests),
        statistics=statistics,
        calibration=found,
        curve=curve,
        brier=parts,
        tiers=() if cut is None else tier_rows(columns, cut, level=level),
        tests=tests,
        segments=segment_rows(columns, cut, rules.policy, level=level),
        new_accounts=_new_account_statistics(columns, rules.resampling),
        worth=worth_of(columns, rules.outreach, rules.resampling, period=period),
        interventions=outreach,
        counts=columns.counts,
        notes=_notes(columns, cut),
        level=level,
        n_bootstrap=rules.resampling.replicates,
        random_state=rules.resampling.random_state,
    )


def _calibrated(
    columns: JudgedColumns, resampling: Resampling
) -> tuple[Calibration | None, CalibrationCurve | None, BrierParts | None]:
    if columns.probability is None:
        return None, None, None
    given = (columns.probability, columns.churned)
    return (
        calibration(*given, columns.account, level=resampling.level),
        calibration_curve(
            *given, columns.account, level=resampling.level, random_state=resampling.random_state
        ),
        brier_parts(*given),
    )


def headline_verdict(tests: tuple[HypothesisTest, ...]) -> Verdict:
    """Sum up the headline tests; the others inform."""
    return worst(test.verdict for test in tests if test.name in HEADLINE)


def _statistics(columns: JudgedColumns, resampling: Resampling) -> tuple[Statistic, ...]:
    level = resampling.level
    judged = Judged.of(
        columns.churned, score=columns.score, account=columns.account,
        probability=columns.probability, value=columns.value,
    )  # fmt: skip
    drawn = replicates(judged, n_bootstrap=resampling.replicates, random_state=resampling.random_state)
    auc, *others = statistics_of(judged, columns.churned, columns.account, drawn, level=level)
    return (auc, delong_statistic(columns.score, columns.churned, columns.account, level=level), *others)


def _new_account_statistics(columns: JudgedColumns, resampling: Resampling) -> tuple[Statistic, ...]:
    fresh = columns.new_account
    if fresh is None or fresh.all() or not 0 < columns.churned[fresh].sum() < fresh.sum():
        return ()
    part = replace(
        columns,
        churned=columns.churned[fresh],
        score=columns.score[fresh],
        account=np.unique(columns.account[fresh], return_inverse=True)[1],
        probability=None if columns.probability is None else columns.probability[fresh],
        value=None if columns.value is None else columns.value[fresh],
    )
    return _statistics(part, resampling)


def _score_tests(
    columns: JudgedColumns, statistics: tuple[Statistic, ...], found: Calibration | None, policy: Policy
) -> tuple[HypothesisTest, ...]:
    tests = (ranks_test(columns, statistics[0], policy),)
    if found is None:
        return tests
    return (*tests, mean_test(columns, found, policy), slope_test(columns, found, policy))


def _tier_tests(
    columns: JudgedColumns, cut: TierCodes, policy: Policy, *, level: float
) -> tuple[HypothesisTest, ...]:
    pairs = neighbour_differences(columns, cut, level=level)
    sizes = (columns.counts.judged, columns.counts.churned)
    tests = (
        enough_data_test(columns, cut, policy),
        ordered_test(pairs, sizes, policy),
        *separated_tests(pairs, policy),
        critical_test(columns, cut, policy, level=level),
    )
    if columns.probability is not None:
        tests += predicted_tests(columns, cut, policy, level=level)
        tests += (hosmer_lemeshow_test(columns, cut, policy),)
    if columns.value is not None:
        tests += (ordered_by_value_test(columns, cut, policy),)
    return tests + concentration_tests(tier_rows(columns, cut, level=level), policy)


def _out_of_time_note(out_of_time: bool | None) -> tuple[str, ...]:
    if out_of_time is None:
        return ()
    if out_of_time:
        return ("Out of time: every judged row is later than the training data.",)
    return ("No out-of-time test was possible: rows were held out by account, not by date.",)


def _history_note(history: ScoreHistory | None) -> tuple[str, ...]:
    if history is None or history.churn_dates is None or len(history.churn_dates):
        return ()
    return ("Every churn date is blank, so whether churn was seen coming is not said.",)


def _notes(columns: JudgedColumns, cut: TierCodes | None) -> tuple[str, ...]:
    counts = columns.counts
    notes = []
    if counts.withheld:
        rate = counts.withheld_churned / counts.withheld
        notes.append(f"{counts.withheld:,} rows without a score are left out; {rate:.1%} of them churned.")
    if cut is None:
        notes.append(
            "No tiers: the score is not on the 0-100 scale. Pass `tier` labels, or `tiers` with bounds."
        )
    elif cut.note:
        notes.append(cut.note)
    if cut is not None and (cut.codes < 0).any():
        notes.append(f"{int((cut.codes < 0).sum()):,} judged rows have no tier and stand in none.")
    if columns.probability is None:
        notes.append("No probabilities were given, so calibration was not judged.")
    else:
        walls = int(np.isin(columns.probability, (0.0, 1.0)).sum())
        if walls:
            notes.append(
                f"{walls:,} probabilities are exactly 0 or 1; log-odds and log loss hold them at 1e-12."
            )
    if counts.clustered:
        notes.append(
            f"{counts.judged:,} rows come from {counts.accounts:,} accounts; intervals and tests know it."
        )
    if columns.value is not None and np.isnan(columns.value).any():
        notes.append(
            f"{int(np.isnan(columns.value).sum()):,} judged rows have no value and count as 0 in sums."
        )
    if cut is None and columns.treated is not None:
        notes.append("Without tiers churn with and without outreach is not shown.")
    if counts.new_account == counts.judged:
        notes.append("Training saw none of these accounts.")
    if columns.new_account is not None and counts.new_account == 0:
        notes.append("No judged row is of an account that training never saw.")
    return tuple(notes)
