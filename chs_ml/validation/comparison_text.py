"""A comparison as plain text."""

from typing import TYPE_CHECKING

from chs_ml.validation.discrimination import DEFINITIONS
from chs_ml.validation.report_text import counts_sentence
from chs_ml.validation.text import clipped, interval_text, number, p_text, section, table, wrapped

if TYPE_CHECKING:
    from chs_ml.validation.comparison import Comparison
    from chs_ml.validation.comparison_values import Contestant

NAME_WIDTH = 24


def comparison_text(comparison: "Comparison") -> str:
    """Statistics side by side, then paired differences, then one sentence each."""
    reference = comparison.contestants[0].name
    head = section(
        "Comparison",
        wrapped(counts_sentence(comparison.counts)),
        wrapped(
            f"The reference is {reference}. Intervals at {comparison.level:.0%}; {comparison.n_bootstrap:,} "
            f"bootstrap replicates of accounts (seed {comparison.random_state}), the same for every score."
        ),
    )
    verdicts = [wrapped(d.sentence, indent="  ", first="- ") for d in comparison.differences]
    return "\n\n".join([
        head,
        section("Statistics", _side_by_side(comparison.contestants)),
        section(f"Differences to {reference}", _differences(comparison)),
        section("Verdicts", *verdicts),
    ])  # fmt: skip


def _side_by_side(contestants: "tuple[Contestant, ...]") -> str:
    rows = [
        [
            s.label,
            clipped(contestant.name, NAME_WIDTH),
            number(s.value),
            interval_text(s.interval),
            number(s.reference),
        ]
        for label in DEFINITIONS
        for contestant in contestants
        for s in contestant.statistics
        if s.name == label
    ]
    return table(["Statistic", "Score", "Value", "Interval", "Base rate"], rows)


def _differences(comparison: "Comparison") -> str:
    rows = [
        [DEFINITIONS[d.statistic].label, clipped(d.second, NAME_WIDTH), f"{d.difference:+.4f}",
         interval_text(d.interval, decimals=4), p_text(d.p_value), p_text(d.delong_p_value)]
        for d in comparison.differences
    ]  # fmt: skip
    return table(["Statistic", "Score", "Difference", "Interval", "p", "p (DeLong)"], rows)
