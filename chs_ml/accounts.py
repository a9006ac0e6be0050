"""Rows of one account belong together: in folds, in standard errors, in bootstrap draws."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chs_ml.errors import InputError

Array = NDArray[np.float64]


def account_numbers(accounts: Any, n: int) -> NDArray[np.intp]:
    """Number the accounts of n rows from 0, in sorted order; each row its own where there are none.

    Raises
    ------
    InputError
        Where there are more or fewer accounts than rows.
    """
    if accounts is None:
        return np.arange(n)
    if len(accounts) != n:
        raise InputError(f"There must be one account per row; got {len(accounts):,} accounts for {n:,} rows.")
    return np.unique(np.asarray(accounts), return_inverse=True)[1]


def mean_difference(difference: Array, accounts: NDArray[np.intp]) -> tuple[float, float]:
    """Mean of a row-wise difference of shape (n,), and its account-clustered standard error."""
    mean = float(difference.mean())
    by_account = np.bincount(accounts, difference - mean)
    return mean, float(np.sqrt(np.sum(by_account**2)) / len(difference))
