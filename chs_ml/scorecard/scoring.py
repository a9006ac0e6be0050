"""From a table to published scores: snapshot, overrides, ageing, statuses, labels."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.errors import ScorecardError, TableError, first_few, nearest
from chs_ml.scale import published_score
from chs_ml.scorecard.coverage import counted, covered
from chs_ml.scorecard.overrides import Overridden, Override
from chs_ml.scores import publish, published_coverage
from chs_ml.tiers import Tiers
from chs_ml.values import calendar_days

if TYPE_CHECKING:
    from chs_ml.scorecard.card import Scorecard

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def snapshot_of(frame: pd.DataFrame, as_of: object) -> pd.Series | None:
    """The snapshot of each row: a column of the table, or one day for all rows; None where nobody said."""
    if as_of is None:
        return None
    if isinstance(as_of, str) and as_of in frame.columns:
        return frame[as_of]
    try:
        day = pd.Timestamp(as_of)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise TableError(f"as_of must be a column of the table or a date; got {as_of!r}.") from error
    return pd.Series(day, index=frame.index)


def scored_table(
    card: "Scorecard",
    frame: pd.DataFrame,
    *,
    tiers: Tiers,
    floor: float,
    as_of: object,
    account: str | None,
    overrides: tuple[Override, ...],
) -> pd.DataFrame:
    """What `Scorecard.score` gives."""
    snapshot = snapshot_of(frame, as_of)
    encoded = card.schema.encode(frame, snapshot=snapshot)
    held = _held(card, frame, snapshot, account, overrides)
    score, known = _reckoned(card, encoded.values, held)
    set_score = held.on_score(len(frame))
    by_hand = ~np.isnan(set_score)
    score = published_score(np.where(by_hand, set_score * card.per_own_point, score))
    publication = publish(
        {"health_score": score}, encoded, card.schema, tiers=tiers,
        coverage=published_coverage(known), floor=floor, remarks=card.remarks(encoded.values),
        exempt=by_hand,
    )  # fmt: skip
    for override, mask in held.applied:
        publication.notes.add(mask, override.remark)
    return _with_own_words(card, publication.to_frame(frame.index))


def _reckoned(card: "Scorecard", values: Array, held: Overridden) -> tuple[Array, Array]:
    """Scores, not rounded, and coverage; with what was set by hand."""
    if not held.applied:
        return card.raw_score(values), card.coverage(values)
    bare = held.on_measures(card.bare_points(values), card.metric_names)
    return card.total(bare), _covered_by_hand(card, values, held)


def _held(
    card: "Scorecard",
    frame: pd.DataFrame,
    snapshot: pd.Series | None,
    account: str | None,
    overrides: tuple[Override, ...],
) -> Overridden:
    if not overrides:
        return Overridden(())
    if snapshot is None or account is None or account not in frame.columns:
        raise TableError("Overrides need as_of (the snapshot) and account (a column of account ids).")
    strangers = sorted({o.measure for o in overrides if o.measure} - set(card.metric_names))
    if strangers:
        hint = nearest(strangers[0], card.metric_names)
        raise ScorecardError(
            f"Overrides must name measures of the card; these are none: {first_few(strangers)}.{hint}"
        )
    return Overridden.of(overrides, frame[account], calendar_days(snapshot))


def _covered_by_hand(card: "Scorecard", values: Array, held: Overridden) -> Array:
    """Coverage with what was set by hand known, and exceptions not."""
    has = counted(card, values)
    for override, mask in held.applied:
        if override.measure:
            has[mask, card.metric_names.index(override.measure)] = override.points is not None
    return covered(card, has)


def _with_own_words(card: "Scorecard", table: pd.DataFrame) -> pd.DataFrame:
    own = np.round(table["health_score"].to_numpy() / card.per_own_point, 9)
    if card.top != 100.0:
        table["own_score"] = own
    if card.scheme is not None:
        table["label"] = card.scheme.assign(own)
    return table
