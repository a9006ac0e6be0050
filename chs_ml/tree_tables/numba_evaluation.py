"""Evaluating tables with numba: the same sums in the same order as with NumPy, compiled.

Import this module only when it is to be used: importing it imports numba and readies the kernel. Threads are
Python's own (the kernel releases the GIL): numba's parallel layers are global to the process, and break in
forked children and under concurrent callers.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from chs_ml.tree_tables.assembly import TableArrays

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shorts = NDArray[np.uint16]
Function = TypeVar("Function", bound=Callable[..., Any])

numba: Any = import_module("numba")  # it ships no types

_FEW_ROWS = 6
"""Below this, loops over rows are too short to pay for themselves: go row by row."""

_SEARCH_ROWS = 1024
"""Rows whose values are searched together: they stay in the first-level cache."""


class _Tables(NamedTuple):
    """What the kernel reads of `TableArrays`, under the same names."""

    used: Ints
    cut: Floats
    cut_start: Ints
    base: Shorts
    step_start: Ints
    step_feature: Ints
    step_atom: Shorts
    step_weight: Shorts
    look_start: Ints
    look_feature: Ints
    look_offset: Ints
    look: Shorts
    column_start: Ints
    column: Ints
    table_start: Ints
    table: Floats


_DTYPES: dict[Any, str] = {Ints: "int64", Floats: "float64", Shorts: "uint16"}


def add_rows(arrays: TableArrays, values: Floats, out: Floats, first: int, last: int) -> None:
    """Add margin and contributions of rows `first` to `last`; see `numpy_evaluation.add_rows`."""
    tables = _Tables(*(_read_only(getattr(arrays, name)) for name in _Tables._fields))
    _kernel(_read_only(values), out, first, last, tables)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """One kind of array, hence one kernel, whether fresh, from a pickle or from a memory-mapped file."""
    view = array.view()
    view.flags.writeable = False
    return view


def _compiled(function: Function) -> Function:
    return cast(Function, numba.njit(nogil=True, error_model="numpy")(function))


@_compiled
def _find_atoms(column: Floats, cuts: Floats, atoms: Shorts) -> None:
    """Count the cuts below each value, NaN being above them all.

    A binary search that takes each step for all rows before the next: five times faster than row by row,
    because no branch has to be guessed.
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
def _find_all_atoms(values: Floats, first: int, tables: _Tables, atoms: Shorts) -> None:
    n = atoms.shape[1]
    column = np.empty(min(n, _SEARCH_ROWS))
    for slot in range(len(tables.used)):
        feature = tables.used[slot]
        cuts = tables.cut[tables.cut_start[slot] : tables.cut_start[slot + 1]]
        for start in range(0, n, _SEARCH_ROWS):
            part = atoms[slot, start : start + _SEARCH_ROWS]
            for row in range(len(part)):
                column[row] = values[first + start + row, feature]
            _find_atoms(column[: len(part)], cuts, part)


@_compiled
def _add_steps(atoms: Shorts, atom: int, weight: int, pattern: Shorts) -> None:
    for row in range(len(pattern)):
        pattern[row] += weight if atoms[row] > atom else np.uint16(0)


@_compiled
def _add_looks(atoms: Shorts, look: Shorts, pattern: Shorts) -> None:
    for row in range(len(pattern)):
        pattern[row] += look[atoms[row]]


@_compiled
def _add_column(numbers: Floats, place: NDArray[np.int32], out: Floats) -> None:
    for row in range(len(place)):
        out[row] += numbers[place[row]]


