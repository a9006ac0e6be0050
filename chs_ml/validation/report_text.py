"""A validation report as plain text, for a reader who has two minutes."""

import math
from typing import TYPE_CHECKING

from chs_ml.validation.blocks import as_text
from chs_ml.validation.report_blocks import (
    TITLES,
    counts_sentence,
    report_blocks,
    shown_p_value,
    small_print,
    worth_a_line,
)
from chs_ml.validation.result import HypothesisTest, Verdict
from chs_ml.validation.text import p_text, section, wrapped

if TYPE_CHECKING:
    from chs_ml.validation.report import ValidationReport


def report_text(report: "ValidationReport") -> str:
    """The whole report, sections separated by blank lines."""
    ranks = [test for test in report.tests if test.name == "ranks" and test.verdict is Verdict.WARN]
    head = section(
        f"Validation: {report.verdict.value}",
        *(wrapped(test.sentence) for test in ranks),  # nothing below matters more
        wrapped(counts_sentence(report.counts)),
        wrapped(small_print(report)),
    )
    lines = [test_lines(test) for test in report.tests if worth_a_line(test, report.tests)]
    return "\n\n".join([head, section("Verdicts", *lines), *map(as_text, report_blocks(report))])


def test_lines(test: HypothesisTest) -> str:
    """One test in a few lines: verdict, name, sentence, p-value."""
    title = TITLES.get(test.name, test.name)
    shown = shown_p_value(test)
    p_value = f" (p {p_text(shown)})" if not math.isnan(shown) else ""
    said = f"{title}: {test.sentence}{p_value}"
    return wrapped(said, indent=" " * 17, first=f"{test.verdict.value:<15}  ")
