"""Several cards and a resolver: which account is scored by which card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.errors import ScorecardError, TableError, first_few, nearest
from chs_ml.outcome import plain_text
from chs_ml.scorecard.card import Scorecard
from chs_ml.scorecard.overrides import Override
from chs_ml.scorecard.reading import known_keys, load_scorecard, table_of, text_of
from chs_ml.scorecard.reading_curves import number
from chs_ml.tiers import Tiers
from chs_ml.values import labelled, read_numbers

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What a column must say for a card to apply; a missing value never fits.

    Attributes
    ----------
    column : str
        Its name.
    among : tuple of str
        Labels, one of which it must be; empty where it is a number.
    at_least, below : float, optional
        Range of a number: ``at_least <= value < below``.
    """

    column: str
    among: tuple[str, ...] = ()
    at_least: float | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        ranged = self.at_least is not None or self.below is not None
        if bool(self.among) == ranged:
            raise ScorecardError(
                f"A condition on {self.column!r} must give either labels or a range (at_least, below)."
            )

    def fits(self, frame: pd.DataFrame) -> Mask:
        """Rows of the table that it fits."""
        if self.column not in frame.columns:
            raise TableError(
                f"The resolver needs the column {self.column!r}."
                f"{nearest(self.column, [str(c) for c in frame.columns])}"
            )
        series = frame[self.column]
        if self.among:
            wanted = {plain_text(label) for label in self.among}
            return np.array([not pd.isna(v) and plain_text(v) in wanted for v in series], dtype=bool)
        values, _ = read_numbers(series)
        low = -np.inf if self.at_least is None else self.at_least
        return np.asarray((values >= low) & (values < (np.inf if self.below is None else self.below)))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One card and when it applies: all conditions must fit; without any it is the default."""

    card: Scorecard
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CardBook:
    """Several cards for one portfolio.

    Attributes
    ----------
    name : str
        What people call it.
    entries : tuple of Entry
        In order; exactly one, the default, has no condition.
    ties : {"first", "last"}
        Which entry applies where several fit; the default applies only where none does.
    """

    name: str
    entries: tuple[Entry, ...]
    ties: Literal["first", "last"] = "first"

    def __post_init__(self) -> None:
        defaults = [e.card.name for e in self.entries if not e.when]
        names = [e.card.name for e in self.entries]
        if len(defaults) != 1 or len(set(names)) < len(names):
            raise ScorecardError(
                f"The cards of {self.name!r} must have distinct names, and exactly one must be the "
                f"default (no "
                f"condition); names {first_few(names, limit=12)}, defaults {first_few(defaults)}."
            )
        if self.ties not in ("first", "last"):
            raise ScorecardError(f"ties must be 'first' or 'last'; got {self.ties!r}.")

    @property
    def _default(self) -> int:
        return next(i for i, e in enumerate(self.entries) if not e.when)

    def resolve(self, frame: pd.DataFrame) -> NDArray[np.intp]:
        """Position of the entry of each row, of shape (n,)."""
        chosen = np.full(len(frame), self._default, dtype=np.intp)
        conditional = [i for i, e in enumerate(self.entries) if e.when]
        for i in conditional if self.ties == "last" else reversed(conditional):
            fits = np.ones(len(frame), dtype=bool)
            for condition in self.entries[i].when:
                fits &= condition.fits(frame)
            chosen[fits] = i
        return chosen

    def score(
        self,
        frame: pd.DataFrame,
        *,
        tiers: Tiers | None = None,
        as_of: object = None,
        account: str | None = None,
        overrides: Sequence[Override] = (),
    ) -> pd.DataFrame:
        """Score every row with its own card.

        Parameters
        ----------
        frame, tiers, as_of, account, overrides
            As for `Scorecard.score`.

        Returns
        -------
        DataFrame of n rows under the same index
            As `Scorecard.score`, and ``card``: the name of the card that applied.
        """
        chosen = self.resolve(frame)
        parts, rows = [], []
        for i in np.unique(chosen).tolist() or [self._default]:
            card, mine = self.entries[i].card, np.flatnonzero(chosen == i)
            own = [o for o in overrides if not o.measure or o.measure in card.metric_names]
            rows.append(mine)
            parts.append(
                card.score(frame.iloc[mine], tiers=tiers, as_of=as_of, account=account, overrides=own)
            )
        order = np.argsort(np.concatenate(rows))
        table: pd.DataFrame = pd.concat(parts).iloc[order].set_axis(frame.index, axis=0)
        return table.assign(card=labelled([e.card.name for e in self.entries], chosen))


def load_book(path: str | Path) -> CardBook:
    """Read a resolver from a TOML file: cards by file name beside it, each with its conditions.

    Parameters
    ----------
    path : str or Path
        See ``models/scorecards/lifecycle.toml``.

    Raises
    ------
    ScorecardError
        Where the file, or a card that it names, cannot be.
    """
    file = Path(path)
    table = table_of(text_of(file), file.name)
    known_keys(table, ("format", "name", "ties", "cards"), file.name)
    cards = table.get("cards")
    if table.get("format") != 2 or not isinstance(cards, list) or not cards:
        raise ScorecardError(f"{file.name} must say format = 2 and have at least one [[cards]].")
    entries = tuple(_entry(entry, file) for entry in cards)
    return CardBook(name=str(table.get("name", file.stem)), entries=entries, ties=table.get("ties", "first"))


def _entry(entry: Any, file: Path) -> Entry:
    where = f"{file.name} [[cards]]"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("file"), str):
        raise ScorecardError(f"{where} must name its file.")
    known_keys(entry, ("file", "when"), where)
    when = entry.get("when", {})
    if not isinstance(when, Mapping):
        raise ScorecardError(f"{where}: when must be conditions by column; got {when!r}.")
    conditions = tuple(_condition(column, said, where) for column, said in when.items())
    return Entry(card=load_scorecard(file.parent / entry["file"]), when=conditions)


def _condition(column: str, said: Any, where: str) -> Condition:
    if isinstance(said, Mapping):
        known_keys(said, ("at_least", "below"), f"{where} when.{column}")
        return Condition(
            column=column, at_least=number(said, "at_least", where), below=number(said, "below", where)
        )
    labels = said if isinstance(said, list) else [said]
    return Condition(column=column, among=tuple(str(label) for label in labels))
