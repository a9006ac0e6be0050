"""Scorecards from TOML.

Format 1 knows measures with curves or categories. Format 2 adds bands, groups, sums, ageing, limits, schemes
and dialects. A card that uses nothing of format 2 is written as format 1, and both score the same for ever.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chs_ml.curves import CategoryCurve
from chs_ml.errors import ScorecardError, nearest
from chs_ml.inputs import InputColumn
from chs_ml.metric import DEFAULT_GROUP, Direction, Kind, Metric
from chs_ml.scorecard.card import Scorecard
from chs_ml.scorecard.dialects import Dialect, check_dialect, dialect_of
from chs_ml.scorecard.measure import Measure
from chs_ml.scorecard.missing import MissingRule
from chs_ml.scorecard.reading_curves import Shapes, curve_from, edge_of, number
from chs_ml.scorecard.rules import Combine, Group, Limit, Scheme, Staleness, StaleRule

FORMATS = (1, 2)

CARD_KEYS = {
    1: ("format", "name", "missing", "measures"),
    2: (
        "format", "name", "missing", "measures", "dialect", "combine", "neutral", "coverage_floor", "start",
        "low", "high", "top", "edge", "groups", "limits", "scheme",
    ),
}  # fmt: skip
_MEASURE_1 = (
    "group label unit direction kind required weight curve categories other missing_points low high "
    "missing_seen"
)
MEASURE_KEYS = {
    1: tuple(_MEASURE_1.split()),
    2: (
        *_MEASURE_1.split(),
        "bands",
        "edge",
        "outside",
        "column",
        "stale_date",
        "stale_after",
        "stale",
        "decay_days",
    ),
}
GROUP_KEYS = ("weight", "low", "high", "largest_share")
LIMIT_KEYS = ("measure", "points_at_most", "points_at_least", "score_at_most", "score_at_least")


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
    return card_from_text(text_of(file), source=file.name)


def text_of(file: Path) -> str:
    """The text of a scorecard file."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScorecardError(f"A scorecard must be a readable UTF-8 file; {file}: {error}.") from error


def table_of(text: str, source: str) -> dict[str, Any]:
    """Parse TOML; `source` is named in errors."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScorecardError(f"{source} must be TOML: {error}.") from error


def card_from_text(text: str, *, source: str) -> Scorecard:
    """Read a card from text; `source` is named in errors."""
    table = table_of(text, source)
    number_of_format = table.get("format")
    if number_of_format not in FORMATS or isinstance(number_of_format, bool):
        raise ScorecardError(f"{source} must say format = 1 or 2; found {number_of_format!r}.")
    known_keys(table, CARD_KEYS[number_of_format], source)
    dialect = dialect_of(table, source)
    table = {**(dialect.defaults if dialect else {}), **table}
    measures = table.get("measures")
    if not isinstance(measures, Mapping) or not measures:
        raise ScorecardError(f"{source} must have at least one [measures.<metric>].")
    card = _card(table, measures, source=source, dialect=dialect)
    check_dialect(card, source)
    return card


def known_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Refuse unknown keys, with the nearest known one."""
    for key in table:
        if key not in known:
            hint = nearest(key, known)
            if not hint and key in (*CARD_KEYS[2], *MEASURE_KEYS[2]):
                hint = " It needs format = 2."
            raise ScorecardError(f"{where}: unknown key {key!r}.{hint}")


def _card(
    table: Mapping[str, Any], measures: Mapping[str, Any], *, source: str, dialect: Dialect | None
) -> Scorecard:
    combine = _word(Combine, table, "combine", Combine.MEAN, source)
    default = MissingRule.NEUTRAL if combine is Combine.SUM else MissingRule.RENORMALISE
    shapes = Shapes(
        keys=MEASURE_KEYS[table["format"]],
        edge=edge_of(table, source),
        words={} if dialect is None else dialect.words,
    )
    numbers = {key: number(table, key, source) for key in ("neutral", "low", "high")}
    top = number(table, "top", source)
    return Scorecard(
        name=str(table.get("name", source)),
        measures=tuple(_measure(name, entry, source, shapes) for name, entry in measures.items()),
        missing=_word(MissingRule, table, "missing", default, source),
        combine=combine,
        groups=_groups(table.get("groups", {}), source),
        limits=_limits(table.get("limits", []), source),
        scheme=_scheme(table.get("scheme"), shapes, source),
        dialect="" if dialect is None else dialect.name,
        top=100.0 if top is None else top,
        coverage_floor=number(table, "coverage_floor", source) or 0.0,
        start=number(table, "start", source) or 0.0,
        **numbers,
    )


