"""Curves, categories and bands of a scorecard file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chs_ml.curves import BandCurve, CategoryCurve, Curve, Edge, LinearCurve
from chs_ml.errors import ScorecardError, first_few, nearest


@dataclass(frozen=True)
class Shapes:
    """What a file allows its measures to say: keys, the card's edge rule, words for points."""

    keys: tuple[str, ...]
    edge: Edge | None
    words: Mapping[str, float]


def number(table: Mapping[str, Any], key: str, where: str) -> float | None:
    """A number of a table; None where the key is absent."""
    if key not in table:
        return None
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ScorecardError(f"{where}: {key} must be a number; got {value!r}.")
    return float(value)


def edge_of(table: Mapping[str, Any], where: str) -> Edge | None:
    """The edge rule that a table states; None where it states none."""
    if "edge" not in table:
        return None
    try:
        return Edge(table["edge"])
    except ValueError as error:
        raise ScorecardError(f"{where}: edge must be 'top' or 'bottom'; got {table['edge']!r}.") from error


def curve_from(entry: Mapping[str, Any], shapes: Shapes) -> Curve:
    """The curve of a measure's table."""
    if "outside" in entry and "curve" not in entry:
        raise ScorecardError("outside belongs to a curve: the points of values below or above all its knots.")
    missing = None if "missing_points" not in entry else _points(entry["missing_points"], shapes)
    if "bands" in entry:
        return _bands(entry, shapes, missing)
    if "categories" in entry:
        if not isinstance(entry["categories"], Mapping):
            raise ScorecardError(f"categories must be points by name; got {entry['categories']!r}.")
        points = {str(label): _points(value, shapes) for label, value in entry["categories"].items()}
        other = None if "other" not in entry else _points(entry["other"], shapes)
        return CategoryCurve(points=points, other=other, missing=missing)
    knots = entry["curve"]
    if not (isinstance(knots, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in knots)):
        raise ScorecardError(f"curve must be pairs of value and points: [[0, 0], [50, 80]]; got {knots!r}.")
    x, points_at = [float(pair[0]) for pair in knots], [float(pair[1]) for pair in knots]
    outside = None if "outside" not in entry else _points(entry["outside"], shapes)
    return LinearCurve(x=tuple(x), points=tuple(points_at), missing=missing, outside=outside)


def _points(value: Any, shapes: Shapes) -> float:
    if isinstance(value, str) and shapes.words:
        if value not in shapes.words:
            raise ScorecardError(
                f"points must be a number or one of {first_few(shapes.words)}; got {value!r}."
                f"{nearest(value, shapes.words)}"
            )
        return shapes.words[value]
    return float(value)


def _bands(entry: Mapping[str, Any], shapes: Shapes, missing: float | None) -> BandCurve:
    bands = entry["bands"]
    edge = edge_of(entry, "bands") or shapes.edge
    if edge is None:
        raise ScorecardError(
            "bands need edge = 'top' or 'bottom' in the measure or the card: which band a bound belongs to."
        )
    if not (isinstance(bands, list) and all(isinstance(band, Mapping) for band in bands)):
        raise ScorecardError(
            f"bands must be tables: [{{to = 50, points = 0}}, {{points = 100}}]; got {bands!r}."
        )
    for i, band in enumerate(bands):
        strange = set(band) - {"to", "points", "label"}
        if strange or "points" not in band or ("to" in band) != (i < len(bands) - 1):
            raise ScorecardError(
                "every band must have points, may have a label, and all but the last must have 'to', "
                "where the "
                f"band ends; got {dict(band)!r}."
            )
    labels = tuple(str(band["label"]) for band in bands if "label" in band)
    return BandCurve(
        bounds=tuple(float(band["to"]) for band in bands[:-1]),
        points=tuple(_points(band["points"], shapes) for band in bands),
        edge=edge,
        labels=labels,
        missing=missing,
    )
