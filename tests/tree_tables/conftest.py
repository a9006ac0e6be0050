"""Models and rows that reach every corner of LightGBM's prediction, and oracles that are not ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

N_FEATURES = 7
"""normal, rounded, zero-inflated, lumpy with NaN, constant, category of 12 levels, category of 40 levels."""

CATEGORIES = [5, 6]
ZERO = float(np.float32(1e-35))  # LightGBM's own literal
CORNERS = [
    0.0,
    -0.0,
    np.nan,
    np.inf,
    -np.inf,
    ZERO,
    -ZERO,
    1e-36,
    -1e-36,
    2e-35,
    -2e-35,
    1e300,
    -1e300,
    5e-324,
]
CODES = [
    0.0,
    -1.0,
    -0.5,
    0.5,
    2.9,
    11.0,
    12.0,
    31.0,
    32.0,
    39.0,
    40.0,
    1e6,
    2.0**31,
    1e20,
    np.nan,
    np.inf,
    -np.inf,
]


@dataclass(frozen=True)
class Recipe:
    """What a random booster is trained with."""

    seed: int
    leaves: int
    depth: int = -1
    trees: int = 5
    zero_as_missing: bool = False
    use_missing: bool = True
    rows: int = 400


def training_data(seed: int, rows: int) -> tuple[Floats, NDArray[np.int64]]:
    """Rows of the seven features and an outcome that depends on most of them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, N_FEATURES))
    X[:, 1] = np.round(X[:, 1] * 2)
    X[rng.random(rows) < 0.6, 2] = 0.0
    X[:, 3] = np.exp(np.round(X[:, 3], 1))
    X[rng.random(rows) < 0.2, 3] = np.nan
    X[:, 4] = 3.0
    X[:, 5] = rng.integers(0, 12, rows)
    X[:, 6] = np.minimum(rng.geometric(0.1, rows) - 1, 39)
    risk = (
        X[:, 0] * (X[:, 1] > 0)
        + X[:, 2]
        + np.where(np.isnan(X[:, 3]), 1.0, -0.3)
        + (X[:, 5] % 3 == 0)
        - (X[:, 6] % 4)
    )
    return X, (risk + rng.logistic(size=rows) > -1).astype(np.int64)


def train(recipe: Recipe, **parameters: object) -> lgb.Booster:
    """A booster of the recipe."""
    X, y = training_data(recipe.seed, recipe.rows)
    settings = {
        "objective": "binary",
        "num_leaves": recipe.leaves,
        "max_depth": recipe.depth,
        "zero_as_missing": recipe.zero_as_missing,
        "use_missing": recipe.use_missing,
        "min_data_in_leaf": 3,
        "min_data_per_group": 2,
        "cat_smooth": 1.0,
        "cat_l2": 1.0,
        "max_cat_to_onehot": 3,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "feature_fraction": 0.8,
        "seed": recipe.seed,
        "num_threads": 1,
        "verbose": -1,
    }
    data = lgb.Dataset(X, y, categorical_feature=CATEGORIES)
    return lgb.train(settings | parameters, data, recipe.trees)


def probing_rows(boosters: Sequence[lgb.Booster], seed: int) -> Floats:
    """Rows like the training data, every threshold with its two neighbours, and the corner values."""
    rng = np.random.default_rng(seed)
    n_features = boosters[0].num_feature()
    thresholds: list[list[float]] = [[] for _ in range(n_features)]
    for booster in boosters:
        for tree in booster.dump_model()["tree_info"]:
            for node in inner_nodes(tree["tree_structure"]):
                if node["decision_type"] == "<=":
                    thresholds[node["split_feature"]].append(node["threshold"])
    columns = []
    for at in thresholds:
        exact = np.array(at)
        near = [exact, np.nextafter(exact, -np.inf), np.nextafter(exact, np.inf)]
        pool = np.concatenate([*near, CORNERS, CODES, rng.normal(size=30), rng.integers(0, 40, 30)])
        columns.append(rng.choice(pool, 150))
    probes = np.stack(columns, axis=1)
    if n_features != N_FEATURES:
        return probes
    return np.concatenate([probes, training_data(seed, 50)[0]])


