"""Outcomes: one coding for every way people write them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from chs_ml.errors import TableError
from chs_ml.outcome import churn_codes, coded_by_value, plain_text

NAN = float("nan")


@pytest.mark.parametrize(
    "outcomes",
    [
        ["renewed", "churned", "open"],
        [" Renewed", "CHURNED ", "Open"],
        [0, 1, None],
        [0.0, 1.0, NAN],
        ["0", "1", None],
        ["0.0", "1.0", None],
        pd.Series([0, 1, pd.NA], dtype="Int64"),
        pd.Series([False, True, pd.NA], dtype="boolean"),
        pd.Series([0, 1, None], dtype="int8[pyarrow]"),
        pd.Series(["renewed", "churned", None], dtype="category"),
        pd.Series(["renewed", "churned", None], dtype="string[pyarrow]"),
        pd.Series(["renewed", "churned", "open"], index=[9, 9, 1]),
        np.array([0.0, 1.0, np.nan]),
    ],
)
def test_words_and_numbers_of_any_dtype(outcomes: Any) -> None:
    codes = churn_codes(outcomes)
    assert codes.dtype == np.float64
    np.testing.assert_array_equal(codes, [0.0, 1.0, NAN])


@pytest.mark.parametrize(("is_churn", "code"), [(False, 0.0), (True, 1.0)])
def test_a_contraction_is_churn_only_where_the_rule_says_so(is_churn: bool, code: float) -> None:
    codes = churn_codes(["contracted", "Contracted", "renewed"], contracted_is_churn=is_churn)
    np.testing.assert_array_equal(codes, [code, code, 0.0])


@pytest.mark.parametrize(
    ("outcomes", "count", "named"),
    [
        (["yes", "no", "churned"], "2 of 3", "'yes', 'no'"),
        ([0, 1, 2], "1 of 3", "2"),
        ([0.0, 0.5, np.inf], "2 of 3", "0.5"),
        (["renewed", ""], "1 of 2", "''"),
    ],
)
def test_strangers_are_counted_and_named(outcomes: Any, count: str, named: str) -> None:
    with pytest.raises(TableError, match=f"{count} are not") as caught:
        churn_codes(outcomes)
    assert named in str(caught.value)
    assert "churned = ..." in str(caught.value)


def test_no_outcomes_are_no_codes() -> None:
    assert churn_codes([]).shape == (0,)
    assert coded_by_value(pd.Series([], dtype="str"), churned="Yes").shape == (0,)


@pytest.mark.parametrize(
    ("values", "churned"),
    [
        (["Yes", "No", None], "Yes"),
        ([" Yes", "No ", None], "Yes"),
        ([2, 1, None], 2),
        ([2.0, 1.0, NAN], "2"),
        (pd.Series([2, 1, pd.NA], dtype="Int64"), 2),
        (pd.Series([True, False, pd.NA], dtype="boolean"), True),
    ],
)
def test_one_value_means_churn(values: Any, churned: object) -> None:
    np.testing.assert_array_equal(coded_by_value(pd.Series(values), churned=churned), [1.0, 0.0, NAN])


def test_third_values_must_be_named() -> None:
    values = pd.Series(["lost", "kept", "paused", "open"])
    with pytest.raises(
        TableError, match=r"may hold one other value.*'paused'.*Say which of them mean renewed"
    ):
        coded_by_value(values, churned="lost")
    codes = coded_by_value(values, churned="lost", renewed=["kept", "paused"])
    np.testing.assert_array_equal(codes, [1.0, 0.0, 0.0, NAN])


def test_our_own_words_keep_their_meaning_beside_a_named_value() -> None:
    codes = coded_by_value(pd.Series(["lost", "open", "renewed", "contracted"]), churned="lost")
    np.testing.assert_array_equal(codes, [1.0, NAN, 0.0, 0.0])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        (np.float32(1), "1"),
        ("1", "1"),
        (1.5, "1.5"),
        (-0.0, "0"),
        (True, "True"),
        (" a ", "a"),
        (float("inf"), "inf"),
        (1e20, "100000000000000000000"),
    ],
)
def test_plain_text_is_the_same_for_1_and_1_point_0(value: object, text: str) -> None:
    assert plain_text(value) == text
