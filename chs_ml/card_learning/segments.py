"""One card per segment, with partial pooling: segments with few churns stay near the card of all."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import tomli_w

from chs_ml.card_learning.health import card_rows
from chs_ml.card_learning.learning import Settings, all_caps, learn_weights, learned_on
from chs_ml.card_learning.strength import choose_strength
from chs_ml.card_learning.values import LearnedWeights
from chs_ml.dataset import Dataset
from chs_ml.errors import TableError
from chs_ml.scorecard import CardBook, Condition, Entry, Scorecard

FEWEST = 2
"""Churns, and renewals, below which a segment keeps the card of all."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentCards:
    """Learned cards of segments.

    Attributes
    ----------
    overall : LearnedWeights
        Learned on all segments together; what theirs are pulled towards.
    segments : mapping of str to LearnedWeights
        Per segment with enough churns and renewals to be fitted at all.
    kept : tuple of str
        Segments that keep the card of all.
    """

    overall: LearnedWeights
    segments: Mapping[str, LearnedWeights]
    kept: tuple[str, ...]

    def book(self, column: str) -> CardBook:
        """A resolver by segment; segments without a card of their own, and unknown ones, get the card of all.

        Parameters
        ----------
        column : str
            Column of segments in the tables to score.
        """
        entries = [_entry(found.card, name, column) for name, found in self.segments.items()]
        default = Entry(card=self.overall.card)
        return CardBook(name=f"{self.overall.card.name} by {column}", entries=(*entries, default))

    def files(self, column: str) -> dict[str, str]:
        """The resolver ``cards.toml`` and the cards that it names, as TOML by file name (see `load_book`).

        Parameters
        ----------
        column : str
            Column of segments in the tables to score.
        """
        entries = self.book(column).entries
        names = [f"card_{i}.toml" if e.when else "card_of_all.toml" for i, e in enumerate(entries, start=1)]
        cards = [
            {"file": name} | ({"when": {c.column: list(c.among) for c in e.when}} if e.when else {})
            for name, e in zip(names, entries, strict=True)
        ]
        head = {"format": 2, "name": self.book(column).name, "cards": cards}
        found = {name: e.card.to_toml() for name, e in zip(names, entries, strict=True)}
        return {"cards.toml": tomli_w.dumps(head), **found}

    def frame(self) -> pd.DataFrame:
        """Weights in percent: a row per measure; yours, those of all rows, and a column per segment."""
        columns = {"yours": [round(100 * m.yours, 1) for m in self.overall.measures]}
        columns["all"] = [m.percent for m in self.overall.measures]
        columns |= {name: [m.percent for m in found.measures] for name, found in self.segments.items()}
        return pd.DataFrame(columns, index=pd.Index([m.label for m in self.overall.measures], name="measure"))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, text and numbers; NaN as None."""
        return {
            "overall": self.overall.to_dict(),
            "segments": {name: found.to_dict() for name, found in self.segments.items()},
            "kept": list(self.kept),
        }

    def to_text(self) -> str:
        """Plain text of at most 100 columns."""
        from chs_ml.card_learning.text import segments_text

        return segments_text(self)

    def __str__(self) -> str:
        return self.to_text()


def _entry(card: Scorecard, segment: str, column: str) -> Entry:
    when = (Condition(column=column, among=(segment,)),)
    return Entry(card=replace(card, name=f"{card.name}: {segment}"), when=when)


def learn_segment_weights(
    card: Scorecard,
    dataset: Dataset,
    *,
    caps: Mapping[str, float] | None = None,
    bootstrap: int = 200,
    level: float = 0.95,
    random_state: int = 0,
) -> SegmentCards:
    """Learn weights per segment of the dataset, pulled towards those learned on all rows.

    How strongly is chosen once for all segments, on held-out accounts of each: a segment with many churns
    overcomes the pull, one with few does not.

    Parameters
    ----------
    card, dataset, caps, bootstrap, level, random_state
        As for `learn_weights`; the dataset must have segments.

    Raises
    ------
    TableError
        Where the dataset has no segments.
    NotEnoughData
        As `learn_weights`.
    """
    if dataset.segment is None:
        raise TableError("Learning per segment needs a segment column: name it in the recipe.")
    overall = learn_weights(
        card, dataset, caps=caps, bootstrap=bootstrap, level=level, random_state=random_state
    )
    rows = card_rows(card, dataset)
    labels = dataset.segment.to_numpy(dtype=object)[rows.positions]
    parts, kept = {}, []
    for name in sorted({str(label) for label in labels if isinstance(label, str) and label}):
        part = rows.rows(np.array([label == name for label in labels], dtype=bool))
        if min(part.churned.sum(), (1.0 - part.churned).sum()) >= FEWEST:
            parts[name] = part
        else:
            kept.append(name)
    prior = overall.exact.weights
    strength = choose_strength(
        [(p.health, p.churned, p.account) for p in parts.values()], prior=prior, random_state=random_state
    )
    settings = Settings(bootstrap, level, random_state, all_caps(card, caps), 0.0)
    found = {
        name: learned_on(card, part, prior=prior, strength=strength, settings=settings)
        for name, part in parts.items()
    }
    return SegmentCards(overall=overall, segments=found, kept=tuple(kept))
