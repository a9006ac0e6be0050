"""What the commands that choose tiers print, as plain text of at most 100 columns."""

from collections.abc import Iterable, Mapping
from typing import Any

import tomli_w

from chs_ml.tiers import Tiers
from chs_ml.validation import Promise
from chs_ml.validation.text import clipped, number, percent, section, table


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
