"""Reading LightGBM's model text into plain arrays, without LightGBM.

Only what decides a margin or a contribution is read: splits, leaf values and covers (training row counts).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chs_ml.tree_tables.errors import ModelTextError, UnsupportedModelError

_CATEGORICAL_BIT, _DEFAULT_LEFT_BIT, _MISSING_SHIFT = 1, 2, 2


@dataclass(frozen=True, slots=True)
class Split:
    """One inner node: which rows go left, and where both sides lead.

    Parameters
    ----------
    feature : column of X.
    threshold : numeric splits send `x <= threshold` left; unused when categorical.
    categories : codes that go left; None for a numeric split.
    missing : 0 none, 1 zero, 2 NaN (LightGBM's `MissingType`).
    default_left : where missing values go, for missing types 1 and 2.
    left, right : child; `>= 0` is a split, `~child` is a leaf.
    cover : training rows that reached the node.
    """

    feature: int
    threshold: float
    categories: NDArray[np.int64] | None
    missing: int
    default_left: bool
    left: int
    right: int
    cover: float


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree; node 0 is the root, a tree of a single leaf has no splits."""

    splits: tuple[Split, ...]
    leaf_value: tuple[float, ...]
    leaf_cover: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TreeModel:
    """The trees of one booster; the margin is the sum of their leaves."""

    feature_names: tuple[str, ...]
    trees: tuple[Tree, ...]


def parse_model(text: str, *, num_iteration: int | None = None) -> TreeModel:
    """Read a model text as written by `Booster.model_to_string` or `save_model`.

    Parameters
    ----------
    text : the whole model text.
    num_iteration : keep the first trees only; None or a value below 1 keeps all.

    Raises
    ------
    ModelTextError : when the text is not a complete model.
    UnsupportedModelError : for multiclass models, random forests and linear leaves.
    """
    body, end, _ = text.partition("\nend of trees")
    if not text.startswith("tree\n") or not end:
        raise ModelTextError("not a LightGBM model text: it must start with 'tree' and hold 'end of trees'")
    head, *blocks = body.split("\nTree=")
    header = _fields(head)
    if header.get("num_tree_per_iteration", "1") != "1":
        raise UnsupportedModelError("a model with several outputs (multiclass) has no single margin")
    if "average_output" in header:
        raise UnsupportedModelError("a random forest's margin is not the sum of its trees")
    if num_iteration is not None and num_iteration > 0:
        blocks = blocks[:num_iteration]
    try:
        names = tuple(header["feature_names"].split(" "))
        n_features = int(header["max_feature_idx"]) + 1
        trees = tuple(_parse_tree(_fields(block), n_features) for block in blocks)
    except (KeyError, ValueError, IndexError) as error:
        if isinstance(error, UnsupportedModelError | ModelTextError):
            raise
        raise ModelTextError(f"damaged LightGBM model text: {error!r}") from error
    if len(names) != n_features:
        raise ModelTextError(f"{len(names)} feature names for {n_features} features")
    return TreeModel(names, trees)


def _fields(block: str) -> dict[str, str]:
    lines = (line.partition("=") for line in block.splitlines())
    return {key: value for key, _, value in lines if key}


def _parse_tree(fields: dict[str, str], n_features: int) -> Tree:
    if fields.get("is_linear", "0") != "0":
        raise UnsupportedModelError("linear leaves have no constant value to put in a table")
    n_leaves = int(fields["num_leaves"])
    values = tuple(map(float, fields["leaf_value"].split()))
    if n_leaves == 1:
        if len(values) != 1:
            raise ModelTextError("a tree of one leaf must have one leaf value")
        return Tree((), values, (1.0,))
    covers = tuple(map(float, fields["leaf_count"].split()))
    splits = _parse_splits(fields, n_leaves - 1)
    if len(values) != n_leaves or len(covers) != n_leaves:
        raise ModelTextError(f"{len(values)} leaf values and {len(covers)} covers for {n_leaves} leaves")
    if not np.isfinite(values).all() or not min(covers) >= 0:
        raise ModelTextError("leaf values must be finite and covers not negative")
    _check_shape(splits, n_leaves, n_features)
    return Tree(splits, values, covers)


def _parse_splits(fields: dict[str, str], n_splits: int) -> tuple[Split, ...]:
    feature, decision, left, right = (
        [int(word) for word in fields[key].split()]
        for key in ("split_feature", "decision_type", "left_child", "right_child")
    )
    threshold, cover = (
        [float(word) for word in fields[key].split()] for key in ("threshold", "internal_count")
    )
    if {len(column) for column in (feature, decision, left, right, threshold, cover)} != {n_splits}:
        raise ModelTextError("the columns of a tree differ in length")
    return tuple(
        Split(
            feature=feature[node],
            threshold=threshold[node],
            categories=_categories(fields, int(threshold[node]))
            if decision[node] & _CATEGORICAL_BIT
            else None,
            missing=decision[node] >> _MISSING_SHIFT & 3,
            default_left=bool(decision[node] & _DEFAULT_LEFT_BIT),
            left=left[node],
            right=right[node],
            cover=cover[node],
        )
        for node in range(n_splits)
    )


def _categories(fields: dict[str, str], index: int) -> NDArray[np.int64]:
    """The codes in bitset `index`: 32 codes to a word, lowest bit first."""
    bounds = fields["cat_boundaries"].split()
    words = fields["cat_threshold"].split()[int(bounds[index]) : int(bounds[index + 1])]
    codes = [
        32 * position + bit
        for position, word in enumerate(words)
        for bit in range(32)
        if int(word) >> bit & 1
    ]
    return np.array(codes, dtype=np.int64)


def _check_shape(splits: tuple[Split, ...], n_leaves: int, n_features: int) -> None:
    """Every node but the root has exactly one parent, which in `n` splits means one connected tree."""
    children = sorted(child for split in splits for child in (split.left, split.right))
    if children != [*range(-n_leaves, 0), *range(1, len(splits))]:
        raise ModelTextError("the children of a tree do not form a tree")
    if any(child >= 0 and child <= node for node, s in enumerate(splits) for child in (s.left, s.right)):
        raise ModelTextError("a split comes before its parent")
    if any(not 0 <= split.feature < n_features for split in splits):
        raise ModelTextError("a split names a feature outside the model")
    if any(np.isnan(split.threshold) for split in splits):
        raise ModelTextError("a threshold is not a number")
