"""Learned weights as a page of plain text."""

import math
from itertools import zip_longest
from typing import TYPE_CHECKING

from chs_ml.card_learning.range_values import LearnedRange, RangeCount
from chs_ml.validation.result import Interval
from chs_ml.validation.text import number, percent, range_text, rows_text, table, wrapped

if TYPE_CHECKING:
    from chs_ml.card_learning.values import LearnedMeasure, LearnedWeights


def learned_text(found: "LearnedWeights") -> str:
    """The diff: your weight, learned weight, interval, verdict."""
    counts = f"{rows_text(found.n, found.accounts)}, {found.events:,} of which churned"
    head = f"Weights of {found.handcrafted.name!r}, learned from {counts}"
    width = max(len(m.label) for m in found.measures)
    lines = [head, "", f"{'measure':{width}}  yours  learned  interval     evidence"]
    lines += [_line(m, width) for m in found.measures]
    lines += ["", *(wrapped(f"{m.label}: {m.verdict}", indent="  ", first="- ") for m in found.measures), ""]
    lines += _ranges(found.ranges)
    said = [strength_sentence(found), rounding_sentence(found)]
    if found.improvement is not None:
        said.append(f"On accounts not learned from: {found.improvement.sentence}")
    return "\n".join([*lines, *(wrapped(sentence) for sentence in (*said, *found.notes))])


def _line(m: "LearnedMeasure", width: int) -> str:
    return (
        f"{m.label:{width}}  {100 * m.yours:4.0f}%  {m.percent:6d}%  {_percents(m.interval):11}  "
        f"{m.evidence.finding}"
    )


def _percents(interval: Interval) -> str:
    return f"{100 * interval.low:.0f} to {100 * interval.high:.0f} %" if interval.known else "-"


def strength_sentence(found: "LearnedWeights") -> str:
    """How strongly the weights are pulled towards yours, in churns."""
    churns = found.prior_churns
    many = "less than one churn" if churns < 0.95 else f"about {number(churns, decimals=0)} churns"
    many = "about one churn" if 0.95 <= churns < 1.5 else many
    return (
        f"Your own weights count for {many}, beside the {found.events:,} in the data (pull "
        f"{found.strength.pull:.3g}: the average of {len(found.strength.tried)} strengths from "
        f"{found.strength.tried[0]:.2g} to {found.strength.tried[-1]:g}, each counted by how well it "
        "predicts accounts that it was not learned from)."
    )


def rounding_sentence(found: "LearnedWeights") -> str:
    """What whole percents cost."""
    return (
        f"Whole percents instead of exact weights: AUC {-found.rounding_auc:+.4f}, log loss per account "
        f"{found.rounding_log_loss:+.5f}."
    )


def _ranges(ranges: tuple[LearnedRange, ...]) -> list[str]:
    """Your ranges beside the learned ones, measure by measure; those that stay, in one sentence each."""
    if not ranges:
        return []
    lines = [
        "Scoring ranges (learned ones are kept only where accounts not learned from say so; points say what",
        "a range adds beside the other measures, and need not follow the churn rates next to them)",
        "",
    ]
    for one in ranges:
        if one.learned is None:
            continue
        gain = f"log loss per account {-one.gain:+.4f} (standard error {one.error:.4f})"
        lines += [wrapped(f"{one.label}: new ranges. {gain}.", indent="  ", first="- ")]
        yours, learned = (_range_rows(counts) for counts in (one.your_counts, one.learned_counts))
        blank = [""] * 4
        rows = [a + b for a, b in zip_longest(yours, learned, fillvalue=blank)]
        heads = ["yours", "points", "rows", "churned", "learned", "points", "rows", "churned"]
        lines += [f"    {line}" for line in table(heads, rows).splitlines()]
    for reason in dict.fromkeys(one.reason for one in ranges if one.learned is None):
        names = ", ".join(one.label for one in ranges if one.learned is None and one.reason == reason)
        lines.append(wrapped(f"{names}: your ranges stay ({reason}).", indent="  ", first="- "))
    return [*lines, ""]


def _range_rows(counts: tuple[RangeCount, ...]) -> list[list[str]]:
    """All ranges, but open ones beyond a curve's ends where no account is."""
    shown = (c for c in counts if c.n or (math.isfinite(c.low) and math.isfinite(c.high)))
    return [_range_row(c) for c in shown]


def _range_row(one: RangeCount) -> list[str]:
    points = f"{one.points_low:g}"
    if one.points_high != one.points_low:
        points = f"{points} to {one.points_high:g}"
    return [range_text(one.low, one.high), points, f"{one.n:,}", percent(one.churn)]
