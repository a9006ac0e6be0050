"""Counting a portfolio chunk by chunk.

An account that stands in several rows counts once, by its latest snapshot (of equal or no dates, by its
last row). So one line per account is held, about 40 bytes; nothing else grows with the table. Accounts are
told apart by a 64-bit hash: among a million, two share one with a chance of three in a hundred million.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.health_model import CarriedColumns
from chs_ml.metric import Kind
from chs_ml.portfolio_summary.summary import AccountAtRisk, Expectation, PortfolioSummary, TierSummary
from chs_ml.scores import DEGRADED, INVALID, OK, WITHHELD
from chs_ml.tiers import Tiers
from chs_ml.values import read_values

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

TOP = 20
_FEW_LINES = 1 << 21
"""So many lines are held before looking for accounts that are there twice."""
STATUSES = (OK, DEGRADED, WITHHELD, INVALID)


@dataclass(frozen=True)
class _Lines:
    """What is remembered of each account; arrays of equal length."""

    account: NDArray[np.uint64]
    day: NDArray[np.int32]
    row: Integers
    probability: Array
    value: Array
    tier: NDArray[np.int16]

    def take(self, positions: NDArray[Any]) -> "_Lines":
        return _Lines(*(getattr(self, part.name)[positions] for part in fields(self)))

    def latest(self) -> "_Lines":
        """The last line of each account, by day and then by row; in the order that they stand here."""
        order = np.argsort(self.account)
        account = self.account[order]
        like_next = account[1:] == account[:-1]
        if not like_next.any():
            return self
        shared = order[np.append(like_next, False) | np.append(False, like_next)]
        shared = shared[np.lexsort((self.row[shared], self.day[shared], self.account[shared]))]
        account = self.account[shared]
        kept = np.ones(len(self.row), dtype=bool)
        kept[shared[:-1][account[1:] == account[:-1]]] = False
        return self.take(kept)

    @classmethod
    def none(cls) -> "_Lines":
        return cls(*(np.zeros(0, dtype=kind) for kind in ("u8", "i4", "i8", "f8", "f8", "i2")))

    def highest(self, size: Array, n: int) -> list[int]:
        """Rows of the n lines with the highest probability times size, of equals the earlier row."""
        risk = self.probability * size
        few = np.arange(len(risk))
        if len(risk) > n:
            few = np.flatnonzero(risk >= np.partition(risk, len(risk) - n)[len(risk) - n])
        return [int(row) for row in self.row[few[np.lexsort((self.row[few], -risk[few]))[:n]]]]

    def sizes(self, *, by_value: bool) -> Array:
        return np.nan_to_num(self.value) if by_value else np.ones(len(self.row))

    def scored(self) -> "_Lines":
        known = ~np.isnan(self.probability)
        return self if known.all() else self.take(known)

    @classmethod
    def joined(cls, parts: list["_Lines"]) -> "_Lines":
        """All lines together; the list is emptied, so that each column is freed once its copy stands."""
        columns = [[getattr(part, of.name) for part in parts] for of in fields(cls)]
        parts.clear()
        return cls(*(np.concatenate(columns.pop(0)) for _ in fields(cls)))


@dataclass
class PortfolioTally:
    """Counts a portfolio chunk by chunk.

    Parameters
    ----------
    tiers : Tiers
        The model's tiers.
    carried : CarriedColumns
        Which columns hold account, snapshot date and value; those that a table lacks are done without.
    """

    tiers: Tiers
    carried: CarriedColumns
    _rows: int = 0
    _statuses: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    _columns: set[str] = field(default_factory=set)
    _lines: list[_Lines] = field(default_factory=lambda: [_Lines.none()])
    _compacted: int = 0

    def add(self, frame: pd.DataFrame, scores: pd.DataFrame) -> list[int]:
        """Count a chunk.

        Parameters
        ----------
        frame : DataFrame of shape (n, any)
            As read.
        scores : DataFrame of n rows
            What `HealthModel.score` made of it.

        Returns
        -------
        list of int
            Rows, counted from 0 through all chunks, with the most at risk of this chunk; those of `top_rows`
            are likely to be among them.
        """
        row = np.arange(self._rows, self._rows + len(frame))
        self._rows += len(frame)
        self._columns |= set(frame.columns)
        for status, count in scores["status"].value_counts().items():
            self._statuses[str(status)] += int(count)
        score = scores["health_score"].to_numpy(dtype=np.float64)
        lines = _Lines(
            account=_keys(_column(frame, self.carried.account), row),
            day=_day_numbers(_column(frame, self.carried.snapshot_date), len(frame)),
            row=row,
            probability=scores["churn_probability"].to_numpy(dtype=np.float64),
            value=usable_values(frame, self.carried),
            tier=self.tiers.codes(score).astype(np.int16),
        )
        self._lines.append(lines)
        if sum(len(part.row) for part in self._lines) > max(2 * self._compacted, _FEW_LINES):
            self._compact()
        latest = lines.latest().scored()
        return latest.highest(latest.sizes(by_value=self._has_values), TOP)

    def _compact(self) -> _Lines:
        if len(self._lines) > 1:
            lines = _Lines.joined(self._lines).latest()
            self._lines, self._compacted = [lines], len(lines.row)
        return self._lines[0]

    @property
    def _has_values(self) -> bool:
        return self.carried.value in self._columns

    def top_rows(self, n: int = TOP) -> list[int]:
        """Rows, counted from 0, of the accounts with the most value at risk.

        Without values: likeliest to churn. The most comes first; of equals, the earlier row.
        """
        lines = self._scored()
        return lines.highest(lines.sizes(by_value=self._has_values), n)

    def _scored(self) -> _Lines:
        return self._compact().scored()

    def summary(self, top: Sequence[AccountAtRisk] = ()) -> PortfolioSummary:
        """Sum up what was counted; `top` are the accounts of `top_rows`, in that order."""
        lines = self._scored()
        ones, value = np.ones(len(lines.row)), np.nan_to_num(lines.value)
        known = self._has_values
        return PortfolioSummary(
            rows=self._rows,
            statuses=dict(self._statuses),
            accounts=len(lines.row),
            tiers=tuple(self._tier(i, lines, value) for i in range(len(self.tiers.names))),
            expected_churns=Expectation.of(lines.probability, ones),
            value_at_risk=Expectation.of(lines.probability, value) if known else None,
            value=float(np.sum(value)) if known else None,
            value_column=self.carried.value if known else None,
            top=tuple(top),
            notes=tuple(self._notes(lines)),
        )

    def _tier(self, code: int, lines: _Lines, value: Array) -> TierSummary:
        here = lines.tier == code
        p, v = lines.probability[here], value[here]
        return TierSummary(
            tier=self.tiers.names[code],
            accounts=int(here.sum()),
            share=float(here.mean()) if len(here) else 0.0,
            expected_churns=float(np.sum(p)),
            value=float(np.sum(v)) if self._has_values else None,
            value_at_risk=float(np.sum(p * v)) if self._has_values else None,
        )

    def _notes(self, lines: _Lines) -> list[str]:
        latest, dated = self._compact(), self.carried.snapshot_date in self._columns
        older = int(np.sum(lines.day < latest.day.max())) if dated and len(lines.row) else 0
        return [*self._notes_on_rows(lines, latest, older, dated=dated), *self._notes_on_values(lines)]

    def _notes_on_rows(self, lines: _Lines, latest: _Lines, older: int, *, dated: bool) -> list[str]:
        notes = []
        if len(latest.row) < self._rows:
            which = "its latest snapshot" if dated else "its last row"
            notes.append(
                f"{self._rows:,} rows are of {len(latest.row):,} accounts; each counts once, by {which}."
            )
        if older:
            notes.append(
                f"{older:,} of {len(lines.row):,} accounts have no snapshot on the newest day and count by "
                "an older one. Leave out accounts that have left."
            )
        if len(lines.row) < len(latest.row):
            notes.append(f"{len(latest.row) - len(lines.row):,} accounts have no score and count nowhere.")
        return notes

    def _notes_on_values(self, lines: _Lines) -> list[str]:
        if self.carried.value is None:
            return []
        if not self._has_values:
            return [f"The table has no column {self.carried.value!r}, so nothing is said about value."]
        without = int(np.isnan(lines.value).sum())
        if not without:
            return []
        return [f"{without:,} accounts add nothing to the value: blank, unreadable or negative."]


def _column(frame: pd.DataFrame, name: str | None) -> pd.Series | None:
    return frame[name] if name is not None and name in frame.columns else None


def _keys(account: pd.Series | None, row: Integers) -> NDArray[np.uint64]:
    """A number per account; rows without an id are accounts of their own."""
    own: NDArray[np.uint64] = pd.util.hash_array(row)
    if account is None:
        return own
    text = account.astype("str").to_numpy(dtype=object, na_value="")
    named: NDArray[np.uint64] = pd.util.hash_array(text, categorize=False)  # most stand there once
    return np.where(account.isna().to_numpy(), own, named)


def _day_numbers(snapshot: pd.Series | None, n: int) -> NDArray[np.int32]:
    if snapshot is None:
        return np.zeros(n, dtype=np.int32)
    dates = pd.to_datetime(snapshot, errors="coerce", format="ISO8601")
    days = dates.to_numpy().astype("datetime64[D]")
    # a row without a date is earlier than any other
    return np.where(np.isnat(days), np.iinfo(np.int32).min, days.astype(np.int64)).astype(np.int32)


def usable_values(frame: pd.DataFrame, carried: CarriedColumns) -> Array:
    """Values of the accounts of shape (n,); NaN where blank, unreadable or negative, or without a column."""
    value = _column(frame, carried.value)
    if value is None:
        return np.full(len(frame), np.nan)
    read, _ = read_values(value, Kind.NUMBER)
    return np.where(read >= 0.0, read, np.nan)
