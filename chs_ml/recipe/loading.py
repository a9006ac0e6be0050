"""Loading a recipe, and saying in words what is wrong with it."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from chs_ml.errors import RecipeError, nearest
from chs_ml.recipe.document import Recipe
from chs_ml.recipe.raw_sections import Condition, LinkSpec, MetricSpec, OutcomeSpec, SnapshotSpec, TableSpec
from chs_ml.recipe.sections import DataSpec, ModelSpec, ScaleSpec, SplitSpec
from chs_ml.recipe.serving_sections import GateSpec, HubSpotSpec, SalesforceSpec, WritebackSpec
from chs_ml.recipe.validation_section import MarginsSpec, PromiseSpec, ValidationSpec, ValueSpec


def load_recipe(source: str | Path | Mapping[str, Any]) -> Recipe:
    """Load a recipe from a TOML file, or from a mapping of the same form.

    Parameters
    ----------
    source : str, Path or mapping
        Paths inside a file are relative to it; inside a mapping, to the working folder.

    Returns
    -------
    Recipe
        Frozen.

    Raises
    ------
    RecipeError
        Where the file is absent or no TOML, a key is unknown or missing, or a value cannot be.
    """
    if isinstance(source, Mapping):
        return _checked(source, "The recipe")
    path = Path(source)
    recipe = _checked(_parsed(path), f"The recipe {path.name}")
    recipe._folder = path.parent
    return recipe


def _parsed(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise RecipeError(f"No recipe at {path}: {'it is a folder' if path.is_dir() else 'no such file'}.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"The recipe {path.name} is not valid TOML: {error}.") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"The recipe {path.name} must be UTF-8 text; {error.reason}.") from error
    except OSError as error:
        raise RecipeError(f"The recipe {path} cannot be read: {error.strerror}.") from error


def _checked(content: Mapping[str, Any], name: str) -> Recipe:
    try:
        return Recipe.model_validate(dict(content))
    except ValidationError as error:
        found = [_in_words(details) for details in error.errors(include_url=False)]
        message = found[0] if len(found) == 1 else "\n- ".join([f"{len(found)} problems:", *found])
        raise RecipeError(f"{name}: {message}") from error


_SECTIONS: dict[str, type[BaseModel]] = {
    "data": DataSpec,
    "split": SplitSpec,
    "model": ModelSpec,
    "scale": ScaleSpec,
    "validation": ValidationSpec,
    "snapshots": SnapshotSpec,
    "outcomes": OutcomeSpec,
    "gate": GateSpec,
    "writeback": WritebackSpec,
}
_NAMED: dict[str, type[BaseModel]] = {"metrics": MetricSpec, "tables": TableSpec}
_INNER: dict[str, type[BaseModel]] = {
    "account_from": LinkSpec,
    "where": Condition,
    "among": Condition,
    "margins": MarginsSpec,
    "value": ValueSpec,
    "promises": PromiseSpec,
    "salesforce": SalesforceSpec,
    "hubspot": HubSpotSpec,
}
_SUBTABLES = {("validation", "margins"), ("validation", "value"), ("validation", "promises")}
_MUST_BE = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false, without quotes",
    "tuple_type": 'a list such as ["a", "b"]',
    "date_type": "a date such as 2024-01-31",
    "date_from_datetime_inexact": "a date such as 2024-01-31",
    "model_type": "a table of keys",
    "model_attributes_type": "a table of keys",
    "dict_type": "a table of keys",
}


def _in_words(details: ErrorDetails) -> str:
    place, kind, found = details["loc"], details["type"], details["input"]
    where = _key_path(place)
    if kind == "extra_forbidden":
        return _unknown_key(place)
    if kind == "missing":
        return f"{where} is missing: it must be given."
    if kind == "value_error":
        return f"{where} {details['ctx']['error']}.".lstrip().replace("..", ".")
    if kind in _MUST_BE:
        return f"{where} must be {_MUST_BE[kind]}; got {found!r}."
    rule = details["msg"].removeprefix("Input should be ").replace("'", '"')
    hint = nearest(found, re.findall(r'"(.+?)"', rule)) if isinstance(found, str) else ""
    return f"{where} must be {rule}; got {found!r}.{hint}"


def _key_path(place: tuple[int | str, ...]) -> str:
    if not place:
        return ""
    tables = 2 if place[0] in _NAMED or place[:2] in _SUBTABLES else 1
    section = ".".join(str(part) for part in place[:tables])
    rest = ".".join(str(part) for part in place[tables:])
    return f"[{section}] {rest}".strip()


def _unknown_key(place: tuple[int | str, ...]) -> str:
    key = str(place[-1])
    if len(place) == 1:
        homes = [name for name, spec in _SECTIONS.items() if key in _names(spec)]
        hint = f" Did you mean '[{homes[0]}] {key}'?" if homes else nearest(key, Recipe.model_fields)
        return f"Unknown table or key [{key}].{hint or _known(Recipe)}"
    section = str(place[0])
    spec = _NAMED.get(section) or _SECTIONS[section]
    for part in place[2 if section in _NAMED else 1 : -1]:
        spec = _INNER.get(str(part), spec)
    return f"Unknown key {_key_path(place)}.{nearest(key, _names(spec)) or _known(spec)}"


def _names(spec: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in spec.model_fields.items()]


def _known(spec: type[BaseModel]) -> str:
    return f" Known: {', '.join(_names(spec))}."
