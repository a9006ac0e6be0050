"""Scorecards: metrics, health curves and weights; handcrafted or learned.

The score of an account is ``S = sum_k w_k h_k(x_k)``: every metric's value becomes 0-100 points on its
health curve, and weights that sum to 1 average them.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tomli_w
from numpy.typing import NDArray

from chs_ml.curves import CategoryCurve, Curve, LinearCurve
from chs_ml.errors import ScorecardError, nearest
from chs_ml.inputs import InputColumn, InputSchema
from chs_ml.metric import DEFAULT_GROUP, Direction, Kind, Metric
from chs_ml.scale import published_score
from chs_ml.scores import publish
from chs_ml.tiers import Tiers

Array = NDArray[np.float64]

FORMAT = 1


class MissingRule(StrEnum):
    """What a missing value does to the score."""

    RENORMALISE = "renormalise"
    """The measure drops out and the weights of the others are scaled up to sum to 1."""
    OWN = "own"
    """A missing value has points of its own."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One line of a scorecard.

    Attributes
    ----------
    column : InputColumn
        The metric it measures and how its values are read.
    curve : Curve
        Value to health points, 0-100.
    weight : float
        Any number >= 0; the card normalises.
    """

    column: InputColumn
    curve: Curve
    weight: float

    @property
    def metric(self) -> Metric:
        """The metric it measures."""
        return self.column.metric


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """A health score by formula.

    Parameters
    ----------
    name : str
        What people call the card.
    measures : tuple of Measure
        Lines of the card; sums run in this order.
    missing : MissingRule
        What a missing value does.
    """

    name: str
    measures: tuple[Measure, ...]
    missing: MissingRule = MissingRule.RENORMALISE

    def __post_init__(self) -> None:
        weights = [m.weight for m in self.measures]
        if not weights or min(weights) < 0 or not np.isfinite(weights).all() or sum(weights) <= 0:
            raise ScorecardError(
                f"The weights of scorecard {self.name!r} must be finite, not negative, and not all 0; "
                f"got {weights}."
            )
        bare = [m.metric.name for m in self.measures if m.curve.missing is None]
        if self.missing is MissingRule.OWN and bare:
            raise ScorecardError(
                f"With missing = 'own' every measure needs missing_points; these lack them: "
                f"{', '.join(bare)}."
            )

    @cached_property
    def schema(self) -> InputSchema:
        """The columns the card takes."""
        return InputSchema(tuple(m.column for m in self.measures))

    @cached_property
    def weights(self) -> Array:
        """Shares of shape (k,), summing to 1."""
        raw = np.array([m.weight for m in self.measures])
        return np.asarray(raw / raw.sum())

    def weight_by_metric(self) -> dict[str, float]:
        """Share per metric name."""
        return dict(zip(self.schema.names, self.weights.tolist(), strict=True))

    def points(self, values: Array) -> Array:
        """Health points of an encoded matrix.

        Parameters
        ----------
        values : ndarray of shape (n, k)
            As ``card.schema.encode`` gives it.

        Returns
        -------
        ndarray of shape (n, k)
            0-100, column-contiguous; NaN where a missing value has no points.
        """
        points = np.empty(values.shape, order="F")
        for k, measure in enumerate(self.measures):
            points[:, k] = measure.curve.evaluate(values[:, k])
        return points

    def weighted_points(self, values: Array) -> tuple[Array, Array]:
        """What each measure puts into the score, and the share of weight that has a value.

        Returns
        -------
        weighted : ndarray of shape (n, k)
            ``w_k h_k``; 0 where a missing value dropped out. Rows sum to the score.
        coverage : ndarray of shape (n,)
            0 to 1.
        """
        points, known = self.points(values), np.zeros(len(values))
        for k, weight in enumerate(self.weights):
            known += weight * ~(np.isnan(values[:, k]) | np.isnan(points[:, k]))
        return self._shares(points) * np.nan_to_num(points), known

    def _shares(self, points: Array) -> Array:
        """What each measure counts in each row; scaled up where others drop out, NaN where all do."""
        shares = np.empty(points.shape, order="F")
        for k, weight in enumerate(self.weights):
            shares[:, k] = weight * ~np.isnan(points[:, k])
        if self.missing is MissingRule.RENORMALISE:
            present = column_sum(shares)
            shares /= np.where(present > 0, present, np.nan)[:, None]
        return shares

    def raw_score(self, values: Array) -> Array:
        """Score of an encoded matrix of shape (n, k), 0-100, not rounded; summed column by column."""
        total, present = np.zeros(len(values)), np.zeros(len(values))
        drops = self.missing is MissingRule.RENORMALISE
        for k, (measure, weight) in enumerate(zip(self.measures, self.weights, strict=True)):
            points = measure.curve.evaluate(values[:, k])
            if drops:
                present += weight * ~np.isnan(points)
                points = np.nan_to_num(points, copy=False)
            total += weight * points
        return total / np.where(present > 0, present, np.nan) if drops else total

    def score(self, frame: pd.DataFrame, *, tiers: Tiers | None = None, floor: float = 0.0) -> pd.DataFrame:
        """Score a table of metrics.

        Parameters
        ----------
        frame : DataFrame of shape (n, any)
            A column per measure, in any order; others are ignored.
        tiers : Tiers, optional
            Where tiers begin; 75 / 50 / 0 by default.
        floor : float, default=0
            Coverage below which a score is withheld.

        Returns
        -------
        DataFrame of n rows under the same index
            ``health_score`` (0-100, larger = healthier), ``tier``, ``coverage``, ``status`` and
            ``status_detail``.
        """
        encoded = self.schema.encode(frame)
        weighted, known = self.weighted_points(encoded.values)
        numbers = {"health_score": published_score(column_sum(weighted))}
        published = publish(
            numbers, encoded, self.schema, tiers=tiers or Tiers(), coverage=np.round(known, 9), floor=floor
        )
        return published.to_frame(frame.index)

    def explain(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Points that each measure cost: negative, zero at its best, summing to score - 100.

        Returns
        -------
        DataFrame of shape (n, k)
            A column per metric, in score points.
        """
        points = self.points(self.schema.encode(frame).values)
        cost = self._shares(points) * (np.nan_to_num(points) - 100.0)
        return pd.DataFrame(cost, index=frame.index, columns=list(self.schema.names))

    def to_toml(self) -> str:
        """The card as text, exact to the last digit."""
        head = {"format": FORMAT, "name": self.name, "missing": str(self.missing)}
        return tomli_w.dumps({**head, "measures": {m.metric.name: _measure_table(m) for m in self.measures}})

    @classmethod
    def from_toml(cls, text: str, *, source: str = "the scorecard") -> "Scorecard":
        """Read a card from text; `source` is named in errors."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ScorecardError(f"{source} must be TOML: {error}.") from error
        return _card(table, source)


def column_sum(columns: Array) -> Array:
    """Sum over the columns of a matrix of shape (n, k), one after the other.

    A fixed order of additions gives one row alone the same bits as the same row among a million.
    """
    total = np.zeros(len(columns))
    for k in range(columns.shape[1]):
        total += columns[:, k]
    return total


def load_scorecard(path: str | Path) -> Scorecard:
    """Read a scorecard from a TOML file.

    Parameters
    ----------
    path : str or Path
        See ``models/scorecards/`` for examples.

    Raises
    ------
    ScorecardError
        Where the file is absent or says something that cannot be; names the key.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScorecardError(f"A scorecard must be a readable UTF-8 file; {file}: {error}.") from error
    return Scorecard.from_toml(text, source=file.name)


