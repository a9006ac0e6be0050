"""Scoring a file: streamed, in order, no row lost, and summed up for the people who act on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chs_ml.errors import InputError, first_few
from chs_ml.explanation import score_and_explain
from chs_ml.files import remove_parts
from chs_ml.health_model import HealthModel
from chs_ml.ordered import in_order
from chs_ml.outcome import plain_text
from chs_ml.portfolio_summary import AccountAtRisk, PortfolioSummary, PortfolioTally, usable_values
from chs_ml.table import TableWriter, iter_table

ROWS_AT_ONCE = 50_000
REASONS_TOLD = 3

Rows = Callable[[int], None]
"""Called with the number of rows scored so far."""


@dataclass(frozen=True)
class Reasons:
    """Which reasons a run tells.

    Attributes
    ----------
    n : int
        Columns of reasons per row.
    below : float, optional
        Only rows with a health score below it get reasons.
    """

    n: int = 0
    below: float | None = None

    @classmethod
    def of(cls, model: HealthModel, n: int, *, below: str | None = None) -> Reasons:
        """Read what was asked for; `below` names a tier of the model.

        Raises
        ------
        InputError
            Where n is negative, or the model has no such tier.
        """
        if n < 0:
            raise InputError(f"The number of reasons must not be negative; got {n}.")
        if below is None:
            return cls(n)
        bounds = dict(zip(model.tiers.names, model.tiers.lower_bounds, strict=True))
        if below not in bounds:
            raise InputError(f"Reasons below a tier need one of {first_few(bounds)}; got {below!r}.")
        return cls(n, bounds[below])


def score_file(
    model: HealthModel,
    source: str | Path,
    target: str | Path,
    *,
    rows: int = ROWS_AT_ONCE,
    reasons: int = 0,
    below: str | None = None,
    progress: Rows | None = None,
) -> PortfolioSummary:
    """Score a table from file to file.

    Every row of the source is one row of the target, in the same order, with the numbers that
    `HealthModel.score` gives for the whole table. Chunks are scored on all cores while the next one is read
    and the last one written. Memory is that of a few chunks, beside some 40 bytes an account for the summary.

    Parameters
    ----------
    model : HealthModel
        From `train` or `load_model`.
    source, target : str or Path
        Files that end in .csv, .csv.gz or .parquet. The target appears when it is complete.
    rows : int
        Rows per chunk; the numbers do not depend on it.
    reasons : int
        Adds so many columns ``reason_1 ...``: what costs an account most points.
    below : str, optional
        A tier: only accounts in a less healthy one get reasons, which saves the time of the others.
    progress : callable, optional
        Called with the rows scored so far.

    Returns
    -------
    PortfolioSummary
        Tiers, expected churns, value at risk, and the accounts with the most of it, with reasons.

    Raises
    ------
    TableError
        Where the source cannot be read or lacks a required column, or the target cannot be written.
    InputError
        Where `reasons` is negative, or the model has no tier `below`.
    """
    wanted = Reasons.of(model, reasons, below=below)
    tally, held = PortfolioTally(model.tiers, model.carried), []
    remove_parts(Path(target))
    with TableWriter(target) as writer:
        done = 0
        for frame, scores in scored_chunks(model, iter_table(source, rows=rows), wanted):
            held.append(frame.loc[sorted(tally.add(frame, scores))])
            writer.write(scores)
            done += len(frame)
            if progress is not None:
                progress(done)
        top = tally.top_rows()
        chosen = list(_at_positions(held, top))
        if sum(map(len, chosen)) < len(top):  # older snapshots crowded them out of their chunk
            # before the writer is done: the target may be the source
            chosen = list(_at_positions(iter_table(source, rows=rows), top))
    return tally.summary(_told(model, chosen, top))


def scored_chunks(
    model: HealthModel, frames: Iterable[pd.DataFrame], reasons: Reasons
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Each frame with its scores and columns of reasons, in order, scored on all cores."""
    prepare(model, reasons)
    yield from in_order(lambda frame: (frame, scored_chunk(model, frame, reasons)), frames)


