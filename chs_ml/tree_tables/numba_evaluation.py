"""Evaluating tables with numba: the same sums in the same order as with NumPy, compiled.

Import this module only when it is to be used: importing it imports numba and readies the kernel. Threads are Python's own (the
kernel releases the GIL): numba's parallel layers are global to the process, and break in forked children and under
concurrent callers.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from chs_ml.tree_tables.assembly import TableArrays

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shorts = NDArray[np.uint16]
Function = TypeVar("Function", bound=Callable[..., Any])

numba: Any = import_module("numba")  # it ships no types

_FEW_ROWS = 16
"""Below this, loops over rows are too short to pay for themselves: go row by row."""

_SEARCH_ROWS = 1024
"""Rows whose values are searched together: they stay in the first-level cache."""


def _compiled(function: Function) -> Function:
    return cast(Function, numba.njit(nogil=True, error_model="numpy")(function))


@_compiled
def _find_atoms(column: Floats, cuts: Floats, atoms: Shorts) -> None:
    """Count the cuts below each value, NaN being above them all.

    A binary search that takes each step for all rows before the next: five times faster than row by row, because no branch
    has to be guessed.
    """
    below = np.zeros(len(column), dtype=np.int32)
    length = len(cuts)
    while length > 1:
        half = length >> 1
        step, tested = np.int32(half), cuts[half - 1 :]
        for row in range(len(column)):
            below[row] += np.int32(0) if column[row] <= tested[below[row]] else step
        length -= half
    for row in range(len(column)):
        atoms[row] = below[row] + (np.int32(0) if column[row] <= cuts[below[row]] else np.int32(1))


@_compiled
def _add_steps(atoms: Shorts, atom: int, weight: int, pattern: Shorts) -> None:
    none = np.uint16(0)
    for row in range(len(pattern)):
        pattern[row] += weight if atoms[row] > atom else none


@_compiled
def _add_looks(atoms: Shorts, look: Shorts, pattern: Shorts) -> None:
    for row in range(len(pattern)):
        pattern[row] += look[atoms[row]]


@_compiled
def _add_column(numbers: Floats, place: NDArray[np.int32], out: Floats) -> None:
    for row in range(len(place)):
        out[row] += numbers[place[row]]


@_compiled
def _find_all_atoms(values: Floats, first: int, used: Ints, cut: Floats, cut_start: Ints, atoms: Shorts) -> None:
    n = atoms.shape[1]
    column = np.empty(min(n, _SEARCH_ROWS))
    for slot in range(len(used)):
        cuts = cut[cut_start[slot] : cut_start[slot + 1]]
        for start in range(0, n, _SEARCH_ROWS):
            part = atoms[slot, start : start + _SEARCH_ROWS]
            for row in range(len(part)):
                column[row] = values[first + start + row, used[slot]]
            _find_atoms(column[: len(part)], cuts, part)


# fmt: off
@_compiled
def _add_by_row(
    atoms: Shorts, out: Floats, first: int, base: Shorts,
    step_start: Ints, step_feature: Ints, step_atom: Shorts, step_weight: Shorts,
    look_start: Ints, look_feature: Ints, look_offset: Ints, look: Shorts,
    column_start: Ints, column: Ints, table_start: Ints, table: Floats,
) -> None:
    place = np.empty(len(base), dtype=np.int64)
    for row in range(atoms.shape[1]):
        for group in range(len(base)):
            pattern = base[group]
            for step in range(step_start[group], step_start[group + 1]):
                above = np.uint16(atoms[step_feature[step], row] > step_atom[step])
                pattern = np.uint16(pattern + step_weight[step] * above)
            for item in range(look_start[group], look_start[group + 1]):
                pattern = np.uint16(pattern + look[look_offset[item] + atoms[look_feature[item], row]])
            place[group] = table_start[group] + np.int64(pattern) * (column_start[group + 1] - column_start[group])
        # In a loop of its own, the reading of many tables, each far from the last, overlaps.
        for group in range(len(base)):
            start, here = column_start[group], place[group]
            for nth in range(min(len(out), column_start[group + 1] - start)):
                out[column[start + nth], first + row] += table[here + nth]


@_compiled
def _add_by_column(
    atoms: Shorts, out: Floats, first: int, base: Shorts,
    step_start: Ints, step_feature: Ints, step_atom: Shorts, step_weight: Shorts,
    look_start: Ints, look_feature: Ints, look_offset: Ints, look: Shorts,
    column_start: Ints, column: Ints, table_start: Ints, table: Floats,
) -> None:
    n = atoms.shape[1]
    pattern, place = np.empty(n, dtype=np.uint16), np.empty(n, dtype=np.int32)
    for group in range(len(base)):
        pattern[:] = base[group]
        for step in range(step_start[group], step_start[group + 1]):
            _add_steps(atoms[step_feature[step]], step_atom[step], step_weight[step], pattern)
        for item in range(look_start[group], look_start[group + 1]):
            _add_looks(atoms[look_feature[item]], look[look_offset[item] :], pattern)
        columns = column[column_start[group] : column_start[group + 1]]
        width = np.int32(len(columns))
        for row in range(n):
            place[row] = np.int32(pattern[row]) * width
        numbers = table[table_start[group] : table_start[group + 1]]
        for nth in range(min(len(out), width)):
            _add_column(numbers[nth:], place, out[columns[nth], first : first + n])


def _add_rows(
    values: Floats, out: Floats, first: int, last: int, used: Ints, cut: Floats, cut_start: Ints, base: Shorts,
    step_start: Ints, step_feature: Ints, step_atom: Shorts, step_weight: Shorts,
    look_start: Ints, look_feature: Ints, look_offset: Ints, look: Shorts,
    column_start: Ints, column: Ints, table_start: Ints, table: Floats,
) -> None:
    """Column by column for many rows, row by row for few; a number's additions come in the same order."""
    atoms = np.empty((len(used), last - first), dtype=np.uint16)
    _find_all_atoms(values, first, used, cut, cut_start, atoms)
    if last - first < _FEW_ROWS:
        _add_by_row(
            atoms, out, first, base, step_start, step_feature, step_atom, step_weight,
            look_start, look_feature, look_offset, look, column_start, column, table_start, table,
        )
    else:
        _add_by_column(
            atoms, out, first, base, step_start, step_feature, step_atom, step_weight,
            look_start, look_feature, look_offset, look, column_start, column, table_start, table,
        )
