"""Does a handcrafted score work? One page, from renewals; and score histories exported from elsewhere."""

from chs_ml.card_audit.audit import audit_card
from chs_ml.card_audit.history import JoinedHistory, join_history
from chs_ml.card_audit.native import calibrate_card, crossed_probability, native_model
from chs_ml.card_audit.policies import PolicyRow, missing_policies
from chs_ml.card_audit.ranges import RangeRow, judge_ranges
from chs_ml.card_audit.values import CardAudit, ScoreChance

__all__ = [
    "CardAudit",
    "JoinedHistory",
    "PolicyRow",
    "RangeRow",
    "ScoreChance",
    "audit_card",
    "calibrate_card",
    "crossed_probability",
    "join_history",
    "judge_ranges",
    "missing_policies",
    "native_model",
]