def _word(kind: Any, table: Mapping[str, Any], key: str, default: Any, source: str) -> Any:
    try:
        return kind(table.get(key, default))
    except ValueError as error:
        known = ", ".join(repr(str(word)) for word in kind)
        raise ScorecardError(f"{source}: {key} must be one of {known}; got {table[key]!r}.") from error


def _groups(entries: Any, source: str) -> tuple[Group, ...]:
    found = []
    for name, entry in _tables(entries, f"{source} [groups]").items():
        where = f"{source} [groups.{name}]"
        known_keys(entry, GROUP_KEYS, where)
        found.append(Group(name=name, **{key: number(entry, key, where) for key in GROUP_KEYS}))
    return tuple(found)


def _tables(entries: Any, where: str) -> Mapping[str, Mapping[str, Any]]:
    if not isinstance(entries, Mapping) or not all(isinstance(e, Mapping) for e in entries.values()):
        raise ScorecardError(f"{where} must hold a table each.")
    return entries


def _limits(entries: Any, source: str) -> tuple[Limit, ...]:
    if not isinstance(entries, list) or not all(isinstance(e, Mapping) for e in entries):
        raise ScorecardError(f"{source}: limits must be tables, each under [[limits]].")
    found = []
    for entry in entries:
        known_keys(entry, LIMIT_KEYS, f"{source} [[limits]]")
        numbers = {key: number(entry, key, f"{source} [[limits]]") for key in LIMIT_KEYS[1:]}
        found.append(Limit(measure=str(entry.get("measure", "")), **numbers))
    return tuple(found)


def _scheme(entry: Any, shapes: Shapes, source: str) -> Scheme | None:
    if entry is None:
        return None
    where = f"{source} [scheme]"
    if not isinstance(entry, Mapping):
        raise ScorecardError(f"{where} must be a table.")
    known_keys(entry, ("labels", "bounds", "edge"), where)
    edge = edge_of(entry, where) or shapes.edge
    if edge is None:
        raise ScorecardError(f"{where} must say edge = 'top' or 'bottom': which label a bound belongs to.")
    try:
        bounds = tuple(float(bound) for bound in entry.get("bounds", ()))
    except (TypeError, ValueError) as error:
        raise ScorecardError(f"{where}: bounds must be numbers; got {entry.get('bounds')!r}.") from error
    return Scheme(labels=tuple(str(label) for label in entry.get("labels", ())), bounds=bounds, edge=edge)


def _measure(name: str, entry: Any, source: str, shapes: Shapes) -> Measure:
    where = f"{source} [measures.{name}]"
    if not isinstance(entry, Mapping):
        raise ScorecardError(f"{where} must be a table.")
    known_keys(entry, shapes.keys, where)
    if sum(shape in entry for shape in ("curve", "categories", "bands")) != 1:
        more = ", or bands" if "bands" in shapes.keys else ""
        raise ScorecardError(f"{where} must have either a curve or categories{more}.")
    try:
        curve = curve_from(entry, shapes)
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
        staleness = _staleness(entry)
    except KeyError as error:
        raise ScorecardError(f"{where} must have a {error.args[0]}.") from error
    except (TypeError, ValueError, ScorecardError) as error:
        raise ScorecardError(f"{where}: {error}") from error
    categories = curve.categories if isinstance(curve, CategoryCurve) else ()
    column = InputColumn(
        metric=metric,
        categories=categories,
        low=low,
        high=high,
        missing_seen=seen,
        source=_source(entry, name),
    )
    return Measure(column=column, curve=curve, weight=weight, staleness=staleness)


def _staleness(entry: Mapping[str, Any]) -> Staleness | None:
    if not any(key in entry for key in ("stale_date", "stale_after", "stale", "decay_days")):
        return None
    return Staleness(
        date=str(entry["stale_date"]),
        after=float(entry["stale_after"]),
        rule=StaleRule(entry.get("stale", StaleRule.FLAG)),
        decay_days=float(entry.get("decay_days", 0.0)),
    )


def _source(entry: Mapping[str, Any], name: str) -> str:
    source = str(entry.get("column", ""))
    return "" if source == name else source


def _flag(entry: Mapping[str, Any], key: str) -> bool:
    value = entry.get(key, True)
    if not isinstance(value, bool):
        raise ScorecardError(f"{key} must be true or false, without quotes; got {value!r}.")
    return value
