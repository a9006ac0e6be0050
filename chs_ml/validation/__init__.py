"""Judgement: any score column against what happened at renewals.

Knows columns and words, never models, so that a score exported from another tool is judged by the
same code as a learned one::

    validate            one score: statistics, calibration, tiers, tests, verdict
    compare             scores on the same rows, by paired differences
    certify             a tier that promises a churn rate; learned cut-offs
    value               campaigns (EMPC, EMPB), capacity, value at risk, net benefit
    time                capture before churn, false alarms, moves, hysteresis, stability
    judge_interventions churn by tier and outreach
    backtest            rolling origins, purged
"""

from chs_ml.validation.bootstrap import Resampling
from chs_ml.validation.brier import brier_parts
from chs_ml.validation.capacity import value_at_capacity, value_at_risk
from chs_ml.validation.capture import capture_before_churn, false_alarms, green_churn
from chs_ml.validation.certification import Certificate, Promise, certify
from chs_ml.validation.comparison import Comparison, compare
from chs_ml.validation.comparison_values import Difference, Ruling
from chs_ml.validation.curve import calibration_curve
from chs_ml.validation.delong import delong_auc, delong_difference
from chs_ml.validation.history import ScoreHistory, score_history
from chs_ml.validation.intervention import InterventionReport, judge_interventions
from chs_ml.validation.learned_tiers import tiers_for_capacity, tiers_for_rates
from chs_ml.validation.migration import flapping, hysteresis_cost, migration_matrix, with_hysteresis
from chs_ml.validation.net_benefit import net_benefit_curve
from chs_ml.validation.over_time import GreenChurn, OverTime
from chs_ml.validation.policy import Policy
from chs_ml.validation.profit import Campaign, expected_maximum_profit, expected_maximum_profit_business
from chs_ml.validation.report import ValidationReport
from chs_ml.validation.result import HypothesisTest, Interval, Statistic, Verdict
from chs_ml.validation.rivals import single_best_metric
from chs_ml.validation.rolling import Backtest, backtest, rolling_origins
from chs_ml.validation.rules import Rules
from chs_ml.validation.stability import rank_stability, stability_index, stability_test
from chs_ml.validation.suite import validate
from chs_ml.validation.worth import Outreach, Worth

__all__ = [
    "Backtest",
    "Campaign",
    "Certificate",
    "Comparison",
    "Difference",
    "GreenChurn",
    "HypothesisTest",
    "Interval",
    "InterventionReport",
    "Outreach",
    "OverTime",
    "Policy",
    "Promise",
    "Resampling",
    "Rules",
    "Ruling",
    "ScoreHistory",
    "Statistic",
    "ValidationReport",
    "Verdict",
    "Worth",
    "backtest",
    "brier_parts",
    "calibration_curve",
    "capture_before_churn",
    "certify",
    "compare",
    "delong_auc",
    "delong_difference",
    "expected_maximum_profit",
    "expected_maximum_profit_business",
    "false_alarms",
    "flapping",
    "green_churn",
    "hysteresis_cost",
    "judge_interventions",
    "migration_matrix",
    "net_benefit_curve",
    "rank_stability",
    "rolling_origins",
    "score_history",
    "single_best_metric",
    "stability_index",
    "stability_test",
    "tiers_for_capacity",
    "tiers_for_rates",
    "validate",
    "value_at_capacity",
    "value_at_risk",
    "with_hysteresis",
]
