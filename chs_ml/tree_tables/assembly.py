"""From a plan to flat arrays that both evaluators read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import accumulate
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chs_ml.tree_tables.grouping import Digit, Group, Leaf
from chs_ml.tree_tables.plan import TablePlan
from chs_ml.tree_tables.shapley import leaf_contributions

_CHUNK = 1 << 21
"""Numbers in one batch of leaf contributions: bounds the memory of building."""

_MAX_STEPS = 6
"""A digit that changes more often along its feature's atoms is looked up instead of summed from steps."""


class Places(NamedTuple):
    """For some table columns: output row, first number in `table`, distance to the next, and group."""

    column: NDArray[np.int64]
    start: NDArray[np.int64]
    width: NDArray[np.int64]
    group: NDArray[np.int64]


@dataclass(frozen=True)
class TableArrays:
    """Flat arrays of all groups; `*_start[g] : *_start[g + 1]` is group g's part.

    Attributes
    ----------
    used : (u,) columns of X that any split asks.
    cut, cut_start : right ends of the atoms of each used feature.
    base : (g,) pattern of a row whose every digit is that of atom 0.
    step_feature, step_atom, step_weight : the pattern grows by the weight when the row's atom is greater
        than the step's.
    look_feature, look_offset, look : digits with many changes add `look[offset + atom]` instead.
    column_start, column : output row of each table column: first 0, the margin, then `1 + feature`.
    table_start, table : pattern after pattern, each with its columns side by side: a row reads one place.
    Patterns and their weights are 16-bit and wrap around, so a step down is a large weight.
    """

    used: NDArray[np.int64]
    cut: NDArray[np.float64]
    cut_start: NDArray[np.int64]
    base: NDArray[np.uint16]
    step_start: NDArray[np.int64]
    step_feature: NDArray[np.int64]
    step_atom: NDArray[np.uint16]
    step_weight: NDArray[np.uint16]
    look_start: NDArray[np.int64]
    look_feature: NDArray[np.int64]
    look_offset: NDArray[np.int64]
    look: NDArray[np.uint16]
    column_start: NDArray[np.int64]
    column: NDArray[np.int64]
    table_start: NDArray[np.int64]
    table: NDArray[np.float64]

    @cached_property
    def nbytes(self) -> int:
        return sum(getattr(self, field.name).nbytes for field in fields(self))

    @cached_property
    def group_of_step(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.base)), np.diff(self.step_start))

    @cached_property
    def group_of_look(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.base)), np.diff(self.look_start))

    @cached_property
    def places(self) -> Places:
        """Every table column, for evaluating all groups of a row at once."""
        width = np.diff(self.column_start)
        group = np.repeat(np.arange(len(width)), width)
        nth = np.arange(len(group)) - self.column_start[group]
        return Places(self.column, self.table_start[group] + nth, width[group], group)

    @cached_property
    def margin_places(self) -> Places:
        """The margin columns alone."""
        return Places(*(part[self.places.column == 0] for part in self.places))


def assemble(plan: TablePlan) -> TableArrays:
    """Fill every table of a plan."""
    slot = {feature: index for index, feature in enumerate(plan.cuts)}
    routes = [_route(group) for group in plan.groups]
    steps = [(slot[f], atom, weight) for route in routes for f, atom, weight in route.steps]
    looks = [(slot[f], digits) for route in routes for f, digits in route.looks]
    table_start = _starts(group.n_patterns * (1 + len(group.digits)) for group in plan.groups)
    return TableArrays(
        used=np.array(list(plan.cuts), dtype=np.int64),
        cut=np.concatenate([np.empty(0), *plan.cuts.values()]),
        cut_start=_starts(len(ends) for ends in plan.cuts.values()),
        base=_wrapped([route.base for route in routes]),
        step_start=_starts(len(route.steps) for route in routes),
        step_feature=np.array([feature for feature, _, _ in steps], dtype=np.int64),
        step_atom=_wrapped([atom for _, atom, _ in steps]),
        step_weight=_wrapped([weight for _, _, weight in steps]),
        look_start=_starts(len(route.looks) for route in routes),
        look_feature=np.array([feature for feature, _ in looks], dtype=np.int64),
        look_offset=_starts(len(digits) for _, digits in looks)[:-1],
        look=_wrapped([weight for _, digits in looks for weight in digits]),
        column_start=_starts(1 + len(group.digits) for group in plan.groups),
        column=np.array(
            [c for group in plan.groups for c in (0, *(1 + d.feature for d in group.digits))], dtype=np.int64
        ),
        table_start=table_start,
        table=_fill(plan, table_start),
    )


