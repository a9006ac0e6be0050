"""What an audit of a card hands back."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from chs_ml.card_audit.policies import PolicyRow
from chs_ml.card_audit.ranges import RangeRow
from chs_ml.card_learning.evidence import MeasureEvidence
from chs_ml.health_model import HealthModel
from chs_ml.scorecard import Scorecard
from chs_ml.validation import Comparison, ValidationReport
from chs_ml.validation.plain import to_json, to_plain


@dataclass(frozen=True, kw_only=True)
class ScoreChance:
    """What a score means: the churn probability of an account that has it."""

    score: float
    churn_probability: float


@dataclass(frozen=True, kw_only=True, eq=False)
class CardAudit:
    """Whether a handcrafted card works.

    Attributes
    ----------
    card : Scorecard
        The card.
    answer : str
        Does it predict? One of ``yes``, ``no evidence``, ``the wrong way``, ``not enough data``.
    report : ValidationReport
        Its score judged like any other: statistics with intervals, tiers, tests.
    duel : Comparison
        Against its single best metric (chosen on the judged rows, and so flattered) and the base rate.
    measures : tuple of MeasureEvidence
        Which measures carry evidence, none, or point the wrong way.
    ranges : tuple of RangeRow
        Every scoring range, with what is wrong with it.
    policies : tuple of PolicyRow
        Each missing-value policy on the same rows.
    chances : tuple of ScoreChance
        Calibrated churn probability by score; empty where the card does not predict.
    model : HealthModel or None
        The card with calibrated probabilities, its own points untouched; None where it does not predict.
    green_churn : DataFrame
        Accounts that churned from the healthiest tier, highest score first.
    """

    card: Scorecard
    answer: str
    report: ValidationReport
    duel: Comparison
    measures: tuple[MeasureEvidence, ...]
    ranges: tuple[RangeRow, ...]
    policies: tuple[PolicyRow, ...]
    chances: tuple[ScoreChance, ...]
    model: HealthModel | None
    green_churn: pd.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, text and numbers; NaN as None."""
        parts = ("answer", "measures", "ranges", "policies", "chances", "report", "duel")
        plain: dict[str, Any] = to_plain({name: getattr(self, name) for name in parts})
        green = self.green_churn.assign(
            **{
                c: self.green_churn[c].astype("str")
                for c in self.green_churn.select_dtypes("datetime").columns
            }
        )
        return {"card": self.card.name, **plain, "green_churn": to_plain(green.to_dict("records"))}

    def to_json(self) -> str:
        """JSON of `to_dict`."""
        return to_json(self.to_dict())

    def to_text(self) -> str:
        """One page of plain language, at most 100 columns."""
        from chs_ml.card_audit.text import audit_text

        return audit_text(self)

    def __str__(self) -> str:
        return self.to_text()
