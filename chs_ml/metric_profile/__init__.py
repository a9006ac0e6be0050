"""Looking at metrics before learning from them: churn by value, missing values, what goes together."""

from chs_ml.metric_profile.association import associations, metric_groups
from chs_ml.metric_profile.profiles import MetricBin, MetricProfile, metric_profile, metric_profiles
from chs_ml.metric_profile.report import MetricReport, metric_report

__all__ = [
    "MetricBin",
    "MetricProfile",
    "MetricReport",
    "associations",
    "metric_groups",
    "metric_profile",
    "metric_profiles",
    "metric_report",
]
