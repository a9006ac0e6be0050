"""Scores set by hand, and exceptions: who, what, from when, until when, why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.errors import ScorecardError, TableError, first_few
from chs_ml.outcome import plain_text
from chs_ml.values import calendar_days

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Override:
    """What somebody set by hand for one account.

    Attributes
    ----------
    account : str
        Account id.
    until : date
        Last day on which it holds.
    points : float, optional
        The card's own points; None is an exception: the measure counts as missing.
    measure : str
        Name of the measure; empty for the score as a whole.
    start : date, optional
        First day on which it holds; None: always held.
    reason : str
        Why.
    """

    account: str
    until: date
    points: float | None = None
    measure: str = ""
    start: date | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if self.points is None and not self.measure:
            raise ScorecardError(
                f"An exception must name its measure; the one of account {self.account!r} does not."
            )
        if self.points is not None and not np.isfinite(self.points):
            raise ScorecardError(
                f"The points of an override must be finite; got {self.points} for {self.account!r}."
            )
        if self.start is not None and self.start > self.until:
            raise ScorecardError(
                f"An override must end after it starts; that of account {self.account!r} holds from "
                f"{self.start} "
                f"until {self.until}."
            )

    def holds(self, days: NDArray[np.datetime64]) -> Mask:
        """Whether it holds on days of shape (n,)."""
        inside = days <= np.datetime64(self.until, "D")
        return np.asarray(inside if self.start is None else inside & (days >= np.datetime64(self.start, "D")))

    @property
    def remark(self) -> str:
        """What the row says."""
        what = f"{self.measure} " if self.measure else ""
        kind = "exception" if self.points is None else "override"
        return f"{what}{kind} until {self.until.isoformat()}" + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True)
class Overridden:
    """The overrides that hold, each with its rows, in the order given: later ones win."""

    applied: tuple[tuple[Override, Mask], ...]

    @classmethod
    def of(
        cls, overrides: Sequence[Override], accounts: pd.Series, days: NDArray[np.datetime64]
    ) -> "Overridden":
        """Find the rows of each override; `accounts` and `days` have shape (n,)."""
        rows: dict[str, list[int]] = {}
        wanted = {o.account for o in overrides}
        for i, name in enumerate(accounts.map(plain_text)):
            if name in wanted:
                rows.setdefault(name, []).append(i)
        found = []
        for override in overrides:
            mask = np.zeros(len(accounts), dtype=bool)
            mask[rows.get(override.account, [])] = True
            mask &= override.holds(days)
            if mask.any():
                found.append((override, mask))
        return cls(tuple(found))

    def on_measures(self, bare: Array, names: Sequence[str]) -> Array:
        """Points of shape (n, k) with what was set by hand; exceptions are NaN."""
        changed = bare.copy(order="F")
        for override, mask in self.applied:
            if override.measure:
                points = np.nan if override.points is None else override.points
                changed[mask, names.index(override.measure)] = points
        return changed

    def on_score(self, n: int) -> Array:
        """Own points of shape (n,) that were set for the score as a whole; NaN where none were."""
        score = np.full(n, np.nan)
        for override, mask in self.applied:
            if not override.measure and override.points is not None:
                score[mask] = override.points
        return score


COLUMNS = ("account", "measure", "points", "from", "until", "reason")


def overrides_from(table: pd.DataFrame) -> tuple[Override, ...]:
    """Read overrides from a table.

    Parameters
    ----------
    table : DataFrame
        Columns ``account`` and ``until`` (YYYY-MM-DD); optional ``measure`` (blank: the whole score),
        ``points`` (blank: an exception), ``from``, ``reason``.

    Raises
    ------
    TableError
        Where a column is missing or a date cannot be read.
    """
    lacking = [name for name in ("account", "until") if name not in table.columns]
    if lacking:
        raise TableError(
            f"A table of overrides must have the columns {first_few(COLUMNS, limit=6)}; missing: "
            f"{first_few(lacking)}."
        )
    until = calendar_days(table["until"])
    if np.isnat(until).any():
        bad = table.loc[np.isnat(until), "account"].tolist()
        raise TableError(
            f"Every override must say until when it holds (YYYY-MM-DD); these do not: {first_few(bad)}."
        )
    start = (
        calendar_days(table["from"])
        if "from" in table.columns
        else np.full(len(table), np.datetime64("NaT", "D"))
    )
    text = {name: _texts(table, name) for name in ("account", "measure", "points", "reason")}
    return tuple(
        Override(
            account=text["account"][i],
            until=until[i].item(),
            points=_points(text["points"][i], text["account"][i]),
            measure=text["measure"][i],
            start=None if np.isnat(start[i]) else start[i].item(),
            reason=text["reason"][i],
        )
        for i in range(len(table))
    )


def _texts(table: pd.DataFrame, name: str) -> list[str]:
    if name not in table.columns:
        return [""] * len(table)
    return ["" if pd.isna(value) else plain_text(value) for value in table[name]]


def _points(text: str, account: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError as error:
        raise TableError(
            f"points of an override must be a number or blank; account {account!r} has {text!r}."
        ) from error
