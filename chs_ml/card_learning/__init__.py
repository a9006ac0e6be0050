"""Weights of a handcrafted card, learned from renewals and handed back in the card's own form."""

from chs_ml.card_learning.evidence import Finding, MeasureEvidence, measure_evidence
from chs_ml.card_learning.learning import learn_weights
from chs_ml.card_learning.segments import SegmentCards, learn_segment_weights
from chs_ml.card_learning.values import LearnedMeasure, LearnedWeights

__all__ = [
    "Finding",
    "LearnedMeasure",
    "LearnedWeights",
    "MeasureEvidence",
    "SegmentCards",
    "learn_segment_weights",
    "learn_weights",
    "measure_evidence",
]
