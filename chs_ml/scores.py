"""The published table of scores: one row per input row, each with a status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.inputs import Encoded, InputSchema
from chs_ml.tiers import Tiers
from chs_ml.values import labelled

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

COVERAGE_DECIMALS = 9
STATUSES = OK, DEGRADED, WITHHELD, INVALID = "ok", "degraded", "withheld", "invalid"


@dataclass
class Notes:
    """Remarks on rows: each distinct text once, and which one a row has. Rows without one cost nothing.

    Attributes
    ----------
    code : ndarray of int, shape (n,)
        Position of each row's text; 0 is the empty text.
    texts : list of str
        Distinct texts.
    """

    code: NDArray[np.intp]
    texts: list[str]

    @classmethod
    def none(cls, n: int) -> Notes:
        """No remark on any of n rows."""
        return cls(np.zeros(n, dtype=np.intp), [""])

    def add(self, mask: Mask, remark: str) -> None:
        """Say something of the rows of a mask of shape (n,), after what they say already."""
        rows = np.flatnonzero(mask)
        if not len(rows):
            return
        before = self.code[rows]
        after = np.zeros(len(self.texts), dtype=np.intp)
        for code in np.flatnonzero(np.bincount(before)).tolist():
            after[code] = len(self.texts)
            self.texts.append(f"{self.texts[code]}; {remark}" if code else remark)
        self.code[rows] = after[before]


@dataclass(frozen=True)
class Publication:
    """Scores with their status, as arrays.

    Attributes
    ----------
    numbers : dict of str to ndarray of shape (n,)
        ``churn_probability`` (where there is one) and ``health_score``; NaN where withheld or invalid.
    tier_code : ndarray of int, shape (n,)
        Position of the tier, 0 = healthiest, -1 where there is no score.
    tiers : Tiers
        Their names.
    coverage : ndarray of shape (n,)
        Share of what the score rests on that has a value, 0 to 1.
    status_code : ndarray of int, shape (n,)
        Position among ok, degraded, withheld, invalid.
    notes : Notes
        Why.
    """

    numbers: dict[str, Array]
    tier_code: NDArray[np.intp]
    tiers: Tiers
    coverage: Array
    status_code: NDArray[np.intp]
    notes: Notes

    def columns(self) -> dict[str, Any]:
        """The published columns by name, in order."""
        return {
            **self.numbers,
            "tier": self.tiers.named(self.tier_code),
            "coverage": self.coverage,
            "status": labelled(STATUSES, self.status_code),
            "status_detail": labelled(self.notes.texts, self.notes.code),
        }

    def to_frame(self, index: pd.Index) -> pd.DataFrame:
        """One row per input row, under the index of the input."""
        return pd.DataFrame(self.columns(), index=index)

    def first(self) -> dict[str, object]:
        """The first row as plain values; None where there is no number."""
        plain: dict[str, object] = {
            name: None if np.isnan(values[0]) else float(values[0]) for name, values in self.numbers.items()
        }
        code = int(self.tier_code[0])
        plain["tier"] = None if code < 0 else self.tiers.names[code]
        plain["coverage"] = float(self.coverage[0])
        detail = self.notes.texts[self.notes.code[0]]
        return plain | {"status": STATUSES[self.status_code[0]], "status_detail": detail}


def published_coverage(coverage: Array) -> Array:
    """Round coverage of shape (n,) once, for publication, to 9 decimals."""
    return np.round(coverage, COVERAGE_DECIMALS)


def publish(
    numbers: Mapping[str, Array],
    encoded: Encoded,
    schema: InputSchema,
    *,
    tiers: Tiers,
    coverage: Array,
    floor: float,
    remarks: Sequence[tuple[str, Mask]] = (),
    exempt: Mask | None = None,
) -> Publication:
    """Give every row its status and take back the numbers of rows that must not have one.

    Parameters
    ----------
    numbers : mapping of str to ndarray of shape (n,)
        Published numbers; must hold ``health_score``, from which the tier is cut.
    encoded : Encoded
        The rows as read.
    schema : InputSchema
        How they were read.
    tiers : Tiers
        Where tiers begin.
    coverage : ndarray of shape (n,)
        Share of what the score rests on that has a value.
    floor : float
        Scores are withheld where coverage is below it, and always where nothing is known.
    remarks : sequence of (str, mask of shape (n,)), optional
        What else degrades rows, such as stale values.
    exempt : mask of shape (n,), optional
        Rows that are not withheld, whatever is known: somebody set their score.
    """
    code = np.zeros(len(coverage), dtype=np.intp)
    notes = Notes.none(len(coverage))
    for name, mask in _surprises(encoded, schema):
        code[mask] = 1
        notes.add(mask, f"missing: {name}")
    for name, mask in encoded.unseen.items():
        code[mask] = 1
        notes.add(mask, f"unseen category: {name}")
    for remark, mask in remarks:
        code[mask] = 1
        notes.add(mask, remark)
    withheld = (coverage < floor) | (coverage <= 0.0)
    if exempt is not None:
        withheld &= ~exempt
    code[withheld] = 2
    notes.add(withheld, f"coverage below {max(floor, 1e-9):.0%}" if floor > 0 else "no metric has a value")
    for name, mask in encoded.unreadable.items():
        code[mask] = 3
        notes.add(mask, f"unreadable or infinite: {name}")
    empty = code >= 2
    kept = {n: np.where(empty, np.nan, v) if empty.any() else v for n, v in numbers.items()}
    tier_code = tiers.codes(kept["health_score"])
    return Publication(kept, tier_code, tiers, coverage, code, notes)


def _surprises(encoded: Encoded, schema: InputSchema) -> list[tuple[str, Mask]]:
    """Values that are missing although training never lacked them, or whose column is absent."""
    found = []
    for i, column in enumerate(schema.columns):
        name = column.metric.name
        if name in encoded.absent:
            found.append((name, np.ones(len(encoded.values), dtype=bool)))
        elif not column.missing_seen:
            missing = np.isnan(encoded.values[:, i])
            if name in encoded.unreadable:
                missing &= ~encoded.unreadable[name]
            if missing.any():
                found.append((name, missing))
    return found
