"""What the judging commands print, as plain text of at most 100 columns."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import tomli_w

from chs_ml.cli.beside_verdict import OverTime, Worth
from chs_ml.tiers import Tiers
from chs_ml.validation import Promise
from chs_ml.validation.capture import DAYS_BEFORE
from chs_ml.validation.plain_tables import (
    capacity_text,
    capture_text,
    false_alarms_text,
    hysteresis_text,
    migration_text,
    net_benefit_text,
    profit_text,
)
from chs_ml.validation.text import clipped, number, percent, section, table, wrapped

GREEN_SHOWN = 20


def worth_text(found: Worth) -> str:
    """Value at capacity and profit in sentences, then the net benefit over thresholds."""
    lines = [capacity_text(found.capacity)] if found.capacity is not None else []
    if found.profit is not None:
        lines.append(f"{found.profit_of}: {profit_text(found.profit)}")
    blocks = [section("Value", *lines)] if lines else []
    return "\n\n".join([*blocks, *([net_benefit_text(found.net_benefit)] if found.net_benefit else [])])


def time_text(found: OverTime) -> str:
    """Capture, green churn, false alarms and hysteresis where churn is known; moves in any case."""
    blocks = [capture_text(found.capture)] if found.capture else []
    if found.green is not None:
        blocks.append(_green_text(found.green))
    if found.false_alarms is not None:
        blocks.append(section("False alarms", false_alarms_text(found.false_alarms)))
    blocks += [migration_text(found.migration), _restless_text(found)]
    if found.hysteresis:
        blocks.append(hysteresis_text(found.hysteresis))
    return "\n\n".join(blocks)


def _green_text(green: pd.DataFrame) -> str:
    days = DAYS_BEFORE[1]
    title = "Green churn"
    if green.empty:
        return section(title, f"No account churned from the healthiest tier ({days} days before).")
    has_reasons = "reasons" in green.columns
    rows = [
        [clipped(str(one["account"]), 24), str(one["churn_date"].date()), str(one["snapshot_date"].date()),
         number(one["score"], decimals=1), *([percent(one["coverage"], decimals=0)] if has_reasons else [])]
        for one in green.head(GREEN_SHOWN).to_dict("records")
    ]  # fmt: skip
    headers = ["Account", "Churned on", "Snapshot", "Score", *(["Coverage"] if has_reasons else [])]
    rest = len(green) - len(rows)
    more = f"... and {rest:,} more." if rest else ""
    said = f"{len(green):,} accounts churned from the healthiest tier ({days} days before)."
    return section(title, said, table(headers, rows), more, *_driver_lines(green, shown=has_reasons))


def _driver_lines(green: pd.DataFrame, *, shown: bool) -> Iterable[str]:
    if not shown:
        return ()
    return (
        wrapped(f"{one['account']}: {'; '.join(one['reasons']) or 'nothing'}", indent="    ", first="  ")
        for one in green.head(GREEN_SHOWN).to_dict("records")
    )


def _restless_text(found: OverTime) -> str:
    moves = found.flapping
    lines = [
        f"{moves.changes:,} of {moves.moves:,} moves change the tier ({percent(moves.change_rate)}); "
        f"{percent(moves.flapping_rate, decimals=0)} of the changes are taken back by the next snapshot."
    ]
    if found.stability is not None:
        lines.append(f"Newest snapshot against the one before: {found.stability.sentence}")
    return section("Restlessness", *(wrapped(line) for line in lines))


def tiers_block(tiers: Tiers) -> str:
    """Tiers as a recipe has them, to the last digit: bounds are inclusive."""
    return tomli_w.dumps({"tiers": dict(zip(tiers.names, tiers.lower_bounds, strict=True))})


def promise_block(promise: Promise) -> str:
    """A promise as a recipe has it."""
    said = {"tier": promise.tier, "at_most": promise.at_most, "confidence": promise.confidence}
    return f"[[validation.promises]]\n{tomli_w.dumps(said)}"


def cut_text(rows: Iterable[Mapping[str, Any]], title: str) -> str:
    """What tiers hold."""
    body = [
        [clipped(row["tier"], 24), number(row["lower_bound"], decimals=1), f"{row['rows']:,}",
         percent(row["share"], decimals=0), f"{row['churned']:,}", percent(row["churn_rate"])]
        for row in rows
    ]  # fmt: skip
    return section(title, table(["Tier", "From", "Rows", "Share", "Churned", "Churn"], body))
