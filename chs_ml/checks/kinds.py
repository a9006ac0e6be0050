"""How the values of a column are to be read."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.metric import Kind
from chs_ml.values import BLANKS, number_in, read_numbers, yes_no_in

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOSTLY = 0.95
_LOOK_AT_FIRST = 200


def infer_kind(series: pd.Series) -> Kind:
    """Infer how the values of a column are to be read.

    Parameters
    ----------
    series : Series of shape (n,)
        Any dtype.

    Returns
    -------
    Kind
        Yes/no for booleans and for two values that are yes/no words, or 0 and 1; number where the
        dtype is numeric or 95 % of the values that are not blank are numbers in text; date where the
        dtype is a datetime or as many are ISO dates; else category.
    """
    dtype = series.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return Kind.YES_NO
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return Kind.DATE
    if pd.api.types.is_numeric_dtype(dtype):
        return Kind.YES_NO if _is_zero_one(read_numbers(series)[0]) else Kind.NUMBER
    return Kind.CATEGORY if holds_lists(series) else _kind_of_text(series)


def _kind_of_text(series: pd.Series) -> Kind:
    if not _are_numbers(series.dropna().head(_LOOK_AT_FIRST)).any():
        return _kind_of_words(series)
    values, bad = read_numbers(series)
    if bad.sum() > (1.0 - MOSTLY) * (bad | ~np.isnan(values)).sum():
        return _kind_of_words(series)
    return Kind.YES_NO if _is_zero_one(values) and not bad.any() else Kind.NUMBER


def _is_zero_one(values: Array) -> bool:
    known = values[~np.isnan(values)]
    return bool(np.isin(known, (0.0, 1.0)).all() and np.ptp(known) > 0) if len(known) else False


def _kind_of_words(series: pd.Series) -> Kind:
    codes, words = pd.factorize(series)
    plain = [str(word).strip() for word in words]
    filled = np.array([word.lower() not in BLANKS for word in plain], dtype=bool)
    count = np.bincount(codes[codes >= 0], minlength=len(words)) * filled
    if not count.any():
        return Kind.NUMBER  # nothing to see; it is dropped as all missing
    if _are_yes_and_no([word for word, is_filled in zip(plain, filled, strict=True) if is_filled]):
        return Kind.YES_NO
    if count @ _are_numbers(words) >= MOSTLY * count.sum():
        return Kind.NUMBER
    return Kind.DATE if count @ _are_dates(plain) >= MOSTLY * count.sum() else Kind.CATEGORY


def _are_yes_and_no(words: list[str]) -> bool:
    read = {yes_no_in(word) for word in words[:20]}  # more spellings than that are no yes/no
    return len(words) <= len(words[:20]) and read == {0.0, 1.0}


def _are_numbers(words: Any) -> Mask:
    read = [number_in(word) for word in words]
    return np.array([value is not None for value in read], dtype=bool)


def _are_dates(words: list[str]) -> Mask:
    text = pd.Series(words, dtype="str")
    shaped = text.str.match(r"\d{4}-\d{2}-\d{2}(?:[T ].*)?$").to_numpy(dtype=bool)
    if not shaped.any():
        return shaped
    dates = pd.to_datetime(text.where(shaped), errors="coerce", format="ISO8601", utc=True)
    return dates.notna().to_numpy()


def holds_lists(series: pd.Series) -> bool:
    """Whether a column holds lists, mappings or arrays instead of single values."""
    if series.dtype != object:
        return False
    known = series.dropna()
    return bool(len(known)) and isinstance(known.iloc[0], list | dict | tuple | set | np.ndarray)