def inner_nodes(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All splits below a node of LightGBM's JSON dump, itself first."""
    if "split_index" not in node:
        return []
    return [node, *inner_nodes(node["left_child"]), *inner_nodes(node["right_child"])]


def mean_margin(boosters: Sequence[lgb.Booster], X: Floats) -> Floats:
    """LightGBM's raw scores, averaged."""
    return np.mean([booster.predict(X, raw_score=True, num_threads=1) for booster in boosters], axis=0)


def mean_contributions(boosters: Sequence[lgb.Booster], X: Floats) -> Floats:
    """LightGBM's TreeSHAP, averaged; the last column is the expected value."""
    return np.mean([booster.predict(X, pred_contrib=True, num_threads=1) for booster in boosters], axis=0)


def random_text(
    seed: int, *, leaves: int, features: int, trees: int = 1, chain: float = 0.0, empty: float = 0.0
) -> str:
    """A model text of random trees, including what training seldom yields.

    `chain` is the chance that a split falls on the newest leaf (1 gives one long path), `empty` the share of
    leaves without training rows. Missing types, default directions, categories and thresholds vary from split
    to split.
    """
    rng = np.random.default_rng(seed)
    head = [
        "tree", "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0",
        f"max_feature_idx={features - 1}", "objective=binary sigmoid:1",
        "feature_names=" + " ".join(f"f{i}" for i in range(features)),
        "feature_infos=" + " ".join(["[-9:9]"] * features),
    ]  # fmt: skip
    blocks = [_random_tree(rng, index, leaves, features, chain, empty) for index in range(trees)]
    sizes = "tree_sizes=" + " ".join(str(len(block)) for block in blocks)
    return "\n".join([*head, sizes, "", ""]) + "".join(blocks) + "end of trees\n\npandas_categorical:null\n"


def _random_tree(
    rng: np.random.Generator, index: int, leaves: int, features: int, chain: float, empty: float
) -> str:
    left, right = _random_shape(rng, leaves, chain)
    splits = leaves - 1
    categorical = rng.random(splits) < 0.25
    threshold = [
        float(rng.choice([*rng.normal(size=9).round(1), 0.0, ZERO, -ZERO, 1e-36, 1e300]))
        for _ in range(splits)
    ]
    bounds, words = [0], []
    for node in np.flatnonzero(categorical):
        threshold[node] = len(bounds) - 1
        words += rng.integers(0, 2**32, rng.integers(1, 3)).tolist()
        bounds.append(len(words))
    decision = np.where(categorical, 1, rng.integers(0, 3, splits) * 4 + rng.integers(0, 2, splits) * 2)
    leaf_count = np.where(rng.random(leaves) < empty, 0, rng.integers(1, 500, leaves))
    counts = _subtree_counts(left, right, leaf_count)
    fields = {
        "num_leaves": leaves,
        "num_cat": len(bounds) - 1,
        "split_feature": rng.integers(0, features, splits),
        "split_gain": np.ones(splits, dtype=int),
        "threshold": threshold,
        "decision_type": decision,
        "left_child": left,
        "right_child": right,
        "leaf_value": rng.normal(size=leaves),
        "leaf_weight": leaf_count,
        "leaf_count": leaf_count,
        "internal_value": np.zeros(splits, dtype=int),
        "internal_weight": counts,
        "internal_count": counts,
    }
    if words:
        fields |= {"cat_boundaries": bounds, "cat_threshold": words}
    fields |= {"is_linear": 0, "shrinkage": 1}
    return f"Tree={index}\n" + "".join(f"{key}={_words(value)}\n" for key, value in fields.items()) + "\n\n"


def _words(value: object) -> str:
    return " ".join(
        repr(float(v)) if isinstance(v, float) else str(v) for v in np.atleast_1d(np.array(value)).tolist()
    )


def _random_shape(rng: np.random.Generator, leaves: int, chain: float) -> tuple[list[int], list[int]]:
    """Children as LightGBM grows them: the left child keeps the split leaf's number, the right one is new."""
    left: list[int] = []
    right: list[int] = []
    for node in range(leaves - 1):
        leaf = node if rng.random() < chain else int(rng.integers(0, node + 1))
        for children in (left, right):
            if ~leaf in children:
                children[children.index(~leaf)] = node
        left.append(~leaf)
        right.append(~(node + 1))
    return left, right


def _subtree_counts(left: list[int], right: list[int], leaf_count: NDArray[np.int64]) -> list[int]:
    counts = [0] * len(left)
    for node in reversed(range(len(left))):
        counts[node] = sum(
            counts[child] if child >= 0 else int(leaf_count[~child]) for child in (left[node], right[node])
        )
    return counts
