"""Which values a model cannot tell apart.

All splits on a feature, over all trees, cut its values into *atoms*: half-open intervals
`(cut[i-1], cut[i]]`, and NaN. Within an atom every split of the model answers alike, so an atom's number is
all that evaluation needs, and one value (its right end) stands for it when a split is asked. Categories are
intervals too: the code 3 is what LightGBM truncates to 3, hence `[3, 4)`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from chs_ml.tree_tables.errors import UnsupportedModelError
from chs_ml.tree_tables.model_text import Split

ZERO = float(np.float32(1e-35))
"""LightGBM's kZeroThreshold, a float literal read as double; values within it are zero, on both sides."""

_BELOW_ZERO = float(np.nextafter(-ZERO, -np.inf))
_MISSING_ZERO, _MISSING_NAN = 1, 2
MAX_CUTS = 65_534
"""Atoms are numbered in 16 bits."""


def goes_left(split: Split, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Answer one split for an array of values exactly as LightGBM's dense prediction does."""
    missing = np.isnan(values)
    if split.categories is not None:
        # NaN, negative, infinite and unseen codes go right; fractions are cut off towards zero.
        codes = np.trunc(np.where(missing, -1.0, values))
        return np.isin(codes, split.categories)
    numbers = np.where(np.abs(values) <= ZERO, 0.0, values)
    if split.missing != _MISSING_NAN:
        numbers = np.where(missing, 0.0, numbers)
        missing = numbers == 0.0 if split.missing == _MISSING_ZERO else np.zeros_like(missing)
    return np.where(missing, split.default_left, numbers <= split.threshold)


def cut_points(splits: Iterable[Split]) -> NDArray[np.float64]:
    """Right ends of a feature's atoms, ascending, the last one `+inf`.

    Raises
    ------
    UnsupportedModelError : when the feature has more than 65,534 cuts.
    """
    cuts = np.concatenate([_cuts_of(split) for split in splits])
    inside_zero = (cuts > _BELOW_ZERO) & (cuts < ZERO)
    if inside_zero.any():
        # All values within the zero threshold are one value to LightGBM: no cut may divide them.
        cuts = np.concatenate([cuts[~inside_zero], [_BELOW_ZERO, ZERO]])
    cuts = np.unique(np.concatenate([cuts, [np.inf]]))
    if len(cuts) > MAX_CUTS:
        raise UnsupportedModelError(f"a feature is cut at {len(cuts)} places, more than {MAX_CUTS}")
    return cuts


def atom_values(cuts: NDArray[np.float64]) -> NDArray[np.float64]:
    """One value per atom, in the order of their numbers; NaN comes last."""
    return np.concatenate([cuts, [np.nan]])


def _cuts_of(split: Split) -> NDArray[np.float64]:
    if split.categories is None:
        zero = [_BELOW_ZERO, ZERO] if split.missing == _MISSING_ZERO else []
        return np.array([split.threshold, *zero])
    # Code c is [c, c + 1), except that truncation towards zero makes 0 the open interval (-1, 1).
    starts = np.where(split.categories == 0, -1.0, np.nextafter(split.categories.astype(np.float64), -np.inf))
    ends = np.nextafter(split.categories + 1.0, -np.inf)
    return np.concatenate([starts, ends])
