"""Learned weights as a page of plain text."""

import math
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from chs_ml.card_learning.range_values import LearnedRange, RangeCount
from chs_ml.errors import first_few
from chs_ml.validation.result import Interval
from chs_ml.validation.text import amount, percent, range_text, rows_text, table, wrapped

PER_TABLE, NAME_WIDTH = 5, 12

if TYPE_CHECKING:
    from chs_ml.card_learning.segments import SegmentCards
    from chs_ml.card_learning.values import LearnedMeasure, LearnedWeights


def learned_text(found: "LearnedWeights") -> str:
    """The diff: your weight, learned weight, interval, verdict."""
    counts = f"{rows_text(found.n, found.accounts)}, {found.events:,} of which churned"
    head = wrapped(f"Weights of {found.handcrafted.name!r}, learned from {counts}")
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
    return (
        f"Your own weights count for {churns_text(found.prior_churns)}, beside the {found.events:,} in the "
        f"data (pull {found.strength.pull:.3g}: the average of {len(found.strength.tried)} strengths from "
        f"{found.strength.tried[0]:.2g} to {found.strength.tried[-1]:g}, each counted by how well it "
        "predicts accounts that it was not learned from)."
    )


def churns_text(churns: float) -> str:
    """How many churns something is worth."""
    if churns < 0.95:
        return "less than one churn"
    return "about one churn" if churns < 1.5 else f"about {amount(churns)} churns"


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


def segments_text(found: "SegmentCards") -> str:
    """Weights of all rows and of each segment, side by side."""
    overall, names = found.overall, list(found.segments)
    counts = f"{rows_text(overall.n, overall.accounts)}, {overall.events:,} of which churned"
    lines = [wrapped(f"Weights of {overall.handcrafted.name!r} by segment, learned from {counts}"), ""]
    width = max(len(m.label) for m in overall.measures)
    for at in range(0, max(len(names), 1), PER_TABLE):
        some = names[at : at + PER_TABLE]
        heads = ["measure", "yours", "all", *(name[:NAME_WIDTH] for name in some)]
        rows = [
            [str(label).ljust(width), *(f"{share:.0f} %" for share in row)]
            for label, row in found.frame()[["yours", "all", *some]].iterrows()
        ]
        churns = [overall, *(found.segments[name] for name in some)]
        rows.append(["churns", "", *(f"{one.events:,}" for one in churns)])
        lines += [table(heads, rows), ""]
    if found.segments:
        worth = [one.prior_churns for one in found.segments.values()]
        between = churns_text(float(np.median(worth)))
        lines.append(
            wrapped(
                f"Each segment's weights are pulled towards those of all: these count for {between} in the "
                "middle segment, as strongly as predicts best in all segments together."
            )
        )
    if found.kept:
        lines.append(
            wrapped(f"Too few churns or renewals, so the card of all holds: {first_few(found.kept)}.")
        )
    return "\n".join([*lines, *(wrapped(note) for note in overall.notes)])
