"""Splitting a tree's leaves into groups small enough for one table each.

Leaves are taken in the order they stand in the tree. For a group of neighbouring leaves and a feature, what
matters of a value is only which of the group's leaves it agrees with; atoms that agree with the same leaves
share a *digit*. A group's table has one row per combination of digits, so a group is feasible when the
product of its digit counts is small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from chs_ml.tree_tables.atoms import goes_left
from chs_ml.tree_tables.errors import UngroupableTreeError
from chs_ml.tree_tables.model_text import Split, Tree

LONE_LEAF_NODES = 16
"""A leaf that fits no group has a table of its own, up to this many yes/no answers.

Patterns are numbered in 16 bits; such a table takes 9 MB.
"""

# Costs of evaluating one row, in units of one table look-up and addition (about 0.6 ns compiled).
_STEP_COST = 0.1
_GROUP_COST = 0.3
_STREAM_COST = 1.3 / 8192  # reading one number of the table from memory, shared by the rows of a block


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf as its path tells it.

    `odds` maps each distinct feature of the path to the share of training rows that agree with the path's
    splits on that feature when it is unknown: the product of child cover over parent cover.
    """

    value: float
    odds: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class FeatureAnswers:
    """What one feature's atoms answer in one tree.

    Each atom has a state; each state a bit set of the leaves it agrees with.
    """

    state_of_atom: NDArray[np.int64]
    leaves_of_state: tuple[int, ...]
    path_leaves: int
    """Bit set of the leaves whose path asks the feature."""


@dataclass(frozen=True, slots=True)
class Digit:
    """One feature's part of a group's pattern."""

    feature: int
    of_atom: NDArray[np.int64]
    agrees: tuple[int, ...]
    """For each digit value, a bit set of the group's leaves that it agrees with."""


@dataclass(frozen=True)
class Group:
    """Neighbouring leaves that share one table of `n_patterns` rows and `1 + len(digits)` columns."""

    leaves: tuple[Leaf, ...]
    digits: tuple[Digit, ...]

    @cached_property
    def n_patterns(self) -> int:
        return prod(len(digit.agrees) for digit in self.digits)


def group_leaves(tree: Tree, atoms: Mapping[int, NDArray[np.float64]], max_nodes: int) -> tuple[Group, ...]:
    """Split a tree's leaves into neighbouring groups at the least evaluation cost.

    Parameters
    ----------
    tree : the tree.
    atoms : per feature, one value for each of its atoms.
    max_nodes : groups of several leaves have at most `2**max_nodes` patterns.

    Raises
    ------
    UngroupableTreeError : when one leaf alone needs more than `2**16` patterns.
    """
    leaves, place = _walk(tree)
    sides = _sides(tree, place)
    answers = {
        feature: _answers(tree, feature, values, sides, len(leaves))
        for feature, values in atoms.items()
        if any(feature in leaf.odds for leaf in leaves)
    }
    bounds = _cheapest_bounds(len(leaves), answers, max_nodes)
    return tuple(_group(leaves, answers, first, last) for first, last in bounds)


def _walk(tree: Tree) -> tuple[list[Leaf], dict[int, int]]:
    """Leaves from left to right, and the place of each child pointer `~leaf` in that order."""
    leaves: list[Leaf] = []
    place: dict[int, int] = {}
    stack: list[tuple[int, dict[int, float]]] = [(0 if tree.splits else ~0, {})]
    while stack:
        node, odds = stack.pop()
        if node < 0:
            place[node] = len(leaves)
            leaves.append(Leaf(tree.leaf_value[~node], odds))
            continue
        split = tree.splits[node]
        for child in (split.right, split.left):
            known = odds.get(split.feature, 1.0)
            stack.append((child, odds | {split.feature: known * _share(tree, split, child)}))
    return leaves, place


def _share(tree: Tree, split: Split, child: int) -> float:
    """Share of a split's training rows that went to one child."""
    cover = tree.splits[child].cover if child >= 0 else tree.leaf_cover[~child]
    # A node that no training row reached has no odds of its own. It is entered with odds 0, so any choice
    # leaves the expected value alone; halves keep the odds a distribution.
    return cover / split.cover if split.cover > 0 else 0.5


