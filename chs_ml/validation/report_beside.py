"""Value, time and outreach of a report, as blocks."""

from collections.abc import Iterator, Mapping, Sequence

from chs_ml.validation.blocks import Block, Bullets, Grid, block
from chs_ml.validation.capacity import CapacityValue
from chs_ml.validation.capture import DAYS_BEFORE, Capture, FalseAlarms
from chs_ml.validation.intervention import InterventionReport
from chs_ml.validation.migration import HysteresisCost
from chs_ml.validation.net_benefit import NetBenefit
from chs_ml.validation.over_time import GreenChurn, OverTime
from chs_ml.validation.profit import ExpectedProfit
from chs_ml.validation.text import amount, clipped, interval_text, number, percent, percent_interval
from chs_ml.validation.worth import Worth

GREEN_SHOWN = 20


def worth_blocks(found: Worth) -> Iterator[Block]:
    """Value at capacity and profit in sentences, then the net benefit over thresholds."""
    said = [] if found.capacity is None else [capacity_sentence(found.capacity)]
    if found.profit is not None:
        said.append(f"{found.profit_of}: {profit_sentence(found.profit)}")
    if said:
        yield block("Value", *said)
    if found.net_benefit:
        yield net_benefit_block(found.net_benefit)


def capacity_sentence(found: CapacityValue) -> str:
    """What calling the riskiest accounts reaches."""
    low_high = interval_text(found.churners_interval, decimals=1)
    periods = f" of each period ({found.called:,} calls)" if found.called > found.capacity else ""
    text = (
        f"Calling the {found.capacity:,} riskiest accounts{periods} reaches "
        f"{found.churners:.1f} churners ({low_high}), {found.recall:.0%} of all; as many random calls reach "
        f"{found.at_random:.1f}."
    )
    if found.value == found.value:
        text += f" They hold {amount(found.value)} of value, {found.value_share:.0%} of what churned."
    return text


def profit_sentence(found: ExpectedProfit) -> str:
    """Expected maximum profit of a campaign."""
    return (
        f"The best campaign by this score earns {found.per_account:,.2f} per account "
        f"({interval_text(found.interval, decimals=2)}), contacting {found.contacted:.0%}; a random list "
        f"earns {found.per_account_at_random:,.2f}, a perfect score {found.per_account_perfect:,.2f}."
    )


def net_benefit_block(curve: Sequence[NetBenefit]) -> Block:
    """Net benefit over thresholds; no action has 0."""
    rows = [
        [percent(b.threshold, decimals=0), percent(b.acted, decimals=0), number(b.benefit, decimals=4),
         interval_text(b.interval, decimals=4), number(b.act_on_all, decimals=4)]
        for b in curve
    ]  # fmt: skip
    said = (
        "Acting on every account from a churn probability on: churners reached per account, less accounts "
        "called in vain at that threshold's price. Above 0 it beats calling no one."
    )
    headers = ["Act from", "Acted on", "Net benefit", "Interval", "Act on all"]
    return block("Net benefit", said, Grid(headers, rows))


def time_blocks(found: OverTime) -> Iterator[Block]:
    """Capture, green churn, false alarms and hysteresis where churn is known; moves in any case."""
    if found.capture:
        yield capture_block(found.capture)
        yield green_block(found.green_churn)
    if found.false_alarms is not None:
        yield block("False alarms", false_alarms_sentence(found.false_alarms))
    yield migration_block(found.migration)
    yield restless_block(found)
    if found.hysteresis:
        yield hysteresis_block(found.hysteresis)


def capture_block(captures: Sequence[Capture]) -> Block:
    """Which tier churned accounts were in, some days before."""
    rows = [
        [f"{c.days_before} days", amount(c.churned), amount(c.known), percent(c.below_healthy, decimals=0),
         percent_interval(c.below_healthy_interval, decimals=0), percent(c.critical, decimals=0),
         percent_interval(c.critical_interval, decimals=0)]
        for c in captures
    ]  # fmt: skip
    low = "Below healthiest"
    headers = ["Before churn", "Churned", "Known", low, "Interval", "Least healthy", "Interval"]
    return block("Seen coming", Grid(headers, rows))


