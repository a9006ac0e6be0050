"""Value, time and outreach as plain text tables of at most 100 columns."""

from collections.abc import Sequence

import pandas as pd

from chs_ml.validation.capacity import CapacityValue
from chs_ml.validation.capture import Capture, FalseAlarms
from chs_ml.validation.intervention import InterventionReport
from chs_ml.validation.migration import HysteresisCost
from chs_ml.validation.net_benefit import NetBenefit
from chs_ml.validation.profit import ExpectedProfit
from chs_ml.validation.text import (
    amount,
    clipped,
    interval_text,
    number,
    percent,
    percent_interval,
    section,
    table,
    wrapped,
)


def capture_text(captures: Sequence[Capture]) -> str:
    """Which tier churned accounts were in, some days before."""
    rows = [
        [f"{c.days_before} days", amount(c.churned), amount(c.known), percent(c.below_healthy, decimals=0),
         percent_interval(c.below_healthy_interval, decimals=0), percent(c.critical, decimals=0),
         percent_interval(c.critical_interval, decimals=0)]
        for c in captures
    ]  # fmt: skip
    headers = [
        "Before churn",
        "Churned",
        "Known",
        "Below healthiest",
        "Interval",
        "Least healthy",
        "Interval",
    ]
    return section("Seen coming", table(headers, rows))


def false_alarms_text(found: FalseAlarms) -> str:
    """Alarms that no churn followed, in a sentence."""
    return wrapped(
        f"{percent(found.false_share, decimals=0)} of {found.alarms:,} alarms were not followed by churn "
        f"({percent_interval(found.interval, decimals=0)}); {found.per_account_year:.2f} alarms per account "
        f"and year; {found.open:,} alarms are still open."
    )


def migration_text(matrix: pd.DataFrame) -> str:
    """Moves from (rows) to (columns)."""
    names = [clipped(str(name), 16) for name in matrix.columns]
    lines = zip(matrix.index, matrix.to_numpy(), strict=True)
    rows = [[clipped(str(name), 16), *(_cell(v) for v in row)] for name, row in lines]
    return section("Moves between tiers", table(["From / to", *names], rows))


def _cell(value: float) -> str:
    return amount(float(value)) if float(value).is_integer() else percent(float(value), decimals=0)


def hysteresis_text(costs: Sequence[HysteresisCost]) -> str:
    """What hysteresis saves in alarms and costs in delay."""
    rows = [
        [f"{c.margin:g} points, {c.readings} readings", number(c.alarms_per_account_year, decimals=2),
         percent(c.flapping_rate, decimals=0), percent(c.captured, decimals=0),
         number(c.delay_days, decimals=1), amount(c.lost_alarms)]
        for c in costs
    ]  # fmt: skip
    headers = ["Hysteresis", "Alarms a year", "Taken back", "Captured", "Delay, days", "Lost alarms"]
    return section("What hysteresis costs", table(headers, rows))


def capacity_text(found: CapacityValue) -> str:
    """What calling the riskiest accounts reaches."""
    low_high = interval_text(found.churners_interval, decimals=1)
    text = (
        f"Calling the {found.capacity:,} riskiest accounts of each period ({found.called:,} calls) reaches "
        f"{found.churners:.1f} churners ({low_high}), {found.recall:.0%} of all; as many random calls reach "
        f"{found.at_random:.1f}."
    )
    if found.value == found.value:
        text += f" They hold {amount(found.value)} of value, {found.value_share:.0%} of what churned."
    return wrapped(text)


def profit_text(found: ExpectedProfit) -> str:
    """Expected maximum profit of a campaign, in a sentence."""
    return wrapped(
        f"The best campaign by this score earns {found.per_account:,.2f} per account "
        f"({interval_text(found.interval, decimals=2)}), contacting {found.contacted:.0%}; a random list "
        f"earns {found.per_account_at_random:,.2f}, a perfect score {found.per_account_perfect:,.2f}."
    )


def net_benefit_text(curve: Sequence[NetBenefit]) -> str:
    """Net benefit over thresholds; no action has 0."""
    rows = [
        [percent(b.threshold, decimals=0), percent(b.acted, decimals=0), number(b.benefit, decimals=4),
         interval_text(b.interval, decimals=4), number(b.act_on_all, decimals=4)]
        for b in curve
    ]  # fmt: skip
    headers = ["Act from", "Acted on", "Net benefit", "Interval", "Act on all"]
    return section("Net benefit", table(headers, rows))


def intervention_text(report: InterventionReport) -> str:
    """Treated and untreated churn per tier, and the warnings."""
    rows = [
        [clipped(t.tier, 20), amount(t.treated), percent(t.treated_rate),
         percent_interval(t.treated_interval), amount(t.untreated), percent(t.untreated_rate),
         percent_interval(t.untreated_interval)]
        for t in report.tiers
    ]  # fmt: skip
    headers = ["Tier", "Treated", "Churn", "Interval", "Untreated", "Churn", "Interval"]
    notes = [wrapped(warning, indent="  ", first="- ") for warning in report.warnings]
    return section("With and without outreach", table(headers, rows), *notes)
