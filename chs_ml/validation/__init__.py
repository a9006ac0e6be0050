"""Judgement: any score column against what happened at renewals.

Knows columns and words, never models, so that a score exported from another tool is judged by the
same code as a learned one.
"""

from chs_ml.validation.comparison import Comparison, compare
from chs_ml.validation.policy import Policy
from chs_ml.validation.report import ValidationReport
from chs_ml.validation.result import HypothesisTest, Interval, Statistic, Verdict
from chs_ml.validation.suite import validate

__all__ = [
    "Comparison",
    "HypothesisTest",
    "Interval",
    "Policy",
    "Statistic",
    "ValidationReport",
    "Verdict",
    "compare",
    "validate",
]