def expected_value(plan: TablePlan) -> float:
    """Mean margin when every feature is unknown: leaf values weighted by the odds of reaching them."""
    total = 0.0
    for group in plan.groups:
        for leaf in group.leaves:
            total += leaf.value * prod(leaf.odds.values())
    return total / plan.n_models


@dataclass(frozen=True, slots=True)
class _Route:
    """How a row finds its pattern in one group."""

    base: int
    steps: tuple[tuple[int, int, int], ...]
    looks: tuple[tuple[int, list[int]], ...]


def _route(group: Group) -> _Route:
    base, steps, looks = 0, [], []
    for digit, stride in zip(group.digits, _strides(group.digits), strict=True):
        change = np.diff(digit.of_atom)
        (where,) = np.nonzero(change)
        if len(where) > _MAX_STEPS:
            looks.append((digit.feature, (digit.of_atom * stride).tolist()))
            continue
        base += int(digit.of_atom[0]) * stride
        steps += [(digit.feature, int(atom), int(change[atom]) * stride) for atom in where]
    return _Route(base, tuple(steps), tuple(looks))


def _strides(digits: Sequence[Digit]) -> list[int]:
    return list(accumulate((len(digit.agrees) for digit in digits), int.__mul__, initial=1))[:-1]


def _starts(lengths: Iterator[int] | Sequence[int]) -> NDArray[np.int64]:
    return np.array(list(accumulate(lengths, initial=0)), dtype=np.int64)


def _wrapped(numbers: list[int]) -> NDArray[np.uint16]:
    return (np.array(numbers, dtype=np.int64) & 0xFFFF).astype(np.uint16)


def _fill(plan: TablePlan, table_start: NDArray[np.int64]) -> NDArray[np.float64]:
    table = np.zeros(int(table_start[-1]))
    for index, position, contributions in _leaf_batches(plan):
        group = plan.groups[index]
        part = table[table_start[index] : table_start[index + 1]].reshape(group.n_patterns, -1)
        _add_leaf(part.T, group, position, contributions)
    return table


def _leaf_batches(plan: TablePlan) -> Iterator[tuple[int, int, NDArray[np.float64]]]:
    """Contributions leaf by leaf, computed for many leaves of equally many features at once."""
    by_count: dict[int, list[tuple[int, int]]] = {}
    for index, group in enumerate(plan.groups):
        for position, leaf in enumerate(group.leaves):
            by_count.setdefault(len(leaf.odds), []).append((index, position))
    for count, places in sorted(by_count.items()):
        batch = max(1, _CHUNK // ((count + 1) << count))
        for first in range(0, len(places), batch):
            chosen = places[first : first + batch]
            leaves = [plan.groups[index].leaves[position] for index, position in chosen]
            odds = np.array([list(leaf.odds.values()) for leaf in leaves]).reshape(len(leaves), count)
            values = np.array([leaf.value for leaf in leaves])
            for (index, position), found in zip(chosen, leaf_contributions(odds, values), strict=True):
                yield index, position, found


def _add_leaf(
    part: NDArray[np.float64], group: Group, position: int, contributions: NDArray[np.float64]
) -> None:
    """Add one leaf to its group's table (columns by patterns)."""
    leaf = group.leaves[position]
    agreement = _agreement(group, position, leaf)
    part[0][agreement == (1 << len(leaf.odds)) - 1] += leaf.value
    column = {digit.feature: 1 + place for place, digit in enumerate(group.digits)}
    for found, feature in zip(contributions, leaf.odds, strict=True):
        part[column[feature]] += found[agreement]


def _agreement(group: Group, position: int, leaf: Leaf) -> NDArray[np.int64]:
    """For each pattern of the group, the bits of the leaf's features that agree."""
    bit = {feature: place for place, feature in enumerate(leaf.odds)}
    total = np.zeros(1, dtype=np.int64)
    for digit in group.digits:
        agrees = np.array([agree >> position & 1 for agree in digit.agrees], dtype=np.int64)
        own = agrees << bit[digit.feature] if digit.feature in bit else np.zeros_like(agrees)
        total = (own[:, None] + total).ravel()  # later digits have the larger strides
    return total
