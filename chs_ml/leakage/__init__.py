"""The leak meter: does a metric know what was not yet known at the snapshot?

Every suspicion is a finding with its evidence. Nothing is dropped or repaired here: who knows where a
column comes from decides.
"""

from chs_ml.leakage.dates import dates_after_snapshot, negative_ages, snapshots_after_churn
from chs_ml.leakage.healing import healing_scores
from chs_ml.leakage.lags import LagAuc, aucs_by_lag, steep_lags
from chs_ml.leakage.renewal_distance import renewal_proxies
from chs_ml.leakage.report import LeakReport, leak_report
from chs_ml.leakage.split_gap import SplitComparison, SplitScore, compare_splits, split_gaps
from chs_ml.leakage.today import frozen_metrics

__all__ = [
    "LagAuc",
    "LeakReport",
    "SplitComparison",
    "SplitScore",
    "aucs_by_lag",
    "compare_splits",
    "dates_after_snapshot",
    "frozen_metrics",
    "healing_scores",
    "leak_report",
    "negative_ages",
    "renewal_proxies",
    "snapshots_after_churn",
    "split_gaps",
    "steep_lags",
]
