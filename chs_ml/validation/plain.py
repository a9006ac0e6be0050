"""Frozen objects as plain dictionaries and back: stable keys, plain floats, NaN as null."""

import json
import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from chs_ml.errors import BundleError

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Turn a value made of frozen dataclasses into dictionaries, lists, text, integers and floats.

    Parameters
    ----------
    value : object
        Dataclasses, mappings, sequences and scalars, nested at will. Missing and infinite numbers
        become None, for JSON has neither.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [to_plain(item) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value if value is None else str(value)


def to_json(value: Any) -> str:
    """JSON of `to_plain`, indented, keys in the order of the fields."""
    return json.dumps(to_plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def from_plain(kind: type[T], data: Any) -> T:
    """Rebuild a dataclass from what `to_plain` made of it.

    Parameters
    ----------
    kind : type
        The dataclass to build.
    data : dict
        Its fields. Null numbers become NaN; absent fields take their defaults.

    Raises
    ------
    BundleError
        Where a field is lacking or of the wrong shape.
    """
    try:
        built: T = _built(kind, data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(
            f"A saved {kind.__name__} must hold the fields of this version; reading it failed at {error}. "
            "Write it again with the version that reads it."
        ) from error
    return built


def _built(kind: Any, data: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return None if data is None else _built(next(a for a in get_args(kind) if a is not type(None)), data)
    if origin is tuple:
        return tuple(_built(get_args(kind)[0], item) for item in data)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        inner = get_args(kind)[1]
        return {key: _built(inner, item) for key, item in data.items()}
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        known = {f.name: _built(hints[f.name], data[f.name]) for f in fields(kind) if f.name in data}
        return kind(**known)  # type: ignore[operator]
    return _scalar(kind, data)


def _scalar(kind: Any, data: Any) -> Any:
    if kind is float:
        return float("nan") if data is None else float(data)
    if kind is Any:
        return data
    return kind(data)
