"""What tables a model needs, and their memory, before any is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chs_ml.tree_tables.atoms import atom_values, cut_points
from chs_ml.tree_tables.errors import TablesTooLargeError, UnsupportedModelError
from chs_ml.tree_tables.grouping import Group, group_leaves
from chs_ml.tree_tables.model_text import Split, TreeModel

_FLOAT_BYTES = 8
_SMALLEST_NODES = 6


@dataclass(frozen=True)
class TablePlan:
    """The tables that a set of boosters needs.

    Parameters
    ----------
    feature_names : columns of X, in order.
    cuts : per used feature, the right ends of its atoms.
    groups : every group of every tree, in the order of evaluation.
    n_models : boosters whose margins are averaged.
    """

    feature_names: tuple[str, ...]
    cuts: dict[int, NDArray[np.float64]]
    groups: tuple[Group, ...]
    n_models: int

    @cached_property
    def nbytes(self) -> int:
        """Memory of the tables, in bytes (the indexes beside them add a few per cent)."""
        return sum(_FLOAT_BYTES * group.n_patterns * (1 + len(group.digits)) for group in self.groups)


def plan_within(models: Sequence[TreeModel], *, max_nodes: int, max_bytes: float) -> TablePlan:
    """Plan tables inside a memory bound, with smaller groups when large ones take too much.

    Raises
    ------
    TablesTooLargeError : when even small groups exceed `max_bytes`.
    """
    sizes = []
    for nodes in range(max_nodes, min(max_nodes, _SMALLEST_NODES) - 1, -2):
        plan = plan_tables(models, max_nodes=nodes)
        if plan.nbytes <= max_bytes:
            return plan
        sizes.append(plan.nbytes / 1e6)
    raise TablesTooLargeError(
        f"the tables would take {sizes[0]:,.0f} MB, with smaller groups {min(sizes):,.0f} MB, more than the "
        f"{max_bytes / 1e6:,.0f} MB allowed by max_bytes; train smaller, shallower or fewer trees, or raise "
        "the bound"
    )


def plan_tables(models: Sequence[TreeModel], *, max_nodes: int) -> TablePlan:
    """Group the leaves of all trees; the costly part of building, but small in memory.

    Raises
    ------
    UnsupportedModelError : when there is no model, or the models differ in their features.
    UngroupableTreeError : when a leaf depends on more distinct features than a table can hold.
    """
    _check_alike(models)
    cuts = {feature: cut_points(splits) for feature, splits in sorted(_splits_by_feature(models).items())}
    atoms = {feature: atom_values(ends) for feature, ends in cuts.items()}
    groups: list[Group] = []
    for model in models:
        for tree in model.trees:
            groups.extend(group_leaves(tree, atoms, max_nodes))
    return TablePlan(models[0].feature_names, cuts, tuple(groups), len(models))


def _check_alike(models: Sequence[TreeModel]) -> None:
    if not models:
        raise UnsupportedModelError("no booster given")
    if any(model.feature_names != models[0].feature_names for model in models):
        raise UnsupportedModelError("the boosters were trained on different features or in a different order")


def _splits_by_feature(models: Sequence[TreeModel]) -> dict[int, list[Split]]:
    found: dict[int, list[Split]] = {}
    for model in models:
        for tree in model.trees:
            for split in tree.splits:
                found.setdefault(split.feature, []).append(split)
    return found