@_compiled
def _add_by_column(t: _Tables, atoms: Shorts, out: Floats, first: int) -> None:
    n = atoms.shape[1]
    pattern, place = np.empty(n, dtype=np.uint16), np.empty(n, dtype=np.int32)
    for group in range(len(t.base)):
        pattern[:] = t.base[group]
        for step in range(t.step_start[group], t.step_start[group + 1]):
            _add_steps(atoms[t.step_feature[step]], t.step_atom[step], t.step_weight[step], pattern)
        for look in range(t.look_start[group], t.look_start[group + 1]):
            _add_looks(atoms[t.look_feature[look]], t.look[t.look_offset[look] :], pattern)
        columns = t.column[t.column_start[group] : t.column_start[group + 1]]
        width = np.int32(len(columns))
        for row in range(n):
            place[row] = np.int32(pattern[row]) * width
        numbers = t.table[t.table_start[group] : t.table_start[group + 1]]
        for nth in range(min(len(out), len(columns))):
            _add_column(numbers[nth:], place, out[columns[nth], first : first + n])


@_compiled
def _find_places(t: _Tables, atoms: Shorts, row: int, place: Ints) -> None:
    """Where one row's numbers begin in the table, for each group."""
    for group in range(len(t.base)):
        pattern = t.base[group]
        for step in range(t.step_start[group], t.step_start[group + 1]):
            above = np.uint16(atoms[t.step_feature[step], row] > t.step_atom[step])
            pattern = np.uint16(pattern + t.step_weight[step] * above)
        for look in range(t.look_start[group], t.look_start[group + 1]):
            pattern = np.uint16(pattern + t.look[t.look_offset[look] + atoms[t.look_feature[look], row]])
        width = t.column_start[group + 1] - t.column_start[group]
        place[group] = t.table_start[group] + np.int64(pattern) * width


@_compiled
def _add_by_row(t: _Tables, atoms: Shorts, out: Floats, first: int) -> None:
    place, touched = np.empty(len(t.base), dtype=np.int64), np.empty(len(t.base))
    for row in range(atoms.shape[1]):
        _find_places(t, atoms, row, place)
        # Most of the time goes into waiting for memory, each table being far from the last: a short loop that
        # only touches both ends of what will be read keeps many such waits under way at once.
        for group in range(len(place)):
            end = place[group] + t.column_start[group + 1] - t.column_start[group] - 1
            touched[group] = t.table[place[group]] + t.table[end]
        for group in range(len(place)):
            start, here = t.column_start[group], place[group]
            for nth in range(min(len(out), t.column_start[group + 1] - start)):
                out[t.column[start + nth], first + row] += t.table[here + nth]


def _add_rows(values: Floats, out: Floats, first: int, last: int, tables: _Tables) -> None:
    """Column by column for many rows, row by row for few; a number's additions come in the same order."""
    atoms = np.empty((len(tables.used), last - first), dtype=np.uint16)
    _find_all_atoms(values, first, tables, atoms)
    if last - first < _FEW_ROWS:
        _add_by_row(tables, atoms, out, first)
    else:
        _add_by_column(tables, atoms, out, first)


def _ready() -> Callable[..., None]:
    """Compile the kernel, or read it from numba's cache when there is a usable one.

    The cache lies beside this file or, where that is not writable, in the user's cache folder. Without any
    place to write, or with a damaged cache, the kernel is compiled in memory: some seconds' delay, never a
    failure.
    """
    types = numba.types

    def read_only(dtype: str, ndim: int, layout: str) -> Any:
        return types.Array(getattr(types, dtype), ndim, layout, readonly=True)

    hints = _Tables.__annotations__.values()
    tables = types.NamedTuple([read_only(_DTYPES[hint], 1, "C") for hint in hints], _Tables)
    signature = types.void(
        read_only("float64", 2, "A"), types.Array(types.float64, 2, "C"), types.int64, types.int64, tables
    )
    try:
        kernel = numba.njit(signature, cache=True, nogil=True, error_model="numpy")(_add_rows)
    except Exception:  # whatever is wrong with a cache, code compiled without it is right
        kernel = numba.njit(signature, nogil=True, error_model="numpy")(_add_rows)
    return cast(Callable[..., None], kernel)


_kernel = _ready()
