"""A validation as one frozen value: statistics, calibration, tiers, tests, and one verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd

from chs_ml.validation.brier import BrierParts
from chs_ml.validation.calibration import Calibration
from chs_ml.validation.columns import Counts
from chs_ml.validation.curve import CalibrationCurve
from chs_ml.validation.intervention import InterventionReport
from chs_ml.validation.over_time import OverTime
from chs_ml.validation.plain import from_plain, to_json, to_plain
from chs_ml.validation.report_markdown import report_markdown
from chs_ml.validation.report_text import report_text
from chs_ml.validation.result import HypothesisTest, Statistic, Verdict
from chs_ml.validation.segments import SegmentRow
from chs_ml.validation.tier_table import TierRow, tier_frame
from chs_ml.validation.worth import Worth

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ValidationReport:
    """What validation found out about one score.

    Attributes
    ----------
    verdict : Verdict
        The headline tests summed up: any fail fails; else a lack of data is said; else a warning; else pass.
    statistics : tuple of Statistic
        Each with interval, sample size, churns, and the base rate's figure beside it.
    calibration : Calibration or None
        None where no probabilities were given.
    curve : CalibrationCurve or None
        Smooth calibration curve and integrated calibration index; None without probabilities.
    brier : BrierParts or None
        The Brier score taken apart; None without probabilities.
    tiers : tuple of TierRow
        Healthiest first; empty where the score could not be cut.
    tests : tuple of HypothesisTest
        Every test as a value.
    segments : tuple of SegmentRow
        Largest first; empty where no segments were given.
    new_accounts : tuple of Statistic
        The statistics on accounts never seen in training; empty where nobody said, where they are all
        accounts (a note says it), or where they lack churns or renewals.
    worth : Worth or None
        What acting on the score is worth: net benefit, calls at capacity, profit.
    time : OverTime or None
        The score's history and whether churn was seen coming; None where no dates were given.
    interventions : InterventionReport or None
        Churn with and without outreach; None where nobody said who was worked on.
    counts : Counts
        What became of the rows.
    notes : tuple of str
        What the reader must know besides.
    level : float
        Level of the intervals.
    n_bootstrap, random_state : int
        Replicates and seed.
    """

    verdict: Verdict
    statistics: tuple[Statistic, ...]
    calibration: Calibration | None
    curve: CalibrationCurve | None = None
    brier: BrierParts | None = None
    tiers: tuple[TierRow, ...]
    tests: tuple[HypothesisTest, ...]
    segments: tuple[SegmentRow, ...]
    new_accounts: tuple[Statistic, ...]
    worth: Worth | None = None
    time: OverTime | None = None
    interventions: InterventionReport | None = None
    counts: Counts
    notes: tuple[str, ...]
    level: float
    n_bootstrap: int
    random_state: int

    def statistic(self, name: str) -> Statistic:
        """The statistic of that name, such as ``"auc"``; KeyError names the known ones."""
        return _named(name, {s.name: s for s in self.statistics})

    def test(self, name: str, subject: str = "") -> HypothesisTest:
        """The test of that name, and of that subject where there are several."""
        if subject:
            return _named(f"{name}: {subject}", {f"{t.name}: {t.subject}": t for t in self.tests})
        return _named(name, {t.name: t for t in reversed(self.tests)})

    def tier_frame(self) -> pd.DataFrame:
        """One row per tier, healthiest first."""
        return tier_frame(self.tiers)

    def statistics_frame(self) -> pd.DataFrame:
        """One row per statistic."""
        rows = [
            {"statistic": s.name, "value": s.value, "low": s.interval.low, "high": s.interval.high,
             "reference": s.reference, "n": s.n, "events": s.events, "higher_is_better": s.higher_is_better}
            for s in self.statistics
        ]  # fmt: skip
        return pd.DataFrame(rows).set_index("statistic")

    def tests_frame(self) -> pd.DataFrame:
        """One row per test."""
        rows = [{**to_plain(t), "low": t.interval.low, "high": t.interval.high} for t in self.tests]
        return pd.DataFrame(rows).drop(columns="interval")

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, text and numbers, with stable keys; NaN as None."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    def to_json(self) -> str:
        """JSON of `to_dict`."""
        return to_json(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ValidationReport":
        """Rebuild a report from `to_dict`; BundleError where it does not fit."""
        return from_plain(cls, dict(data))

    def to_text(self) -> str:
        """Plain text tables of at most 100 columns."""
        return report_text(self)

    def to_markdown(self) -> str:
        """Markdown, tables included."""
        return report_markdown(self)

    def __str__(self) -> str:
        return self.to_text()


def _named(name: str, known: Mapping[str, T]) -> T:
    if name not in known:
        raise KeyError(f"There is no {name!r}; there are {', '.join(known)}.")
    return known[name]
