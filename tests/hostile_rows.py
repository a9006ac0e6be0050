"""Rows as production brings them, for the parity of all doors."""

import math
from typing import Any

import numpy as np
import pandas as pd

from tests.small_model import METRICS, customers

SCORES = {"churn_probability": "f", "health_score": "f", "tier": "s", "coverage": "f", "status": "s",
          "status_detail": "s"}  # fmt: skip

NUMBERS = ["usage_days", "csat", "overdue_days", "tickets_open"]
WORDS = ["sponsor", "contract_term"]
STRANGE_NUMBERS = [
    "", " ", "12", " 7.5 ", "1e3", "-0", "1e400", "a dozen", "NaN", "N/A", "inf", "1,5", "0x10", "½", "1_000",
    "9007199254740993", "4.9e-324", "true", "２", "+3",
]  # fmt: skip
STRANGE_WORDS = [
    "", " ", "never seen", "YES", "yes ", "No", "1", "0", "1.0", "true", "n/a", "None", "Ünïcode", "a,b",
    'a "quote"', "new\nline", "yearly ", "\u200b", "nan", "=1+1",
]  # fmt: skip


def hostile_table(rows: int, *, seed: int = 0) -> pd.DataFrame:
    """Customers with gaps, text for numbers, new categories absurd sizes; cells are text or missing."""
    rng = np.random.default_rng(seed)
    base = customers()[["account_id", "snapshot_date", "name", *METRICS]]
    picked = base.iloc[rng.integers(0, len(base), rows)].reset_index(drop=True).astype(object)
    picked["snapshot_date"] = [str(day.date()) for day in pd.to_datetime(picked["snapshot_date"])]
    for names, strange in ((NUMBERS, STRANGE_NUMBERS), (WORDS, STRANGE_WORDS)):
        for name in names:
            hit = rng.random(rows)
            words = rng.choice(np.array(strange, dtype=object), rows)
            cells = [None if _blank(value) else str(value) for value in picked[name]]
            picked[name] = [
                word if h < 0.15 else None if h < 0.22 else cell
                for h, word, cell in zip(hit, words, cells, strict=True)
            ]
    carried = small_keep()
    for name in carried:
        if name not in picked:
            picked[name] = "kept"
    # a CSV has one way to say that a cell is empty
    return picked.replace({"": None}).astype("str")


def small_keep() -> tuple[str, ...]:
    """Columns that the small model carries to its output."""
    from tests.small_model import small_model

    return small_model().carried.keep


def comparable(table: Any) -> list[tuple[Any, ...]]:
    """Scores as plain values that are equal where every bit is, missing as None."""
    lists = [[_plain(value) for value in table[name].tolist()] for name in SCORES]
    return list(zip(*lists, strict=True))


def _plain(value: Any) -> Any:
    return None if _blank(value) else value.hex() if isinstance(value, float) else value


def _blank(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
