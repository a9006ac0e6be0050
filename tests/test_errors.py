"""The error tree: what the caller can do about it, and how messages name things."""

import difflib

import pytest

from chs_ml import errors


@pytest.mark.parametrize("name", ["RecipeError", "TableError", "ScorecardError", "BundleError"])
def test_wrong_input_ends_with_exit_code_2(name: str) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, errors.InputError)
    assert issubclass(kind, errors.ChsError)
    assert kind("x").exit_code == 2


def test_a_refusal_for_lack_of_data_is_no_input_error_and_ends_with_exit_code_1() -> None:
    assert not issubclass(errors.NotEnoughData, errors.InputError)
    assert issubclass(errors.NotEnoughData, errors.ChsError)
    assert errors.NotEnoughData("x").exit_code == 1


@pytest.mark.parametrize(
    ("values", "limit", "text"),
    [
        ([], 5, ""),
        (["a"], 5, "'a'"),
        (["a", "b"], 2, "'a', 'b'"),
        (["a", "b", "c"], 2, "'a', 'b' and 1 more"),
        (range(12), 5, "0, 1, 2, 3, 4 and 7 more"),
        ((word for word in "xyz"), 1, "'x' and 2 more"),
    ],
)
def test_first_few_names_some_and_counts_the_rest(values: object, limit: int, text: str) -> None:
    assert errors.first_few(values, limit=limit) == text  # type: ignore[arg-type]


def test_nearest_is_a_hint_only_where_something_is_near() -> None:
    known = ["account", "snapshot_date", "outcome"]
    assert errors.nearest("snapshot_dat", known) == " Did you mean 'snapshot_date'?"
    assert errors.nearest("zzz", known) == ""
    assert errors.nearest("x", []) == ""
    near = max(known, key=lambda word: difflib.SequenceMatcher(None, "acount", word).ratio())
    assert near in errors.nearest("acount", known)
