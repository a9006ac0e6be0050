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

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

OK, DEGRADED, WITHHELD, INVALID = "ok", "degraded", "withheld", "invalid"
_STATUSES = np.array([OK, DEGRADED, WITHHELD, INVALID], dtype=object)


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
        Share of the metrics that has a value, 0 to 1.
    status, status_detail : ndarray of str, shape (n,)
        ok, degraded, withheld or invalid, and why.
    """

    numbers: dict[str, Array]
    tier_code: NDArray[np.intp]
    tiers: Tiers
    coverage: Array
    status: NDArray[np.object_]
    status_detail: NDArray[np.object_]

    def columns(self) -> dict[str, Any]:
        """The published columns by name, in order."""
        return {
            **self.numbers,
            "tier": self.tiers.named(self.tier_code),
            "coverage": self.coverage,
            "status": pd.array(self.status, dtype="str"),
            "status_detail": pd.array(self.status_detail, dtype="str"),
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
        return plain | {"status": self.status[0], "status_detail": self.status_detail[0]}


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
    notes = _Notes(len(coverage))
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
    kept = {name: np.where(empty, np.nan, values) for name, values in numbers.items()}
    tier_code = tiers.codes(kept["health_score"])
    return Publication(kept, tier_code, tiers, coverage, _STATUSES[code], notes.text)


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


class _Notes:
    """Collects remarks on rows; rows without one cost nothing."""

    def __init__(self, n: int) -> None:
        self.text = np.full(n, "", dtype=object)

    def add(self, mask: Mask, remark: str) -> None:
        for i in np.flatnonzero(mask):
            self.text[i] = f"{self.text[i]}; {remark}" if self.text[i] else remark
