"""What learning weights hands back: a diff of the card, line by line."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from chs_ml.card_learning.evidence import MeasureEvidence
from chs_ml.card_learning.range_values import LearnedRange
from chs_ml.card_learning.strength import Strength
from chs_ml.scorecard import Scorecard
from chs_ml.validation.comparison_values import Difference
from chs_ml.validation.plain import to_plain
from chs_ml.validation.result import Interval


@dataclass(frozen=True, kw_only=True)
class LearnedMeasure:
    """One line of the diff. Shares are 0-1.

    Attributes
    ----------
    metric, label, group : str
        The measure.
    yours : float
        Share that it has in the card.
    learned : float
        Share that outcomes and your weights give it together, not rounded.
    interval : Interval
        Of the learned share, account-clustered bootstrap.
    percent : int
        Whole percent in the learned card; they sum to 100.
    evidence : MeasureEvidence
        What outcomes say about the measure's points.
    verdict : str
        What to do, in one sentence.
    """

    metric: str
    label: str
    group: str
    yours: float
    learned: float
    interval: Interval
    percent: int
    evidence: MeasureEvidence
    verdict: str


@dataclass(frozen=True, kw_only=True, eq=False)
class LearnedWeights:
    """Weights learned in a card's own form.

    Attributes
    ----------
    handcrafted : Scorecard
        The card as it was.
    card : Scorecard
        The same card with learned weights, whole percents.
    exact : Scorecard
        The same before rounding.
    measures : tuple of LearnedMeasure
        In the order of the card.
    strength : Strength
        How strongly the weights are pulled towards yours, and how that was chosen.
    per_point : float
        Log-odds of churn that one point (0-100) of the exact score takes off; 0 where nothing was learned.
    rounding_auc, rounding_log_loss : float
        What rounding costs on these rows: AUC lost, log loss per row added (calibrated).
    improvement : Difference or None
        AUC of weights learned on other accounts against yours, paired; None with too few rows to tell.
    n, events, accounts : int
        Rows, churns among them, and accounts.
    prior_churns : float
        How many churns would say as much about the weights as your own weights do: the pull over what a churn
        adds to the curvature of the log loss, on average over measures.
    ranges : tuple of LearnedRange
        Your scoring ranges beside the learned ones; empty where ranges were not to be learned.
    notes : tuple of str
        What the reader must know besides.
    """

    handcrafted: Scorecard
    card: Scorecard
    exact: Scorecard
    measures: tuple[LearnedMeasure, ...]
    strength: Strength
    per_point: float
    rounding_auc: float
    rounding_log_loss: float
    improvement: Difference | None
    n: int
    events: int
    accounts: int
    prior_churns: float
    ranges: tuple[LearnedRange, ...] = ()
    notes: tuple[str, ...] = ()

    def frame(self) -> pd.DataFrame:
        """The diff as a table to paste into the platform: one row per measure, percents."""
        return pd.DataFrame(
            {
                "group": [m.group for m in self.measures],
                "measure": [m.label for m in self.measures],
                "metric": [m.metric for m in self.measures],
                "your weight %": [round(100 * m.yours, 1) for m in self.measures],
                "learned weight %": [m.percent for m in self.measures],
                "low %": [round(100 * m.interval.low, 1) for m in self.measures],
                "high %": [round(100 * m.interval.high, 1) for m in self.measures],
                "evidence": [str(m.evidence.finding) for m in self.measures],
                "verdict": [m.verdict for m in self.measures],
            }
        )

    def to_toml(self) -> str:
        """The learned card as TOML, in the form of the handcrafted one."""
        return self.card.to_toml()

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, text and numbers; NaN as None."""
        parts = {
            name: getattr(self, name)
            for name in (
                "measures", "strength", "per_point", "rounding_auc", "rounding_log_loss", "improvement",
                "n", "events", "accounts", "prior_churns", "ranges", "notes",
            )
        }  # fmt: skip
        plain: dict[str, Any] = to_plain(parts)
        return {"card": self.handcrafted.name, **plain, "learned_card": self.to_toml()}

    def to_text(self) -> str:
        """Plain text of at most 100 columns."""
        from chs_ml.card_learning.text import learned_text

        return learned_text(self)

    def __str__(self) -> str:
        return self.to_text()
