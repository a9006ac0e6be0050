"""One split at a time: which side LightGBM sends a value to."""

import lightgbm as lgb
import numpy as np
import pytest

from chs_ml.tree_tables.atoms import atom_values, cut_points, goes_left
from chs_ml.tree_tables.model_text import Split
from tests.tree_tables.conftest import CODES, CORNERS, ZERO

HEAD = """tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=0
objective=binary sigmoid:1
feature_names=f0
feature_infos=[-9:9]
"""
TREE = """Tree=0
num_leaves=2
num_cat={n_categorical}
split_feature=0
split_gain=1
threshold={threshold!r}
decision_type={decision}
left_child=-1
right_child=-2
leaf_value=1 -1
leaf_weight=1 1
leaf_count=1 1
internal_value=0
internal_weight=2
internal_count=2
{categories}is_linear=0
shrinkage=1


"""
THRESHOLDS = [-1.5, 0.0, -0.0, ZERO, -ZERO, 1e-36, -1e-36, 2e-35, 1e300, -1e300]
WORDS = [[1], [0, 1], [2**31], [0b1010, 0b1], [2**32 - 1]]


def lightgbm_goes_left(
    decision: int, threshold: float, values: np.ndarray, categories: str = ""
) -> np.ndarray:
    block = TREE.format(
        threshold=threshold, decision=decision, categories=categories, n_categorical=int(bool(categories))
    )
    booster = lgb.Booster(model_str=f"{HEAD}tree_sizes={len(block)}\n\n{block}end of trees\n")
    return booster.predict(values[:, None], raw_score=True, num_threads=1) > 0


def assert_as_lightgbm(split: Split, expected: np.ndarray, values: np.ndarray) -> None:
    np.testing.assert_array_equal(goes_left(split, values), expected)
    # An atom's one value must answer for all of them.
    cuts = cut_points([split])
    np.testing.assert_array_equal(
        goes_left(split, atom_values(cuts))[np.searchsorted(cuts, values)], expected
    )


@pytest.mark.parametrize("missing", [0, 1, 2])
@pytest.mark.parametrize("default_left", [False, True])
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_numeric_split(missing: int, default_left: bool, threshold: float) -> None:
    near = [
        np.nextafter(threshold, -np.inf),
        threshold,
        np.nextafter(threshold, np.inf),
        threshold - 1,
        threshold + 1,
    ]
    values = np.array([*CORNERS, *near])
    split = Split(0, threshold, None, missing, default_left, -1, -2, 2.0)
    assert_as_lightgbm(split, lightgbm_goes_left(missing * 4 + default_left * 2, threshold, values), values)


@pytest.mark.parametrize("words", WORDS, ids=str)
def test_categorical_split(words: list[int]) -> None:
    values = np.array([*CODES, *CORNERS, *range(-3, 70), *np.arange(0.25, 66)])
    codes = np.array(
        [32 * place + bit for place, word in enumerate(words) for bit in range(32) if word >> bit & 1]
    )
    split = Split(0, 0.0, codes, 2, False, -1, -2, 2.0)
    fields = f"cat_boundaries=0 {len(words)}\ncat_threshold={' '.join(map(str, words))}\n"
    assert_as_lightgbm(split, lightgbm_goes_left(1, 0.0, values, fields), values)