def _sides(tree: Tree, place: Mapping[int, int]) -> list[tuple[int, int]]:
    """For each split the bit sets of the leaves on its left and on its right."""
    below = {child: 1 << position for child, position in place.items()}
    sides = []
    for node in reversed(range(len(tree.splits))):  # children come after their parent
        sides.append((below[tree.splits[node].left], below[tree.splits[node].right]))
        below[node] = sides[-1][0] | sides[-1][1]
    return sides[::-1]


def _answers(
    tree: Tree, feature: int, values: NDArray[np.float64], sides: Sequence[tuple[int, int]], n_leaves: int
) -> FeatureAnswers:
    nodes = [node for node, split in enumerate(tree.splits) if split.feature == feature]
    left = [goes_left(tree.splits[node], values) for node in nodes]
    state = np.zeros(len(values), dtype=np.int64)
    for answer in left:
        # Renumbering after every split keeps the states few, however many splits ask the same feature.
        state = np.unique(2 * state + answer, return_inverse=True)[1]
    _, one_atom = np.unique(state, return_index=True)
    agrees = []
    for atom in one_atom:
        agree = (1 << n_leaves) - 1
        for node, answer in zip(nodes, left, strict=True):
            agree &= ~sides[node][1 if answer[atom] else 0]
        agrees.append(agree)
    asked = 0
    for node in nodes:
        asked |= sides[node][0] | sides[node][1]
    return FeatureAnswers(state, tuple(agrees), asked)


def _cheapest_bounds(
    n_leaves: int, answers: Mapping[int, FeatureAnswers], max_nodes: int
) -> list[tuple[int, int]]:
    """Shortest path over the gaps between leaves: an edge is a feasible group, its length a row's cost."""
    best = [float("inf")] * n_leaves + [0.0]
    end_of = [0] * n_leaves
    for first in range(n_leaves - 1, -1, -1):
        for last in range(first + 1, n_leaves + 1):
            sizes = _digit_sizes(answers, first, last)
            limit = LONE_LEAF_NODES if last == first + 1 else max_nodes
            if prod(sizes) > 2**limit:
                if last == first + 1:
                    raise UngroupableTreeError(
                        f"a leaf depends on {len(sizes)} distinct features, more than the {limit} that a "
                        "table can hold; limit max_depth in training, or use LightGBM's own pred_contrib"
                    )
                break
            cost = _cost(sizes) + best[last]
            if cost < best[first]:
                best[first], end_of[first] = cost, last
    bounds = [(0, end_of[0])]
    while bounds[-1][1] < n_leaves:
        bounds.append((bounds[-1][1], end_of[bounds[-1][1]]))
    return bounds


def _digit_sizes(answers: Mapping[int, FeatureAnswers], first: int, last: int) -> list[int]:
    inside = (1 << (last - first)) - 1
    return [
        len({agree >> first & inside for agree in answer.leaves_of_state})
        for answer in answers.values()
        if answer.path_leaves >> first & inside
    ]


def _cost(sizes: list[int]) -> float:
    columns = 1 + len(sizes)
    return columns * (1 + prod(sizes) * _STREAM_COST) + _STEP_COST * (sum(sizes) - len(sizes)) + _GROUP_COST


def _group(leaves: list[Leaf], answers: Mapping[int, FeatureAnswers], first: int, last: int) -> Group:
    inside = (1 << (last - first)) - 1
    digits = []
    for feature, answer in answers.items():
        if not answer.path_leaves >> first & inside:
            continue
        seen: dict[int, int] = {}
        of_state = [seen.setdefault(agree >> first & inside, len(seen)) for agree in answer.leaves_of_state]
        digits.append(Digit(feature, np.array(of_state)[answer.state_of_atom], tuple(seen)))
    return Group(tuple(leaves[first:last]), tuple(digits))
