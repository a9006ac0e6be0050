"""What a column of the table is, and what is wrong with it and with the table.

Pure functions from columns to kinds, statistics and findings; `chs_ml.dataset` puts them together.
"""

from chs_ml.checks.columns import check_direction, check_values, is_identifier
from chs_ml.checks.kinds import holds_lists, infer_kind
from chs_ml.checks.leaks import category_auc, check_leak, rank_auc, single_auc
from chs_ml.checks.metrics import Facts, check_metric
from chs_ml.checks.table import check_keys, check_names, check_outcome

__all__ = [
    "Facts",
    "category_auc",
    "check_direction",
    "check_keys",
    "check_leak",
    "check_metric",
    "check_names",
    "check_outcome",
    "check_values",
    "holds_lists",
    "infer_kind",
    "is_identifier",
    "rank_auc",
    "single_auc",
]
