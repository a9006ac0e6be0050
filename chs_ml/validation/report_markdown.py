"""A validation report as Markdown: the same tables, for pull requests and wikis."""

from typing import TYPE_CHECKING

from chs_ml.validation.blocks import as_markdown, markdown_table
from chs_ml.validation.report_blocks import (
    TITLES,
    counts_sentence,
    report_blocks,
    shown_p_value,
    small_print,
    worth_a_line,
)
from chs_ml.validation.text import p_text

if TYPE_CHECKING:
    from chs_ml.validation.report import ValidationReport


def report_markdown(report: "ValidationReport") -> str:
    """The report's verdicts and all that stands below them."""
    tests = [
        [TITLES.get(t.name, t.name), t.verdict.value, p_text(shown_p_value(t)), t.sentence]
        for t in report.tests
        if worth_a_line(t, report.tests)
    ]
    verdicts = markdown_table(["Question", "Verdict", "p", "Answer"], tests, right=False)
    parts = [
        f"## Validation: {report.verdict.value}",
        f"{counts_sentence(report.counts)} {small_print(report)}",
        f"### Verdicts\n\n{verdicts}",
        *map(as_markdown, report_blocks(report)),
    ]
    return "\n\n".join(parts)