# fmt: on


_ARGUMENTS = {
    "used": "int64",
    "cut": "float64",
    "cut_start": "int64",
    "base": "uint16",
    "step_start": "int64",
    "step_feature": "int64",
    "step_atom": "uint16",
    "step_weight": "uint16",
    "look_start": "int64",
    "look_feature": "int64",
    "look_offset": "int64",
    "look": "uint16",
    "column_start": "int64",
    "column": "int64",
    "table_start": "int64",
    "table": "float64",
}


def _ready() -> Callable[..., None]:
    """Compile the kernel, or read it from numba's cache when there is a usable one.

    The cache lies beside this file or, where that is not writable, in the user's cache folder. Without any place to write,
    or with a damaged cache, the kernel is compiled in memory: some seconds' delay, never a failure.
    """

    def array(dtype: str, ndim: int = 1, layout: str = "C") -> Any:
        # Declared read-only, an argument may be either.
        return numba.types.Array(getattr(numba.types, dtype), ndim, layout, readonly=True)

    whole = numba.types.int64
    out = numba.types.Array(numba.types.float64, 2, "C")
    signature = numba.types.void(array("float64", 2, "A"), out, whole, whole, *map(array, _ARGUMENTS.values()))
    try:
        kernel = numba.njit(signature, cache=True, nogil=True, error_model="numpy")(_add_rows)
    except Exception:  # whatever is wrong with a cache, code compiled without it is right
        kernel = numba.njit(signature, nogil=True, error_model="numpy")(_add_rows)
    return cast(Callable[..., None], kernel)


_kernel = _ready()


def add_rows(arrays: TableArrays, values: Floats, out: Floats, first: int, last: int) -> None:
    """Add margin and contributions of rows `first` to `last`; see `numpy_evaluation.add_rows`."""
    _kernel(values, out, first, last, *(getattr(arrays, name) for name in _ARGUMENTS))
