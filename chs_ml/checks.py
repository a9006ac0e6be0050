"""What a column of the table is, and what is wrong with it.

Pure functions from columns to kinds, statistics and findings; `chs_ml.dataset` puts them together.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.errors import first_few
from chs_ml.findings import Finding, error, warning
from chs_ml.inputs import BLANKS, number_in, read_numbers, read_values, yes_no_in
from chs_ml.metric import Direction, Kind, Metric

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOSTLY = 0.95
LEAK_AUC = 0.99
STRONG_AUC = 0.90
LEAK_MIN_EACH = 10
IDENTIFIER_MIN_ROWS = 50
_LOOK_AT_FIRST = 200


# --- kinds ---


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


# --- one column ---


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
        findings.append(warning("blank-values", name, text, count=int(blank.sum())))
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


# --- one column against the outcome ---


def rank_auc(values: Array, churned: Array) -> float:
    """AUC of a column of numbers as a risk score, where missing may be the riskiest or the safest.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN for missing.
    churned : ndarray of shape (n,)
        1 and 0; both must occur.

    Returns
    -------
    float
        In [.5, 1]: the larger of AUC and 1 - AUC, and of both places for the missing values, so that
        a column that is filled in only after a churn is seen too.
    """
    if not np.isnan(values).any():
        auc = _auc(values, churned)
        return max(auc, 1.0 - auc)
    low, high = (_auc(np.where(np.isnan(values), end, values), churned) for end in (-np.inf, np.inf))
    return max(low, 1.0 - low, high, 1.0 - high)


def _auc(values: Array, churned: Array) -> float:
    """Mann-Whitney statistic over pairs, ties count half."""
    order = np.argsort(values)
    ranked, bad = values[order], churned[order] == 1.0
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    churns = np.add.reduceat(bad.astype(np.float64), starts)
    kept = np.diff(np.r_[starts, len(ranked)]) - churns
    below = np.cumsum(kept) - kept
    return float(churns @ (below + kept / 2.0) / (churns.sum() * kept.sum()))


def category_auc(codes: NDArray[np.intp], churned: Array, *, half: Mask) -> float:
    """AUC of a column of categories, each coded by its churn rate in the other half of the accounts.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Numbered categories, -1 for missing, which is a category of its own.
    churned : ndarray of shape (n,)
        1 and 0.
    half : ndarray of bool, shape (n,)
        One half of the accounts. A category's rate never contains the row that it is given to:
        otherwise many small categories would look like a leak.

    Returns
    -------
    float
        Mean over the halves, in [0, 1]; NaN where a half lacks churns or renewals.
    """
    aucs = [_coded_auc(codes + 1, churned, rows=rows) for rows in (half, ~half)]
    return float(np.mean(aucs))


def _coded_auc(codes: NDArray[np.intp], churned: Array, *, rows: Mask) -> float:
    if rows.all() or len(np.unique(churned[rows])) < 2:
        return float("nan")
    size = int(codes.max()) + 1
    n = np.bincount(codes[~rows], minlength=size)
    churns = np.bincount(codes[~rows], weights=churned[~rows], minlength=size)
    rates = (churns + churned[~rows].mean()) / (n + 1.0)
    return _auc(rates[codes[rows]], churned[rows])


def check_leak(name: str, auc: float) -> list[Finding]:
    """Name a metric that alone all but separates churned accounts from the others."""
    if not auc >= STRONG_AUC:
        return []
    if auc >= LEAK_AUC:
        text = (
            f"{name} alone separates churned accounts from the others (AUC {auc:.3f}): a suspected leak. "
            f"Was it known at the snapshot? If not, add it to [data] ignore."
        )
        return [warning("suspected-leak", name, text)]
    text = (
        f"{name} alone tells churned accounts from the others unusually well (AUC {auc:.3f}). "
        f"Make sure that it was known at the snapshot."
    )
    return [warning("strong-alone", name, text)]


def single_auc(metric: Metric, *, values: Any, churned: Array, half: Mask) -> float:
    """AUC of one metric alone, NaN where fewer than ten churns or renewals could tell.

    Parameters
    ----------
    metric : Metric
        What the column is.
    values : ndarray of shape (n,)
        As read.
    churned : ndarray of shape (n,)
        1, 0 or NaN; open rows do not count.
    half : ndarray of bool, shape (n,)
        For `category_auc`.
    """
    known = ~np.isnan(churned)
    outcome = churned[known]
    if min(outcome.sum(), len(outcome) - outcome.sum()) < LEAK_MIN_EACH:
        return float("nan")
    if not metric.is_category:
        return rank_auc(values[known], outcome)
    codes = pd.factorize(values[known])[0]
    return category_auc(codes, outcome, half=half[known])


# --- all of it, for one metric ---


@dataclass(frozen=True)
class Facts:
    """What the checks of a metric look at beside its column.

    Attributes
    ----------
    snapshot : Series of datetime64, shape (n,), or None
        Snapshot dates.
    churned : ndarray of shape (n,)
        1, 0, or NaN for open.
    first : ndarray of bool, shape (n,)
        The first row of each account.
    half : ndarray of bool, shape (n,)
        One half of the accounts.
    """

    snapshot: pd.Series | None
    churned: Array
    first: Mask
    half: Mask

    @classmethod
    def of(cls, account: pd.Series, snapshot: pd.Series | None, churned: Array) -> "Facts":
        """Gather the facts from the keys and outcomes of n rows."""
        numbers, names = pd.factorize(account)
        half = np.random.default_rng(0).permutation(len(names)) % 2 == 0
        return cls(snapshot, churned, ~account.duplicated().to_numpy(), half[numbers])

    @property
    def row_sets(self) -> list[Any]:
        """All rows, and one row per account: a name repeats from snapshot to snapshot."""
        return [slice(None)] if self.first.all() else [slice(None), self.first]

    @property
    def judged(self) -> Mask:
        """Rows with a known outcome; all rows where there are none."""
        known = ~np.isnan(self.churned)
        return known if known.any() else ~known


def check_metric(
    series: pd.Series, metric: Metric, *, facts: Facts, declared: bool
) -> tuple[bool, list[Finding]]:
    """Check one column that would be a metric.

    Parameters
    ----------
    series : Series of shape (n,)
        As stored.
    metric : Metric
        How it is to be read.
    facts : Facts
        Dates, outcomes and accounts of the rows.
    declared : bool
        Whether the recipe declares it; then it stays even if it looks like an identifier.

    Returns
    -------
    fits : bool
        Whether it can be learned from.
    findings : list of Finding
        What is to be said about it.
    """
    name = metric.name
    if holds_lists(series):
        return False, [warning("not-a-value", name, f"{name} holds lists, not values; it is left out.")]
    if metric.kind is Kind.DATE and facts.snapshot is None:
        text = f"{name} holds dates, and no [data] snapshot_date says how long ago they were; it is left out."
        return False, [warning("date-without-snapshot", name, text)]
    values, unreadable = read_values(series, metric.kind, facts.snapshot)
    findings = check_direction(metric)
    if not metric.is_category:
        findings += check_values(name, series, values=values, unreadable=unreadable)
    codes = pd.factorize(values)[0]
    useless = _useless(name, codes[facts.judged])
    if useless:  # how many blanks is then beside the point
        return False, [*(found for found in findings if found.code != "blank-values"), *useless]
    if any(is_identifier(codes[rows], values[rows], metric.kind) for rows in facts.row_sets):
        findings.append(_identifier(name, declared=declared))
        if not declared:
            return False, findings
    auc = single_auc(metric, values=values, churned=facts.churned, half=facts.half)
    return True, [*findings, *check_leak(name, auc)]


def _useless(name: str, codes: NDArray[np.intp]) -> list[Finding]:
    if (codes < 0).all():
        text = f"{name} has no value in any row with a known outcome; it is left out."
        return [warning("all-missing", name, text)]
    if (codes == codes[0]).all():
        return [warning("constant", name, f"{name} has the same value in every row; it is left out.")]
    return []


def _identifier(name: str, *, declared: bool) -> Finding:
    what_now = (
        "it stays because [metrics] declares it."
        if declared
        else "it is left out. Declare it in [metrics] if it measures something."
    )
    return warning("identifier-like", name, f"{name} looks like a name or a number of its row; {what_now}")
