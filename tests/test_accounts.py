"""Accounts: numbering, and standard errors that know who belongs together."""

import numpy as np
import pandas as pd
import pytest

from chs_ml.accounts import account_numbers, mean_difference
from chs_ml.errors import InputError


def test_accounts_are_numbered_in_sorted_order() -> None:
    assert account_numbers(["b", "a", "c", "a"], 4).tolist() == [1, 0, 2, 0]
    assert account_numbers(pd.Series(["b", "a", "b"], index=[5, 5, 0]), 3).tolist() == [1, 0, 1]
    assert account_numbers(np.array([30, 10, 30]), 3).tolist() == [1, 0, 1]


def test_without_accounts_each_row_is_its_own() -> None:
    assert account_numbers(None, 3).tolist() == [0, 1, 2]


def test_one_row_per_account_gives_the_textbook_error() -> None:
    difference = np.random.default_rng(0).normal(size=400)
    mean, error = mean_difference(difference, np.random.default_rng(1).permutation(400))
    assert mean == pytest.approx(difference.mean())
    assert error == pytest.approx(difference.std(ddof=0) / 20.0)


def test_repeated_rows_add_no_evidence() -> None:
    difference = np.random.default_rng(0).normal(size=50)
    alone = mean_difference(difference, np.arange(50))
    repeated = mean_difference(np.repeat(difference, 7), np.repeat(np.arange(50), 7))
    assert repeated == pytest.approx(alone)


def test_clustered_error_by_a_loop() -> None:
    rng = np.random.default_rng(3)
    difference, accounts = rng.normal(size=60), rng.integers(0, 9, 60)
    total = 0.0
    for account in set(accounts.tolist()):
        total += float((difference[accounts == account] - difference.mean()).sum()) ** 2
    assert mean_difference(difference, accounts)[1] == pytest.approx(total**0.5 / 60)


def test_one_account_per_row() -> None:
    with pytest.raises(InputError, match=r"one account per row; got 2 accounts for 3 rows"):
        account_numbers(["a", "b"], 3)
