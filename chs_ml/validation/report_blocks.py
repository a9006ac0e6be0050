"""A validation report as blocks, which text and Markdown share."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from chs_ml.validation.blocks import Block, Bullets, Grid, block
from chs_ml.validation.brier import BrierParts
from chs_ml.validation.calibration import Calibration
from chs_ml.validation.columns import Counts
from chs_ml.validation.curve import CalibrationCurve
from chs_ml.validation.report_beside import intervention_block, time_blocks, worth_blocks
from chs_ml.validation.result import NAN, HypothesisTest, Interval, Statistic
from chs_ml.validation.segments import SegmentRow
from chs_ml.validation.text import amount, clipped, interval_text, number, percent, percent_interval
from chs_ml.validation.tier_table import TierRow

if TYPE_CHECKING:
    from chs_ml.validation.report import ValidationReport

TITLES = {
    "ranks": "Ranking",
    "calibration_mean": "Average probability",
    "calibration_slope": "Spread of probabilities",
    "enough_data": "Data per tier",
    "ordered": "Order of tiers",
    "separated": "Neighbouring tiers",
    "predicted_jeffreys": "Prediction per tier",
    "predicted_binomial": "Prediction per tier, exact",
    "hosmer_lemeshow": "All tiers together",
    "share_healthy": "Healthiest tier's share",
    "concentration": "Spread over tiers",
    "critical_odds_ratio": "Least healthy tier",
    "critical_lift": "Least healthy tier",
    "ordered_by_value": "Order by value lost",
    "tier_promise": "Certified promise",
}
ONE_SIDED = {"ordered", "ordered_by_value"}


def shown_p_value(test: HypothesisTest) -> float:
    """The p-value beside a sentence; NaN for one-sided tests, whose 1 beside a pass would only puzzle."""
    return NAN if test.name in ONE_SIDED else test.p_value


def report_blocks(report: "ValidationReport") -> Iterator[Block]:
    """Everything below the verdicts."""
    if report.tiers:
        yield _tiers(report.tiers)
    yield block("Statistics", _statistics(report.statistics))
    if report.calibration:
        yield _calibration(report.calibration, report.curve, report.brier)
    if report.segments:
        yield _segments(report.segments)
    if report.new_accounts:
        yield block("Accounts never seen in training", _statistics(report.new_accounts))
    if report.worth is not None:
        yield from worth_blocks(report.worth)
    if report.time is not None:
        yield from time_blocks(report.time)
    if report.interventions is not None:
        yield intervention_block(report.interventions)
    if report.notes:
        yield block("Notes", Bullets(report.notes))


def small_print(report: "ValidationReport") -> str:
    """How the intervals were made."""
    return (
        f"Intervals at {report.level:.0%}; {report.n_bootstrap:,} bootstrap replicates of accounts "
        f"(seed {report.random_state})."
    )


def counts_sentence(counts: Counts) -> str:
    """Say what became of the rows."""
    rows = f"{counts.judged:,} rows of {counts.accounts:,} accounts judged, {counts.churned:,} churned"
    left = [
        (counts.open, "with an outcome not yet known"),
        (counts.withheld, "without a score"),
        (counts.without_probability, "without a probability"),
    ]
    out = ", ".join(f"{n:,} {why}" for n, why in left if n)
    return f"{rows} ({counts.base_rate:.1%})" + (f"; left out: {out}." if out else ".")


def worth_a_line(test: HypothesisTest, tests: Sequence[HypothesisTest]) -> bool:
    """Leave out exact binomial tests that only repeat what Jeffreys' test said."""
    twins = [t for t in tests if t.name == "predicted_jeffreys" and t.subject == test.subject]
    return test.name != "predicted_binomial" or any(t.verdict is not test.verdict for t in twins)


def _statistics(statistics: Sequence[Statistic]) -> Grid:
    """Statistics with intervals beside the base rate's figures."""
    rows = [
        [s.label, number(s.value), interval_text(s.interval), number(s.reference),
         "higher" if s.higher_is_better else "lower", amount(s.n), amount(s.events)]
        for s in statistics
    ]  # fmt: skip
    return Grid(["Statistic", "Value", "Interval", "Base rate", "Better", "Rows", "Churns"], rows)


def _tiers(rows: Sequence[TierRow]) -> Block:
    body = [
        [clipped(r.tier, 20), amount(r.accounts), amount(r.rows), amount(r.churned), percent(r.churn_rate),
         percent_interval(r.interval), number(r.lift, decimals=2), percent(r.predicted),
         percent(r.share_of_rows, decimals=0)]
        for r in rows
    ]  # fmt: skip
    headers = ["Tier", "Accounts", "Rows", "Churned", "Churn", "Interval", "Lift", "Predicted", "Share"]
    valued = any(r.value == r.value for r in rows)
    return block("Tiers", Grid(headers, body), *([_tier_values(rows)] if valued else []))


def _tier_values(rows: Sequence[TierRow]) -> Grid:
    body = [
        [clipped(r.tier, 20), amount(r.value), percent(r.share_of_value, decimals=0), amount(r.value_lost),
         percent(r.value_churn_rate), percent_interval(r.value_interval)]
        for r in rows
    ]  # fmt: skip
    return Grid(["Tier", "Value", "Share of value", "Value lost", "Lost", "Interval"], body)


def _calibration(found: Calibration, curve: CalibrationCurve | None, parts: BrierParts | None) -> Block:
    gap = found.mean_predicted - found.base_rate
    top = [
        ["Mean probability", percent(found.mean_predicted), "", percent(found.base_rate)],
        ["Mean minus churn rate", percent(gap), percent_interval(found.difference_interval), percent(0.0)],
        _coefficient("Slope", found.slope, found.slope_interval, "1.00"),
        _coefficient("Intercept", found.intercept, found.intercept_interval, "0.00"),
        _coefficient("Intercept at slope 1", found.in_the_large, found.in_the_large_interval, "0.00"),
        ["Expected calibration error", percent(found.expected_error), "", percent(0.0)],
    ]
    if curve is not None:
        row = ["Integrated calibration index", percent(curve.ici), percent_interval(curve.ici_interval)]
        top.append([*row, percent(0.0)])
    if parts is not None:
        top.append(["Brier: miscalibration", number(parts.miscalibration, decimals=4), "", "0.0000"])
        top.append(["Brier: discrimination", number(parts.discrimination, decimals=4), "", "large"])
    bins = [
        [f"{percent(b.lowest)} to {percent(b.highest)}", percent(b.predicted), percent(b.realised),
         percent_interval(b.interval), amount(b.n), amount(b.churned)]
        for b in found.bins
    ]  # fmt: skip
    lower = Grid(["Predicted from to", "Predicted", "Churned", "Interval", "Rows", "Churns"], bins)
    return block("Calibration", Grid(["", "Value", "Interval", "Ideal"], top), lower)


def _coefficient(label: str, value: float, interval: Interval, ideal: str) -> list[str]:
    return [label, number(value, decimals=2), interval_text(interval, decimals=2), ideal]


def _segments(rows: Sequence[SegmentRow]) -> Block:
    body = [
        [clipped(r.segment, 22), amount(r.rows), amount(r.churned), percent(r.churn_rate),
         percent_interval(r.interval), percent(r.shrunk_rate), percent(r.predicted),
         number(r.auc), r.verdict.value if r.verdict.value != "not enough data" else "too few"]
        for r in rows
    ]  # fmt: skip
    headers = ["Segment", "Rows", "Churned", "Churn", "Interval", "Shrunk", "Predicted", "AUC", "Verdict"]
    return block("Segments", Grid(headers, body))
