"""Evaluating tables with NumPy: whole columns of a block of rows, or all groups of a single row.

Every output is a sum over groups in their order, starting from 0.0, in both ways and in the compiled
evaluator, so a row's numbers do not depend on the rows around it, to the last bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chs_ml.tree_tables.assembly import TableArrays

_FEW_ROWS = 64
"""Below this, going row by row is faster than going by columns."""

Floats = NDArray[np.float64]


def add_rows(arrays: TableArrays, values: Floats, out: Floats, first: int, last: int) -> None:
    """Add margin and contributions of rows `first` to `last`.

    Parameters
    ----------
    arrays : the tables.
    values : (n, k), any strides.
    out : (1 + k, n) or, for the margin alone, (1, n); zeros on entry.
    first, last : the rows to do.
    """
    add = _add_by_row if last - first < _FEW_ROWS else _add_by_column
    add(arrays, values[first:last], out[:, first:last])


def _atoms(arrays: TableArrays, rows: Floats) -> NDArray[np.uint16]:
    """(u, n) atom of each used feature; NaN sorts after the last cut, +inf, into the last atom."""
    atoms = np.empty((len(arrays.used), len(rows)), dtype=np.uint16)
    for slot, feature in enumerate(arrays.used):
        cuts = arrays.cut[arrays.cut_start[slot] : arrays.cut_start[slot + 1]]
        atoms[slot] = np.searchsorted(cuts, rows[:, feature])
    return atoms


def _add_by_column(arrays: TableArrays, rows: Floats, out: Floats) -> None:
    atoms = _atoms(arrays, rows)
    n = len(rows)
    pattern, grown = np.empty(n, dtype=np.uint16), np.empty(n, dtype=np.uint16)
    place, value = np.empty(n, dtype=np.intp), np.empty(n)
    for group in range(len(arrays.base)):
        _patterns(arrays, group, atoms, pattern, grown)
        first, last = arrays.column_start[group : group + 2]
        numbers = arrays.table[arrays.table_start[group] : arrays.table_start[group + 1]]
        np.multiply(pattern, last - first, out=place)
        for nth, column in enumerate(arrays.column[first : min(last, first + len(out))]):
            # `clip` skips a pass that checks the indexes; they are in range by construction.
            np.take(numbers[nth:], place, out=value, mode="clip")
            out[column] += value


def _patterns(
    arrays: TableArrays,
    group: int,
    atoms: NDArray[np.uint16],
    pattern: NDArray[np.uint16],
    grown: NDArray[np.uint16],
) -> None:
    """Write each row's pattern in one group into `pattern`; `grown` is scratch."""
    pattern.fill(arrays.base[group])
    for step in range(arrays.step_start[group], arrays.step_start[group + 1]):
        above = atoms[arrays.step_feature[step]] > arrays.step_atom[step]
        np.multiply(above, arrays.step_weight[step], out=grown)
        np.add(pattern, grown, out=pattern)
    for look in range(arrays.look_start[group], arrays.look_start[group + 1]):
        pattern += arrays.look[arrays.look_offset[look] + atoms[arrays.look_feature[look]].astype(np.intp)]


def _add_by_row(arrays: TableArrays, rows: Floats, out: Floats) -> None:
    atoms = _atoms(arrays, rows)
    column, start, width, group = arrays.margin_places if len(out) == 1 else arrays.places
    for row, atom in enumerate(atoms.T):
        pattern = arrays.base.copy()
        above = np.flatnonzero(atom[arrays.step_feature] > arrays.step_atom)
        np.add.at(pattern, arrays.group_of_step[above], arrays.step_weight[above])
        np.add.at(pattern, arrays.group_of_look, arrays.look[arrays.look_offset + atom[arrays.look_feature]])
        # bincount adds in the order given, starting from 0.0: the order of the groups.
        out[:, row] = np.bincount(
            column, weights=arrays.table[start + width * pattern[group]], minlength=len(out)
        )
