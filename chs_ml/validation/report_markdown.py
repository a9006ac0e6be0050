"""A validation report as Markdown: the same tables, for pull requests and wikis."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chs_ml.validation.report_text import TITLES, counts_sentence
from chs_ml.validation.text import amount, interval_text, number, p_text, percent, percent_interval

if TYPE_CHECKING:
    from chs_ml.validation.report import ValidationReport


def report_markdown(report: "ValidationReport") -> str:
    """The report's verdicts, tiers, statistics and notes."""
    tests = [
        [t.verdict.value, TITLES.get(t.name, t.name), t.subject, p_text(t.p_value), t.sentence]
        for t in report.tests
    ]
    statistics = [
        [
            s.label,
            number(s.value),
            interval_text(s.interval),
            number(s.reference),
            amount(s.n),
            amount(s.events),
        ]
        for s in report.statistics
    ]
    tiers = [
        [r.tier, amount(r.rows), amount(r.churned), percent(r.churn_rate), percent_interval(r.interval),
         number(r.lift, decimals=2), percent(r.predicted)]
        for r in report.tiers
    ]  # fmt: skip
    parts = [
        f"## Validation: {report.verdict.value}",
        counts_sentence(report.counts),
        markdown_table(["Verdict", "Test", "Of", "p", "Answer"], tests),
        markdown_table(["Tier", "Rows", "Churned", "Churn", "Interval", "Lift", "Predicted"], tiers)
        if tiers
        else "",
        markdown_table(["Statistic", "Value", "Interval", "Base rate", "Rows", "Churns"], statistics),
        "\n".join(f"- {note}" for note in report.notes),
    ]
    return "\n\n".join(part for part in parts if part)


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
