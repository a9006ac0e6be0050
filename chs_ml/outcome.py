"""What happened at a renewal, and its one coding: 1 churned, 0 kept, NaN not yet known."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.errors import TableError, first_few


class Outcome(StrEnum):
    """The renewal outcomes."""

    RENEWED = "renewed"
    CHURNED = "churned"
    CONTRACTED = "contracted"
    OPEN = "open"


CODES: dict[object, float] = {
    Outcome.RENEWED: 0.0,
    Outcome.CHURNED: 1.0,
    Outcome.CONTRACTED: 0.0,
    Outcome.OPEN: np.nan,
}


def churn_codes(outcomes: Any, *, contracted_is_churn: bool = False) -> NDArray[np.float64]:
    """Code renewal outcomes as 1 (churned), 0 (kept) or NaN (open: never trains, never judges).

    Parameters
    ----------
    outcomes : Series or array of shape (n,)
        The words renewed, churned, contracted and open in any case, or numbers and booleans with
        1 = churned. Missing values are open.
    contracted_is_churn : bool, default=False
        Whether a renewal at a smaller value counts as churn.

    Returns
    -------
    ndarray of shape (n,)
        1.0, 0.0 or NaN.

    Raises
    ------
    TableError
        Where a value is neither; names the first ones.
    """
    series = pd.Series(outcomes).reset_index(drop=True)
    if pd.api.types.is_bool_dtype(series.dtype) or pd.api.types.is_numeric_dtype(series.dtype):
        codes = np.array(series.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan), np.float64)
    else:
        codes = _coded_words(series, contracted_is_churn=contracted_is_churn)
    _check_codes(codes, series)
    return codes


def _coded_words(series: pd.Series, *, contracted_is_churn: bool) -> NDArray[np.float64]:
    codes: dict[object, float] = {**CODES, "0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0}
    if contracted_is_churn:
        codes[Outcome.CONTRACTED.value] = 1.0
    words = series.map(lambda value: value if pd.isna(value) else str(value).strip().lower())
    unknown = words.notna() & ~words.isin(list(codes))
    coded = np.array(words.map(codes), dtype=np.float64)
    coded[unknown.to_numpy()] = np.inf
    return coded


def _check_codes(codes: NDArray[np.float64], series: pd.Series) -> None:
    bad = ~(np.isnan(codes) | np.isin(codes, (0.0, 1.0)))
    if bad.any():
        found = first_few(pd.unique(series[bad]))
        raise TableError(
            f"Outcomes must be renewed, churned, contracted or open, or 0 and 1 with 1 = churned; "
            f"{int(bad.sum())} of {len(codes)} are not: {found}. "
            f"Name the value that means churn in the recipe ([data] churned = ...)."
        )


def coded_by_value(
    values: pd.Series, *, churned: object, renewed: Sequence[object] | None = None
) -> NDArray[np.float64]:
    """Code a column in which one value means churn.

    Parameters
    ----------
    values : Series of shape (n,)
        The outcome column as read; missing values are open.
    churned : object
        The value that means churn; compared as text.
    renewed : sequence, optional
        The values that mean renewed. Without it there may be only one other value.

    Returns
    -------
    ndarray of shape (n,)
        1.0, 0.0 or NaN.
    """
    words = values.map(lambda value: value if pd.isna(value) else plain_text(value))
    target = plain_text(churned)
    others = sorted(set(words.dropna()) - {target} - set(CODES))
    kept = {plain_text(value) for value in renewed} if renewed is not None else set(others[:1])
    strangers = [word for word in others if word not in kept]
    if strangers:
        raise TableError(
            f"With churned = {churned!r} the outcome column may hold one other value, or those named by "
            f"[data] renewed = [...]; found also {first_few(strangers)}. Say which of them mean renewed."
        )
    codes: dict[object, float] = {**CODES, **dict.fromkeys(kept, 0.0), target: 1.0}
    return np.asarray(words.map(codes).to_numpy(dtype=np.float64))


def plain_text(value: object) -> str:
    """The text of a value, the same for 1, 1.0, "1" and "1.0": a whole number has many spellings.

    >>> plain_text(1.0), plain_text("1.0"), plain_text(" Yes "), plain_text(True)
    ('1', '1', 'Yes', 'True')
    """
    if isinstance(value, float | np.floating):
        value = float(value)  # a float32 reads the same from every container
        return str(int(value)) if value.is_integer() else str(value)
    text = str(value).strip()
    whole = text.removesuffix(".0")
    return whole if whole != text and whole.removeprefix("-").isdecimal() else text


def outcome_reach(*, horizon_days: int, lead_days: int = 0, settle_days: int = 0) -> int:
    """Days to keep between a row and what it is trained for: it must lie **more** than these days before.

    The outcome window of a snapshot S ends on ``S + lead + horizon`` and must end before the first row that
    is judged; its outcome is known at the end of ``S + lead + horizon + settle``, and must be by the end of
    that first row's day. So a single day to settle, or none, asks for the same distance.

    Parameters
    ----------
    horizon_days, lead_days : int
        The outcome window: churn counts within the horizon, which begins after the lead time.
    settle_days : int
        Days after it until the outcome is known, such as the grace period of a renewal.
    """
    return lead_days + horizon_days + max(0, settle_days - 1)
