"""A comparison as blocks, for text and Markdown."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from chs_ml.validation.blocks import Block, Bullets, Grid, as_markdown, as_text, block
from chs_ml.validation.comparison_values import Contestant, SegmentDuel
from chs_ml.validation.discrimination import DEFINITIONS
from chs_ml.validation.report_blocks import counts_sentence
from chs_ml.validation.text import (
    amount,
    clipped,
    interval_text,
    number,
    p_text,
    percent,
    percent_interval,
)

if TYPE_CHECKING:
    from chs_ml.validation.comparison import Comparison

NAME_WIDTH = 24


def comparison_text(comparison: "Comparison") -> str:
    """Plain text of at most 100 columns."""
    return "\n\n".join(map(as_text, comparison_blocks(comparison)))


def comparison_markdown(comparison: "Comparison") -> str:
    """Markdown."""
    return "\n\n".join(map(as_markdown, comparison_blocks(comparison)))


def comparison_blocks(comparison: "Comparison") -> Iterator[Block]:
    """What was found in one sentence each; then statistics, differences, tiers and segments."""
    reference = comparison.contestants[0].name
    yield block(
        "Comparison",
        counts_sentence(comparison.counts),
        f"The reference is {reference}. Intervals at {comparison.level:.0%}; {comparison.n_bootstrap:,} "
        f"bootstrap replicates of accounts (seed {comparison.random_state}), the same for every score.",
    )
    yield block("Verdicts", Bullets([d.sentence for d in comparison.differences]))
    yield block("Statistics", _side_by_side(comparison.contestants))
    yield block(f"Differences to {reference}", _differences(comparison))
    if any(contestant.tiers for contestant in comparison.contestants):
        yield block("Tiers", _tiers(comparison.contestants), Bullets(_promises(comparison.contestants)))
    if comparison.segments:
        yield block("AUC by segment", _segments(comparison.segments))


def _side_by_side(contestants: Sequence[Contestant]) -> Grid:
    rows = [
        [s.label, clipped(contestant.name, NAME_WIDTH), number(s.value), interval_text(s.interval),
         number(s.reference)]
        for label in DEFINITIONS
        for contestant in contestants
        for s in contestant.statistics
        if s.name == label
    ]  # fmt: skip
    return Grid(["Statistic", "Score", "Value", "Interval", "Base rate"], rows)


def _differences(comparison: "Comparison") -> Grid:
    rows = [
        [DEFINITIONS[d.statistic].label, clipped(d.second, NAME_WIDTH), f"{d.difference:+.4f}",
         interval_text(d.interval, decimals=4), p_text(d.p_value), p_text(d.delong_p_value)]
        for d in comparison.differences
    ]  # fmt: skip
    return Grid(["Statistic", "Score", "Difference", "Interval", "p", "p (DeLong)"], rows)


def _tiers(contestants: Sequence[Contestant]) -> Grid:
    rows = [
        [clipped(contestant.name, NAME_WIDTH), clipped(r.tier, 20), amount(r.rows),
         percent(r.share_of_rows, decimals=0), amount(r.churned), percent(r.churn_rate),
         percent_interval(r.interval)]
        for contestant in contestants
        for r in contestant.tiers
    ]  # fmt: skip
    return Grid(["Score", "Tier", "Rows", "Share", "Churned", "Churn", "Interval"], rows)


def _promises(contestants: Sequence[Contestant]) -> list[str]:
    return [
        f"{one.name}, {test.verdict.value}: {test.sentence}" for one in contestants for test in one.promises
    ]


def _segments(duels: Sequence[SegmentDuel]) -> Grid:
    rows = [
        [clipped(d.segment, 20), clipped(d.second, 18), amount(d.rows), amount(d.churned),
         number(d.first_auc), number(d.second_auc), interval_text(d.interval), d.verdict.value]
        for d in duels
    ]  # fmt: skip
    headers = ["Segment", "Score", "Rows", "Churned", "Reference", "AUC", "Difference", "Verdict"]
    return Grid(headers, rows)