_CARD_KEYS = ("format", "name", "missing", "measures")
_MEASURE_KEYS = (
    *("group", "label", "unit", "direction", "kind", "required"),
    *("weight", "curve", "categories", "other", "missing_points"),
    *("low", "high", "missing_seen"),
)


def _card(table: Mapping[str, Any], source: str) -> Scorecard:
    _known_keys(table, _CARD_KEYS, source)
    if table.get("format") != FORMAT:
        raise ScorecardError(f"{source} must say format = {FORMAT}; found {table.get('format')!r}.")
    measures = table.get("measures")
    if not isinstance(measures, Mapping) or not measures:
        raise ScorecardError(f"{source} must have at least one [measures.<metric>].")
    try:
        missing = MissingRule(table.get("missing", MissingRule.RENORMALISE))
    except ValueError as error:
        known = ", ".join(repr(str(rule)) for rule in MissingRule)
        raise ScorecardError(
            f"{source}: missing must be one of {known}; got {table['missing']!r}."
        ) from error
    lines = tuple(_measure(name, entry, source) for name, entry in measures.items())
    return Scorecard(name=str(table.get("name", source)), measures=lines, missing=missing)


def _known_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise ScorecardError(f"{where}: unknown key {key!r}.{nearest(key, known)}")


def _measure(name: str, entry: Mapping[str, Any], source: str) -> Measure:
    where = f"{source} [measures.{name}]"
    if not isinstance(entry, Mapping):
        raise ScorecardError(f"{where} must be a table.")
    _known_keys(entry, _MEASURE_KEYS, where)
    if ("curve" in entry) == ("categories" in entry):
        raise ScorecardError(f"{where} must have either a curve or categories.")
    try:
        curve = _curve(entry)
        metric = Metric(
            name=name,
            kind=Kind(entry.get("kind", Kind.CATEGORY if "categories" in entry else Kind.NUMBER)),
            group=str(entry.get("group", DEFAULT_GROUP)),
            direction=Direction(entry.get("direction", Direction.UNKNOWN)),
            unit=str(entry.get("unit", "")),
            label=str(entry.get("label", "")),
            required=_flag(entry, "required"),
        )
        weight = float(entry["weight"])
        low, high = float(entry.get("low", np.nan)), float(entry.get("high", np.nan))
        seen = _flag(entry, "missing_seen")
    except KeyError as error:
        raise ScorecardError(f"{where} must have a {error.args[0]}.") from error
    except (TypeError, ValueError, ScorecardError) as error:
        raise ScorecardError(f"{where}: {error}") from error
    categories = curve.categories if isinstance(curve, CategoryCurve) else ()
    column = InputColumn(metric=metric, categories=categories, low=low, high=high, missing_seen=seen)
    return Measure(column=column, curve=curve, weight=weight)


