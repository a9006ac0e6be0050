"""What is wrong with one column, whatever the outcome."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.checks.kinds import MOSTLY
from chs_ml.errors import first_few
from chs_ml.findings import Finding, error, note, warning
from chs_ml.metric import Direction, Kind, Metric
from chs_ml.values import read_numbers

Mask = NDArray[np.bool_]

IDENTIFIER_MIN_ROWS = 50


def check_values(name: str, series: pd.Series, *, values: Any, unreadable: Mask) -> list[Finding]:
    """Count what a column of numbers, yes/no or dates could not be read as.

    Parameters
    ----------
    name : str
        The metric.
    series : Series of shape (n,)
        As stored.
    values, unreadable : ndarray of shape (n,)
        What `read_values` made of it.
    """
    n = len(series)
    infinite = _infinite(series) & unreadable
    strange = unreadable & ~infinite
    blank = np.isnan(values) & ~unreadable
    findings = []
    if infinite.any():
        text = f"{name}: {infinite.sum():,} of {n:,} values are infinite; they count as missing."
        findings.append(warning("infinite-values", name, text, count=int(infinite.sum())))
    if strange.any():
        examples = first_few(pd.unique(series[strange]), limit=3)
        text = (
            f"{name}: {strange.sum():,} of {n:,} values cannot be read ({examples}); they count as missing. "
            f"Correct them, or declare the column's kind."
        )
        findings.append(warning("unreadable-values", name, text, count=int(strange.sum())))
    if blank.any():
        text = f"{name}: {blank.sum():,} of {n:,} values are blank and count as missing."
        findings.append(note("blank-values", name, text, count=int(blank.sum())))
    return findings


def _infinite(series: pd.Series) -> Mask:
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return np.zeros(len(series), dtype=bool)
    if pd.api.types.is_numeric_dtype(series.dtype):
        return np.isinf(read_numbers(series)[0])
    words = series.astype("str").str.strip().str.lower().str.lstrip("+-")
    return words.isin(["inf", "infinity"]).to_numpy(dtype=bool)


def is_identifier(codes: NDArray[np.intp], values: Any, kind: Kind) -> bool:
    """Whether a column names rows instead of measuring them.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Distinct values numbered, -1 for missing.
    values : ndarray of shape (n,)
        As read: floats, or labels.
    kind : Kind
        Categories with more than 95 % distinct values are names; numbers where all are distinct
        integers with hardly a gap.
    """
    known = codes >= 0
    n = int(known.sum())
    if n < IDENTIFIER_MIN_ROWS:
        return False
    distinct = np.count_nonzero(np.bincount(codes[known]))
    if kind is Kind.CATEGORY:
        return bool(distinct > MOSTLY * n)
    if kind is not Kind.NUMBER or distinct < n:
        return False
    numbers = values[known]
    return bool((numbers == np.round(numbers)).all() and n > MOSTLY * (np.ptp(numbers) + 1))


def check_direction(metric: Metric) -> list[Finding]:
    """Refuse a direction for categories, which have no order."""
    if not metric.is_category or metric.direction is Direction.UNKNOWN:
        return []
    text = (
        f"{metric.name}: direction = {metric.direction.value!r} cannot hold for a category: it has no order. "
        f"Remove the direction, or declare kind = 'number' if its values are numbers."
    )
    return [error("direction-on-category", metric.name, text)]