def prepare(model: HealthModel, reasons: Reasons) -> None:
    """Build what all workers share, before the first of them needs it."""
    if model.trees is not None:
        model.trees.prepare(tables=reasons.n > 0)


def scored_chunk(model: HealthModel, frame: pd.DataFrame, reasons: Reasons) -> pd.DataFrame:
    """Scores of a chunk, with columns of reasons, on one thread: others work on other chunks."""
    if reasons.n == 0:
        return model.score(frame, threads=1)
    if reasons.below is None:
        scores, why = score_and_explain(model, frame, threads=1)
        told: list[list[str]] = why.reasons(reasons.n, side="against").to_list()
    else:
        scores = model.score(frame, threads=1)
        told = [[] for _ in range(len(frame))]
        rows = np.flatnonzero(scores["health_score"].to_numpy(dtype=np.float64) < reasons.below)
        if len(rows):
            _, why = score_and_explain(model, frame.iloc[rows], threads=1)
            for row, text in zip(rows, why.reasons(reasons.n, side="against"), strict=True):
                told[row] = text
    columns = {f"reason_{i + 1}": [r[i] if i < len(r) else None for r in told] for i in range(reasons.n)}
    return pd.concat([scores, pd.DataFrame(columns, index=frame.index, dtype="str")], axis=1)


def _at_positions(chunks: Iterable[pd.DataFrame], positions: Iterable[int]) -> Iterator[pd.DataFrame]:
    """Parts of the chunks with the rows at these positions, in file order; stops after the last one."""
    wanted = sorted(positions)
    for frame in chunks:
        if frame.empty:
            continue
        here = [row for row in wanted if row <= frame.index[-1]]
        wanted = wanted[len(here) :]
        found = frame.loc[frame.index.isin(here)]
        if len(found):
            yield found
        if not wanted:
            return


def _told(model: HealthModel, parts: list[pd.DataFrame], order: list[int]) -> list[AccountAtRisk]:
    told: dict[int, AccountAtRisk] = {}
    for part in parts:
        told |= zip(part.index.to_list(), _accounts(model, part), strict=True)
    return [told[row] for row in order]


def _accounts(model: HealthModel, frame: pd.DataFrame) -> Iterator[AccountAtRisk]:
    (scores, why), carried = score_and_explain(model, frame, once=True), model.carried
    reasons: list[list[str]] = why.reasons(REASONS_TOLD, side="against").to_list()
    ids = cell_texts(frame, carried.account)
    days = cell_texts(frame, carried.snapshot_date)
    kept = {name: cell_texts(frame, name) for name in carried.keep}
    probability = scores["churn_probability"].to_numpy(dtype=np.float64)
    score = scores["health_score"].to_numpy(dtype=np.float64)
    values = np.nan_to_num(usable_values(frame, carried))
    has_value = carried.value in frame.columns
    for i, row in enumerate(frame.index.to_list()):
        yield AccountAtRisk(
            account=ids[i] or str(row + 1),
            snapshot_date=days[i][:10] or None,
            churn_probability=float(probability[i]),
            health_score=float(score[i]),
            tier=str(scores["tier"].iat[i]),
            value=float(values[i]) if has_value else None,
            value_at_risk=float(probability[i] * values[i]) if has_value else None,
            kept={name: texts[i] for name, texts in kept.items()},
            reasons=tuple(reasons[i]),
        )


def cell_texts(frame: pd.DataFrame, name: str | None) -> list[str]:
    """The cells of a column as text; empty where one is missing, or there is no such column."""
    if name is None or name not in frame.columns:
        return [""] * len(frame)
    return [_cell_text(cell) for cell in frame[name].to_list()]


def _cell_text(cell: Any) -> str:
    if pd.isna(cell):
        return ""
    return str(cell.date()) if isinstance(cell, pd.Timestamp) else plain_text(cell)
