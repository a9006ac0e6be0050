"""The health model: from a table of metrics to churn probability, health score and tier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.errors import TableError, first_few
from chs_ml.inputs import Encoded, InputSchema, encode_row
from chs_ml.scale import HealthScale, churn_probability, published_score
from chs_ml.scorecard import Scorecard
from chs_ml.scores import Publication, publish, published_coverage
from chs_ml.tiers import Tiers
from chs_ml.tree_ensemble import TreeEnsemble
from chs_ml.validation import ValidationReport

Array = NDArray[np.float64]

BLOCK_ROWS = 1 << 16


@dataclass(frozen=True)
class Blend:
    """``margin = intercept + points * (-S) + trees * tree margin``, in log-odds of churn.

    Attributes
    ----------
    intercept : float
        a.
    points : float
        u >= 0: log-odds that one point of the scorecard (0-100) takes off.
    trees : float
        v >= 0.
    """

    intercept: float
    points: float
    trees: float = 0.0


@dataclass(frozen=True, kw_only=True)
class CarriedColumns:
    """Columns of a table that are no metrics, by the part they play.

    Attributes
    ----------
    account, snapshot_date, value, segment : str, optional
        Column names.
    keep : tuple of str
        Columns carried to the output untouched.
    """

    account: str | None = None
    snapshot_date: str | None = None
    value: str | None = None
    segment: str | None = None
    keep: tuple[str, ...] = ()


@dataclass(frozen=True)
class MarginParts:
    """A margin taken apart.

    Attributes
    ----------
    margin : ndarray of shape (n,)
        Log-odds of churn.
    expected : float
        The margin that contributions are counted from.
    contributions : ndarray of shape (n, k)
        Log-odds per metric; with `expected` they sum to the margin.
    """

    margin: Array
    expected: float
    contributions: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class HealthModel:
    """A trained model of customer health. Make one with `train` or `load_model`.

    Attributes
    ----------
    card : Scorecard
        The formula; its schema is what the model takes.
    trees : TreeEnsemble, optional
        Boosted trees; None where the model is the formula alone.
    blend : Blend
        How card and trees make one margin.
    scale : HealthScale
        How risk becomes health.
    tiers : Tiers
        Where tiers begin.
    baseline : tuple of k float
        Mean weighted points per metric over the training rows: contributions are counted from there.
    coverage_floor : float
        Coverage below which a score is withheld.
    carried : CarriedColumns
        Columns that are no metrics.
    facts : mapping
        What is known of the training: plain values only.
    report : ValidationReport, optional
        How the model did on rows it had not seen.
    """

    card: Scorecard
    blend: Blend
    scale: HealthScale
    tiers: Tiers
    baseline: tuple[float, ...]
    trees: TreeEnsemble | None = None
    coverage_floor: float = 0.0
    carried: CarriedColumns = field(default_factory=CarriedColumns)
    facts: Mapping[str, Any] = field(default_factory=dict)
    report: ValidationReport | None = None

    @cached_property
    def schema(self) -> InputSchema:
        """The metrics that the model takes."""
        return self.card.schema

    @overload
    def score(
        self, data: pd.DataFrame | Sequence[Mapping[str, Any]], *, threads: int | None = None
    ) -> pd.DataFrame: ...
    @overload
    def score(self, data: Mapping[str, Any], *, threads: int | None = None) -> dict[str, Any]: ...
    def score(
        self,
        data: pd.DataFrame | Sequence[Mapping[str, Any]] | Mapping[str, Any],
        *,
        threads: int | None = None,
    ) -> pd.DataFrame | dict[str, Any]:
        """Score accounts.

        Parameters
        ----------
        data : DataFrame, mapping, or sequence of mappings
            A table with a column per metric (any order, others ignored), or one account as a mapping from
            metric name to value.
        threads : int, optional
            Threads for the trees of a large table; all cores by default. The scores do not depend on it.

        Returns
        -------
        DataFrame, or dict for a mapping
            One row per input row, same order and index: ``account_id`` and ``snapshot_date`` where the table
            has them, ``churn_probability`` in (0, 1), ``health_score`` 0-100 (larger = healthier), ``tier``,
            ``coverage`` (see `coverage`), ``status`` (ok; degraded: a metric that training always
            had is missing, or a category is new; withheld: below the coverage floor; invalid: a value is
            infinite or unreadable), ``status_detail``, and the kept columns. Withheld and invalid rows have
            no score and no tier.

        Raises
        ------
        TableError
            Where a required column is missing.
        """
        if isinstance(data, Mapping):
            date = data.get(self.carried.snapshot_date) if self.carried.snapshot_date else None
            return self.published(encode_row(self.schema, data, snapshot=date)).first()
        frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(list(data))
        encoded = self.encode(frame)
        margin = self.margin(encoded.values, threads=threads)
        return self.with_carried(self.published(encoded, margin).columns(), frame)

    def encode(self, frame: pd.DataFrame) -> Encoded:
        """Read a table of metrics through the model's schema."""
        date = self.carried.snapshot_date
        snapshot = frame[date] if date is not None and date in frame.columns else None
        return self.schema.encode(frame, snapshot=snapshot)

    def margin(self, values: Array, *, threads: int | None = None) -> Array:
        """Calibrated log-odds of churn of encoded rows of shape (n, k)."""
        margin = np.empty(len(values))
        for start in range(0, len(values), BLOCK_ROWS):
            block = values[start : start + BLOCK_ROWS]
            part = self.blend.intercept - self.blend.points * self.card.raw_score(block)
            if self.trees is not None:
                part += self.blend.trees * self.trees.margin(block, threads=threads)
            margin[start : start + BLOCK_ROWS] = part
        return margin

    def margin_parts(self, values: Array, *, threads: int | None = None, once: bool = False) -> MarginParts:
        """Take the margin of encoded rows of shape (n, k) apart, metric by metric.

        `once` says that a few rows are to be explained and no others: see `TreeEnsemble.explained`.
        """
        weighted, _ = self.card.weighted_points(values)
        baseline = np.asarray(self.baseline)
        parts = -self.blend.points * (weighted - baseline)
        expected = self.blend.intercept - self.blend.points * float(sum(self.baseline))
        margin = self.blend.intercept - self.blend.points * self.card.raw_score(values)
        if self.trees is not None:
            trees = self.trees.explained(values, threads=threads, once=once)
            parts += self.blend.trees * trees.contributions
            expected += self.blend.trees * trees.expected
            margin += self.blend.trees * trees.margin
        return MarginParts(margin, expected, parts)

    def published(self, encoded: Encoded, margin: Array | None = None) -> Publication:
        """Scores and statuses of encoded rows; `margin` of shape (n,), where it is known already."""
        margin = self.margin(encoded.values) if margin is None else margin
        numbers = {
            "churn_probability": churn_probability(margin),
            "health_score": published_score(self.scale.score(margin)),
        }
        return publish(
            numbers, encoded, self.schema, tiers=self.tiers, coverage=self.coverage(encoded.values),
            floor=self.coverage_floor, remarks=self.card.remarks(encoded.values),
        )  # fmt: skip

    def coverage(self, values: Array) -> Array:
        """Share of what the score rests on, of shape (n,), 0 to 1, that has a value, for publication.

        A formula rests on its weights (`Scorecard.coverage`). With trees beside it every metric counts the
        same: they have no weights.
        """
        if self.trees is None:
            return published_coverage(self.card.coverage(values))
        known = np.zeros(len(values))
        for column in values.T:
            known += ~np.isnan(column)
        return published_coverage(known / values.shape[1])

    def with_carried(self, scores: Mapping[str, Any], frame: pd.DataFrame) -> pd.DataFrame:
        """Published columns between the keys and the kept columns of the table they belong to."""
        carried = self.carried
        lacking = [name for name in carried.keep if name not in frame.columns]
        if lacking:
            raise TableError(
                f"The columns that the recipe keeps must be in the table; missing: {first_few(lacking)}."
            )
        keys = {"account_id": carried.account, "snapshot_date": carried.snapshot_date}
        parts: dict[str, Any] = {
            name: frame[column]
            for name, column in keys.items()
            if column is not None and column in frame.columns
        }
        parts |= scores
        parts |= {name: frame[name] for name in carried.keep if name not in parts}
        return pd.DataFrame(parts, index=frame.index, copy=False)

    def save(self, path: str | Path) -> None:
        """Save the model as a bundle: a folder of text files (see `load_model`); atomic."""
        from chs_ml.bundle import save_model  # a bundle knows models, not the other way round

        save_model(self, path)