def _curve(entry: Mapping[str, Any]) -> Curve:
    missing = None if "missing_points" not in entry else float(entry["missing_points"])
    if "categories" in entry:
        if not isinstance(entry["categories"], Mapping):
            raise ScorecardError(f"categories must be points by name; got {entry['categories']!r}.")
        points = {str(label): float(value) for label, value in entry["categories"].items()}
        other = None if "other" not in entry else float(entry["other"])
        return CategoryCurve(points=points, other=other, missing=missing)
    knots = entry["curve"]
    if not (isinstance(knots, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in knots)):
        raise ScorecardError(f"curve must be pairs of value and points: [[0, 0], [50, 80]]; got {knots!r}.")
    x, points_at = [float(pair[0]) for pair in knots], [float(pair[1]) for pair in knots]
    return LinearCurve(x=tuple(x), points=tuple(points_at), missing=missing)


def _flag(entry: Mapping[str, Any], key: str) -> bool:
    value = entry.get(key, True)
    if not isinstance(value, bool):
        raise ScorecardError(f"{key} must be true or false, without quotes; got {value!r}.")
    return value


def _measure_table(measure: Measure) -> dict[str, Any]:
    metric, curve, column = measure.metric, measure.curve, measure.column
    table: dict[str, Any] = {
        "group": metric.group,
        "kind": str(metric.kind),
        "direction": str(metric.direction),
    }
    table |= {key: getattr(metric, key) for key in ("label", "unit") if getattr(metric, key)}
    table |= {} if metric.required else {"required": False}
    table["weight"] = measure.weight
    if isinstance(curve, CategoryCurve):
        table["categories"] = {label: curve.points[label] for label in curve.categories}
        table |= {} if curve.other is None else {"other": curve.other}
    else:
        table["curve"] = [list(pair) for pair in zip(curve.x, curve.points, strict=True)]
    table |= {} if curve.missing is None else {"missing_points": curve.missing}
    table |= {key: getattr(column, key) for key in ("low", "high") if np.isfinite(getattr(column, key))}
    return table | ({} if column.missing_seen else {"missing_seen": False})
