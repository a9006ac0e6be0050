"""The door: columns are matched, coded and counted."""

import numpy as np
import pandas as pd
import pytest

from chs_ml.errors import NotEnoughData, TableError
from chs_ml.validation.columns import judged_columns

OUTCOMES = pd.Series(["churned", "renewed", "open", "churned", "renewed", "contracted"], index=list("abcdef"))
SCORE = pd.Series([10.0, 90.0, 50.0, np.nan, 80.0, 60.0], index=list("abcdef"))


def test_rows_are_counted_and_left_out() -> None:
    probability = pd.Series([0.9, np.nan, 0.1, 0.5, 0.2, 0.3], index=list("abcdef"))
    found = judged_columns(OUTCOMES, score=SCORE, probability=probability, account=pd.Series(list("xxyyzz"),
                           index=list("abcdef")))  # fmt: skip
    counts = found.counts
    assert (counts.rows, counts.open, counts.withheld, counts.without_probability) == (6, 1, 1, 1)
    assert (counts.judged, counts.churned, counts.accounts) == (3, 1, 2)
    assert counts.clustered
    np.testing.assert_array_equal(found.positions, [0, 4, 5])
    np.testing.assert_array_equal(found.churned, [1, 0, 0])
    np.testing.assert_array_equal(found.account, [0, 1, 1])


def test_equal_labels_in_another_order_are_matched() -> None:
    shuffled = SCORE.sample(frac=1.0, random_state=1)
    assert list(shuffled.index) != list(SCORE.index)
    found = judged_columns(OUTCOMES, score=shuffled)
    np.testing.assert_array_equal(found.score, judged_columns(OUTCOMES, score=SCORE).score)


def test_arrays_match_by_position() -> None:
    found = judged_columns(OUTCOMES.to_numpy(), score=SCORE)
    np.testing.assert_array_equal(found.score, [10.0, 90.0, 80.0, 60.0])


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (SCORE.rename({"a": "q"}), r"1 labels of outcomes are not in score \('a'\), 1 of score .*'q'"),
        (SCORE.to_numpy()[:5], "outcomes has 6, score has 5"),
        (SCORE.reset_index(drop=True), "must have the same index"),
        (pd.Series(SCORE.to_numpy(), index=list("aabcde")), "repeated labels cannot be matched"),
        (pd.DataFrame({"s": SCORE}), "score must be one column"),
        (SCORE.replace(10.0, np.inf), "score must be a column of finite numbers; 1 of 6 are not: inf"),
    ],
)
def test_what_does_not_match_is_refused(score: object, message: str) -> None:
    with pytest.raises(TableError, match=message):
        judged_columns(OUTCOMES, score=score)


def test_columns_with_wrong_content_are_refused() -> None:
    six = np.full(6, 0.5)
    with pytest.raises(TableError, match="probability must lie between 0 and 1; 6 of 6 do not"):
        judged_columns(OUTCOMES, score=SCORE, probability=six * 100)
    with pytest.raises(TableError, match="value must not be negative; 6 of 6"):
        judged_columns(OUTCOMES, score=SCORE, value=-six)
    with pytest.raises(TableError, match="name its account; 1 do not"):
        judged_columns(OUTCOMES, score=SCORE, account=np.array(["x", None, "y", "y", "z", "z"], dtype=object))
    with pytest.raises(TableError, match="new_account must be true or false"):
        judged_columns(OUTCOMES, score=SCORE, new_account=six)


@pytest.mark.parametrize("outcome", ["renewed", "churned"])
def test_one_sided_outcomes_are_an_honest_refusal(outcome: str) -> None:
    with pytest.raises(NotEnoughData, match="churned and renewed accounts"):
        judged_columns([outcome] * 4, score=[1.0, 2.0, 3.0, 4.0])
