"""The door of validation: columns are matched, coded and counted here, and judged everywhere else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from chs_ml.errors import NotEnoughData, TableError, first_few
from chs_ml.outcome import churn_codes
from chs_ml.validation.result import Array, Codes, Mask


@dataclass(frozen=True)
class Counts:
    """What became of the rows that were given.

    Attributes
    ----------
    rows : int
        Rows given.
    open : int
        Rows whose outcome is not yet known: they never judge.
    withheld : int
        Rows with a known outcome but without a score (withheld or invalid).
    without_probability : int
        Rows with outcome and score but without the probability that other rows have.
    judged, churned, accounts : int
        Rows judged, churns among them, distinct accounts among them.
    new_account : int
        Judged rows of accounts never seen in training; 0 where nobody said.
    withheld_churned : int
        Churns among the withheld rows.
    """

    rows: int
    open: int
    withheld: int
    without_probability: int
    judged: int
    churned: int
    accounts: int
    new_account: int = 0
    withheld_churned: int = 0

    @property
    def base_rate(self) -> float:
        """Churns per judged row."""
        return self.churned / self.judged

    @property
    def clustered(self) -> bool:
        """Whether an account appears more than once."""
        return self.accounts < self.judged


@dataclass(frozen=True)
class JudgedColumns:
    """Columns of the rows that judge, all of shape (n,).

    Attributes
    ----------
    churned : ndarray
        1.0 or 0.0.
    score : ndarray
        Larger = healthier.
    account : ndarray of int
        Account codes, 0 to n_accounts - 1.
    probability, value : ndarray or None
        Churn probability; value (currency a year), NaN where blank.
    segment : Series or None
        Segment labels; missing allowed.
    tier : Series or None
        Tier labels as given; missing allowed.
    new_account, treated : ndarray of bool or None
        Rows of accounts never seen in training; rows that were worked on.
    positions : ndarray of int
        Where the rows stand in the input.
    counts : Counts
        What became of the others.
    """

    churned: Array
    score: Array
    account: Codes
    probability: Array | None
    value: Array | None
    segment: pd.Series | None
    tier: pd.Series | None
    new_account: Mask | None
    positions: Codes
    counts: Counts
    treated: Mask | None = None


PARTS = ("score", "probability", "tier", "value", "account", "segment", "new_account", "treated")


def judged_columns(outcomes: Any, *, two_sided: bool = True, **columns: Any) -> JudgedColumns:
    """Match, code and count the columns of a validation.

    Parameters
    ----------
    outcomes : Series or array of shape (n,)
        Words or 0/1 as `chs_ml.outcome.churn_codes` reads them.
    two_sided : bool, default=True
        Whether rows that all had the same outcome are refused.
    columns : Series or array of shape (n,)
        By the names in `PARTS`, score always; None is not given. Series are matched to each other by
        index; arrays by position.

    Raises
    ------
    TableError
        Where indexes or lengths differ, or a column holds what it must not.
    NotEnoughData
        Where the judged rows lack churns or renewals.
    """
    strangers = set(columns) - set(PARTS)
    if strangers:
        raise TypeError(f"judged_columns takes {', '.join(PARTS)}; got also {first_few(strangers)}.")
    given = {"outcomes": outcomes, **{name: columns.get(name) for name in PARTS}}
    table = matched({name: column for name, column in given.items() if column is not None})
    churned = churn_codes(table["outcomes"])
    scores = numbers(table["score"], "score")
    chances = probabilities(table["probability"]) if "probability" in table else None
    known = ~np.isnan(churned)
    scored = known & ~np.isnan(scores)
    judged = scored if chances is None else scored & ~np.isnan(chances)
    rows = np.flatnonzero(judged)
    if two_sided or len(rows) == 0:
        check_two_sided(churned[rows])
    codes = account_codes(table.get("account"), rows)
    fresh = _mask(table, "new_account", rows)
    counts = Counts(
        rows=len(churned),
        open=int((~known).sum()),
        withheld=int((known & ~scored).sum()),
        withheld_churned=int(churned[known & ~scored].sum()),
        without_probability=int((scored & ~judged).sum()),
        judged=len(rows),
        churned=int(churned[rows].sum()),
        accounts=int(codes.max()) + 1,
        new_account=0 if fresh is None else int(fresh.sum()),
    )
    return JudgedColumns(
        churned=churned[rows],
        score=scores[rows],
        account=codes,
        probability=None if chances is None else chances[rows],
        value=_values(table["value"])[rows] if "value" in table else None,
        segment=_labels(table.get("segment"), rows),
        tier=_labels(table.get("tier"), rows),
        new_account=fresh,
        positions=rows,
        counts=counts,
        treated=_mask(table, "treated", rows),
    )


def matched(columns: Mapping[str, Any]) -> dict[str, pd.Series]:
    """Bring columns of shape (n,) into one row order.

    Series are matched by index: equal indexes, or the same distinct labels in another order. Arrays
    have no labels and stand in the order of the first Series.

    Raises
    ------
    TableError
        Where indexes or lengths differ; names the column and the first labels.
    """
    reference = next(((n, c) for n, c in columns.items() if isinstance(c, pd.Series)), None)
    index = pd.RangeIndex(len(next(iter(columns.values())))) if reference is None else reference[1].index
    anchor = next(iter(columns)) if reference is None else reference[0]
    return {name: _on_index(column, name, index, anchor) for name, column in columns.items()}


def _on_index(column: Any, name: str, index: pd.Index, anchor: str) -> pd.Series:
    if isinstance(column, pd.DataFrame):
        raise TableError(f"{name} must be one column, not a table of {column.shape[1]}: pass a Series.")
    if not isinstance(column, pd.Series):
        series = pd.Series(column)
        if len(series) != len(index):
            raise TableError(
                f"All columns must have one value per row: {anchor} has {len(index)}, "
                f"{name} has {len(series)}."
            )
        return series.reset_index(drop=True)
    if column.index.equals(index):
        return column.reset_index(drop=True)
    _check_same_labels(column.index, index, name, anchor)
    return column.reindex(index).reset_index(drop=True)


def _check_same_labels(found: pd.Index, index: pd.Index, name: str, anchor: str) -> None:
    if not (found.is_unique and index.is_unique):
        raise TableError(
            f"{name} and {anchor} must have the same index; they differ, and repeated labels cannot be "
            "matched. Set a unique index on both, or pass arrays in one row order."
        )
    strangers, lacking = found.difference(index, sort=False), index.difference(found, sort=False)
    if len(strangers) or len(lacking):
        raise TableError(
            f"{name} and {anchor} must have the same index: {len(lacking)} labels of {anchor} are not in "
            f"{name} ({first_few(lacking)}), {len(strangers)} of {name} are not in {anchor} "
            f"({first_few(strangers)}). Reindex one to the other, or pass arrays if the rows correspond."
        )


def numbers(series: pd.Series, name: str) -> Array:
    """Read a column of numbers of shape (n,); missing is NaN, infinite is refused."""
    read = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = (np.isnan(read) & series.notna().to_numpy()) | np.isinf(read)
    if bad.any():
        raise TableError(
            f"{name} must be a column of finite numbers; {int(bad.sum())} of {len(read)} are not: "
            f"{first_few(pd.unique(series[bad]).tolist())}."
        )
    return read


def probabilities(series: pd.Series, name: str = "probability") -> Array:
    """Read churn probabilities of shape (n,), each in [0, 1]; missing is NaN."""
    read = numbers(series, name)
    outside = (read < 0.0) | (read > 1.0)
    if outside.any():
        raise TableError(
            f"{name} must lie between 0 and 1; {int(outside.sum())} of {len(read)} do not: "
            f"{first_few(read[outside].tolist())}. A score in points goes into `score`."
        )
    return read


def _values(series: pd.Series) -> Array:
    read = numbers(series, "value")
    if (read < 0.0).any():
        raise TableError(
            f"value must not be negative; {int((read < 0.0).sum())} of {len(read)} are: "
            f"{first_few(read[read < 0.0].tolist())}. Leave credits and refunds out of an account's value."
        )
    return read


def check_two_sided(churned: Array) -> None:
    """Refuse rows that all had the same outcome."""
    churns = int(churned.sum())
    if churns == 0 or churns == len(churned):
        raise NotEnoughData(
            f"Judging needs churned and renewed accounts; of {len(churned)} rows with outcome and score "
            f"{churns} churned. Wait for more renewals, or widen the period."
        )


def account_codes(accounts: pd.Series | None, rows: Codes) -> Codes:
    """Codes 0 to G - 1 of the accounts of the rows; each row its own account where nobody said.

    Raises
    ------
    TableError
        Where an account is blank: it could not be clustered.
    """
    if accounts is None:
        return np.arange(len(rows), dtype=np.intp)
    codes, _ = pd.factorize(accounts.iloc[rows])
    blank = codes < 0
    if blank.any():
        raise TableError(
            f"Every judged row must name its account; {int(blank.sum())} do not, first at rows "
            f"{first_few(rows[blank].tolist())}. Fill them in, or leave `account` out if no account repeats."
        )
    return np.asarray(codes, dtype=np.intp)


def _labels(series: pd.Series | None, rows: Codes) -> pd.Series | None:
    return None if series is None else series.iloc[rows].reset_index(drop=True)


_TRUE = {
    "new_account": "true = never seen in training",
    "treated": "true = worked on between snapshot and outcome",
}


def _mask(table: Mapping[str, pd.Series], name: str, rows: Codes) -> Mask | None:
    if name not in table:
        return None
    series = table[name]
    if series.isna().any() or not set(pd.unique(series)) <= {True, False}:
        raise TableError(f"{name} must be true or false in every row: {_TRUE[name]}.")
    return series.to_numpy(dtype=bool)[rows]
