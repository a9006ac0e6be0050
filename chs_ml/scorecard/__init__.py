"""Scorecards: handcrafted or learned, as data.

One card scores (`Scorecard`), several cards share a portfolio (`CardBook`), a parent account is the
average of its children (`parent_scores`), and what people set by hand is an `Override`.
"""

from chs_ml.scorecard.book import CardBook, Condition, Entry, load_book
from chs_ml.scorecard.card import Scorecard
from chs_ml.scorecard.dialects import DIALECTS, Dialect
from chs_ml.scorecard.events import event_points
from chs_ml.scorecard.measure import Measure
from chs_ml.scorecard.missing import MissingRule
from chs_ml.scorecard.overrides import Override, overrides_from
from chs_ml.scorecard.parents import parent_scores
from chs_ml.scorecard.reading import load_scorecard
from chs_ml.scorecard.rules import Combine, Group, Limit, Scheme, Staleness, StaleRule
from chs_ml.scorecard.sums import column_sum

__all__ = [
    "DIALECTS",
    "CardBook",
    "Combine",
    "Condition",
    "Dialect",
    "Entry",
    "Group",
    "Limit",
    "Measure",
    "MissingRule",
    "Override",
    "Scheme",
    "Scorecard",
    "StaleRule",
    "Staleness",
    "column_sum",
    "event_points",
    "load_book",
    "load_scorecard",
    "overrides_from",
    "parent_scores",
]
