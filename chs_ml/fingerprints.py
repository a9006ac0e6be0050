"""Fingerprints of data: equal data, equal text, on every machine."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd


def file_fingerprint(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def columns_fingerprint(columns: Mapping[str, Any]) -> str:
    """The sha256 over named columns of n values each, in the order given.

    Numbers count by their value; the same rows in another order, or a number that was read as text, are
    other data.
    """
    digest = hashlib.sha256()
    for name, column in columns.items():
        digest.update(name.encode(errors="replace") + b"\0")
        digest.update(_hashes(pd.Series(column)).to_numpy().tobytes())
    return digest.hexdigest()


def _hashes(column: pd.Series) -> pd.Series:
    try:
        return pd.util.hash_pandas_object(column, index=False)
    except TypeError:  # lists and the like do not hash
        return pd.util.hash_pandas_object(column.map(repr), index=False)