def green_block(green: Sequence[GreenChurn]) -> Block:
    """Accounts that churned from the healthiest tier, with what drove their score where a model says it."""
    days, title = DAYS_BEFORE[1], "Green churn"
    if not green:
        return block(title, f"No account churned from the healthiest tier ({days} days before).")
    shown = green[:GREEN_SHOWN]
    known = any(one.coverage == one.coverage for one in green)
    rows = [
        [clipped(one.account, 24), one.churn_date, one.snapshot_date, number(one.score, decimals=1),
         *([percent(one.coverage, decimals=0)] if known else [])]
        for one in shown
    ]  # fmt: skip
    headers = ["Account", "Churned on", "Snapshot", "Score", *(["Coverage"] if known else [])]
    said = f"{len(green):,} accounts churned from the healthiest tier ({days} days before)."
    more = f"... and {len(green) - len(shown):,} more." if len(green) > len(shown) else ""
    drivers = [f"{one.account}: {'; '.join(one.reasons) or 'nothing'}" for one in shown] if known else []
    return block(title, said, Grid(headers, rows), more, *([Bullets(drivers)] if drivers else []))


def false_alarms_sentence(found: FalseAlarms) -> str:
    """Alarms that no churn followed."""
    if not found.alarms:
        return f"No alarm could be judged yet; {found.open:,} are still open."
    return (
        f"{percent(found.false_share, decimals=0)} of {found.alarms:,} alarms were not followed by churn "
        f"({percent_interval(found.interval, decimals=0)}); {found.per_account_year:.2f} alarms per account "
        f"and year; {found.open:,} alarms are still open."
    )


def migration_block(moves: Mapping[str, Mapping[str, int]]) -> Block:
    """Moves from (rows) to (columns)."""
    names = list(moves)
    rows = [[clipped(name, 16), *(amount(moves[name][to]) for to in names)] for name in names]
    headers = ["From / to", *(clipped(name, 16) for name in names)]
    return block("Moves between tiers", Grid(headers, rows))


def restless_block(found: OverTime) -> Block:
    """How often the tier changes, and whether the newest scores moved."""
    moves = found.flapping
    said = (
        f"{moves.changes:,} of {moves.moves:,} moves change the tier ({percent(moves.change_rate)}); "
        f"{percent(moves.flapping_rate, decimals=0)} of the changes are taken back by the next snapshot."
    )
    if not moves.moves:
        said = "No account has two snapshots, so nothing moved."
    newest = (
        "Whether the newest scores moved is not judged: that needs two days of ten scores each."
        if found.stability is None
        else f"Newest snapshot against the one before: {found.stability.sentence}"
    )
    return block("Restlessness", said, newest)


def hysteresis_block(costs: Sequence[HysteresisCost]) -> Block:
    """What hysteresis saves in alarms and costs in delay."""
    rows = [
        [f"{c.margin:g} points, {c.readings} readings", number(c.alarms_per_account_year, decimals=2),
         percent(c.flapping_rate, decimals=0), percent(c.captured, decimals=0),
         number(c.delay_days, decimals=1), amount(c.lost_alarms)]
        for c in costs
    ]  # fmt: skip
    headers = ["Hysteresis", "Alarms a year", "Taken back", "Captured", "Delay, days", "Lost alarms"]
    return block("What hysteresis costs", Grid(headers, rows))


def intervention_block(report: InterventionReport) -> Block:
    """Treated and untreated churn per tier, what the tests say, and the warnings."""
    rows = [
        [clipped(t.tier, 20), amount(t.treated), percent(t.treated_rate),
         percent_interval(t.treated_interval), amount(t.untreated), percent(t.untreated_rate),
         percent_interval(t.untreated_interval)]
        for t in report.tiers
    ]  # fmt: skip
    headers = ["Tier", "Treated", "Churn", "Interval", "Untreated", "Churn", "Interval"]
    said = [test.sentence for test in report.tests] + list(report.warnings)
    return block("With and without outreach", Grid(headers, rows), Bullets(said))
