"""A card's points as the learner sees them: 0 to 1 per measure, missing values as the card treats them."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.accounts import account_numbers
from chs_ml.curves import points_range
from chs_ml.dataset import Dataset
from chs_ml.errors import NotEnoughData
from chs_ml.scorecard import Combine, Scorecard

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class CardRows:
    """The rows on which a card's score and the outcome are known.

    Attributes
    ----------
    values : ndarray of shape (n, columns)
        As the card's schema encodes them.
    bare : ndarray of shape (n, k)
        Points before any missing-value rule.
    health : ndarray of shape (n, k)
        Points as shares of what the measure can reach, 0-1, none missing.
    score : ndarray of shape (n,)
        Health score of the card, 0-100.
    churned, account : ndarray of shape (n,)
        Outcome and account codes.
    positions : ndarray of shape (n,)
        Where the rows stand in the dataset.
    """

    values: Array
    bare: Array
    health: Array
    score: Array
    churned: Array
    account: Codes
    positions: NDArray[np.intp]

    def rows(self, mask: NDArray[np.bool_]) -> "CardRows":
        """Some of the rows."""
        return CardRows(
            self.values[mask], self.bare[mask], self.health[mask], self.score[mask], self.churned[mask],
            np.unique(self.account[mask], return_inverse=True)[1], self.positions[mask],
        )  # fmt: skip


def card_frame(dataset: Dataset) -> pd.DataFrame:
    """All columns that a card may want: metrics, then kept columns."""
    others = [name for name in dataset.keep.columns if name not in dataset.frame.columns]
    return pd.concat([dataset.frame, dataset.keep[others]], axis=1)


def card_rows(card: Scorecard, dataset: Dataset) -> CardRows:
    """Read a dataset through a card; rows with an open outcome, or nothing known, are left out.

    Raises
    ------
    NotEnoughData
        Where no row, or only one kind of outcome, is left.
    """
    values = card.schema.encode(card_frame(dataset), snapshot=dataset.snapshot_date).values
    bare = card.bare_points(values)
    known = card.coverage(values)
    used = np.flatnonzero((known > 0) & (known >= card.floor) & dataset.is_matured)
    churned = dataset.churned[used]
    if not 0 < churned.sum() < len(used):
        raise NotEnoughData(
            f"Judging the card {card.name!r} needs churned and renewed accounts that it scores; found "
            f"{int(churned.sum())} churned of {len(used)}."
        )
    values, bare = values[used], bare[used]
    score = card.raw_score(values)
    return CardRows(
        values=values,
        bare=bare,
        health=health_shares(card, bare),
        score=score,
        churned=churned,
        account=account_numbers(dataset.account.to_numpy()[used], len(used)),
        positions=used,
    )


def health_shares(card: Scorecard, bare: Array) -> Array:
    """Points of shape (n, k) as 0-1 of what each measure can reach, missing values as the card treats them.

    In a mean that renormalises, a measure that drops out counts what the mean of the others counts: it is
    given the row's own score, before clips and limits. In a sum a missing value adds nothing.
    """
    points = card.filled(bare)
    if card.combine is Combine.SUM:
        ranges = [points_range(m.curve) for m in card.measures]
        added = np.nan_to_num(points)
        columns = [
            np.clip((added[:, k] - low) / (high - low), 0.0, 1.0) if high > low else np.zeros(len(bare))
            for k, (low, high) in enumerate(ranges)
        ]
        return np.column_stack(columns)
    plain = replace(card, limits=(), low=None, high=None)
    own = plain.parts(points).sum(axis=1) / plain.per_own_point
    return np.asarray(np.where(np.isnan(points), own[:, None], points) / card.top)
