"""All that ``validate`` says of one score: the report, and what stands beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chs_ml.cli.beside_verdict import OverTime, Worth, interventions_of, over_time, worth_of
from chs_ml.cli.judged import Judged
from chs_ml.cli.judging_texts import time_text, worth_text
from chs_ml.validation import InterventionReport, ValidationReport
from chs_ml.validation.plain_tables import intervention_text


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdict:
    """A report with value, time and outreach; the last two are None where nothing was given for them."""

    report: ValidationReport
    worth: Worth
    time: OverTime | None
    interventions: InterventionReport | None

    @classmethod
    def of(cls, judged: Judged, history: Path | None, *, horizon_days: int | None) -> "Verdict":
        """Judge; the table itself is the history where none is given and it has churn dates."""
        churn_date = judged.settings.validation.churn_date
        dated = history is not None or churn_date in judged.table.columns
        return cls(
            report=judged.report(),
            worth=worth_of(judged),
            time=over_time(judged, history, horizon_days=horizon_days) if dated else None,
            interventions=interventions_of(judged),
        )

    def to_dict(self) -> dict[str, Any]:
        """The report's keys, and value, time and interventions beside them."""
        return {
            **self.report.to_dict(),
            "worth": self.worth,
            "time": None if self.time is None else self.time.to_dict(),
            "interventions": self.interventions,
        }

    def to_text(self) -> str:
        """Plain text of at most 100 columns."""
        return "\n\n".join([self.report.to_text(), *self._beside()])

    def to_markdown(self) -> str:
        """Markdown; what stands beside the report is set as it is."""
        return "\n\n".join([self.report.to_markdown(), *(f"```text\n{part}\n```" for part in self._beside())])

    def _beside(self) -> list[str]:
        parts = [
            worth_text(self.worth),
            "" if self.time is None else time_text(self.time),
            "" if self.interventions is None else intervention_text(self.interventions),
        ]
        return [part for part in parts if part]
