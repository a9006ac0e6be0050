"""Who trains and who is tested, so that no test row was seen, directly or through time.

The test is set aside by snapshot date where there is one, else by account; inner folds are always
grouped by account.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from chs_ml.dataset import Dataset
from chs_ml.errors import InputError, NotEnoughData

Positions = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TestSplit:
    """Rows to train on and rows to be judged on.

    Attributes
    ----------
    train, test : ndarray of int
        Row positions in the dataset, ascending; only rows with a known outcome.
    purged : int
        Earlier rows that are left out because their outcome window reaches the test, or because their
        outcome was not yet known.
    out_of_time : bool
        Whether the test lies after the training in time; else it was split by account.
    test_from : date or None
        First snapshot date of the test.
    new_account : ndarray of bool, shape (len(test),)
        Test rows whose account is in no training row.
    """

    __test__ = False  # its name is not that of a test

    train: Positions
    test: Positions
    purged: int
    out_of_time: bool
    test_from: date | None
    new_account: Mask


def grouped_folds(
    account: ArrayLike | pd.Series, churned: ArrayLike, *, n_folds: int, random_state: int
) -> NDArray[np.intp]:
    """Number the rows by fold, all rows of an account in one fold.

    Parameters
    ----------
    account : Series or array of shape (n,)
        Account ids.
    churned : ndarray of shape (n,)
        1, 0, or NaN for open.
    n_folds : int
        At least 2.
    random_state : int
        Which of the possible folds.

    Returns
    -------
    ndarray of int, shape (n,)
        Fold numbers from 0; accounts that ever churned, and the others, are dealt out evenly,
        accounts with many rows first.

    Raises
    ------
    NotEnoughData
        Where a fold would lack churned or renewed rows.
    """
    if n_folds < 2:
        raise InputError(f"There must be at least 2 folds; got {n_folds}.")
    outcome = np.asarray(churned, dtype=np.float64)
    numbers, names = pd.factorize(np.asarray(account, dtype=object), use_na_sentinel=False)
    sizes = np.bincount(numbers, minlength=len(names))
    ever = np.bincount(numbers, weights=outcome == 1.0, minlength=len(names)) > 0
    generator = np.random.default_rng(random_state)
    fold_of = np.empty(len(names), dtype=np.intp)
    for stratum, turn in ((ever, 1), (~ever, -1)):
        order = _shuffled_by_size(np.flatnonzero(stratum), sizes, generator)
        # the other way round for the other stratum, so that remainders do not meet in one fold
        fold_of[order] = (np.arange(len(order)) * turn - (turn < 0)) % n_folds
    folds = fold_of[numbers]
    _check_folds(folds, outcome, n_folds)
    return folds


def few_folds(
    account: NDArray[np.intp], churned: NDArray[np.float64], *, most: int, random_state: int
) -> NDArray[np.intp]:
    """As `grouped_folds`, with as many folds as the rarer outcome allows, from 2 to `most`."""
    by_account = np.bincount(account, churned) > 0
    rarer = min(by_account.sum(), (~by_account).sum(), churned.sum(), (1.0 - churned).sum())
    n_folds = max(2, min(most, int(rarer)))
    return grouped_folds(account, churned, n_folds=n_folds, random_state=random_state)


def _shuffled_by_size(accounts: Positions, sizes: Positions, generator: np.random.Generator) -> Positions:
    shuffled = generator.permutation(accounts)
    return shuffled[np.argsort(-sizes[shuffled], kind="stable")]


def _check_folds(folds: NDArray[np.intp], churned: NDArray[np.float64], n_folds: int) -> None:
    churns = np.bincount(folds, weights=churned == 1.0, minlength=n_folds)
    kept = np.bincount(folds, weights=churned == 0.0, minlength=n_folds)
    if min(churns.min(), kept.min()) == 0:
        raise NotEnoughData(
            f"Each of {n_folds} folds must hold churned and renewed accounts; the {int(churns.sum()):,} "
            f"churned and {int(kept.sum()):,} renewed rows belong to too few accounts. "
            f"Use fewer folds or more data."
        )


def test_split(
    dataset: Dataset,
    *,
    test_share: float,
    test_from: date | None = None,  # noqa: PT028 - no test, for all its name
    random_state: int,
) -> TestSplit:
    """Set rows aside for the test.

    Parameters
    ----------
    dataset : Dataset
        Rows whose outcome is open are on neither side.
    test_share : float
        Share of rows (with dates) or of accounts (without) to test on, in (0, 1).
    test_from : date, optional
        First snapshot date of the test; without it, the date that comes nearest to `test_share`.
    random_state : int
        Which accounts, where there are no dates.

    Returns
    -------
    TestSplit
        With dates, every training row's outcome window ends before the first test snapshot, and its outcome
        is known by the end of that day.

    Raises
    ------
    NotEnoughData
        Where a side has no churned or no renewed row. It never falls back on another split.
    """
    if not 0.0 < test_share < 1.0:
        raise InputError(f"test_share must lie between 0 and 1; got {test_share}.")
    if dataset.snapshot_date is not None:
        return _by_date(dataset, dataset.snapshot_date, test_share=test_share, test_from=test_from)
    if test_from is not None:
        raise InputError("test_from needs snapshot dates: name their column in [data] snapshot_date.")
    return _by_account(dataset, test_share=test_share, random_state=random_state)


test_split.__test__ = False  # type: ignore[attr-defined]  # pytest: its name is not that of a test


def _by_date(dataset: Dataset, dates: pd.Series, *, test_share: float, test_from: date | None) -> TestSplit:
    if dataset.horizon_days is None:
        raise InputError("Snapshots need [data] horizon_days: without it no outcome window has an end.")
    matured = dataset.is_matured
    day = dates.to_numpy().astype("datetime64[D]")
    start = _start(day[matured], test_share) if test_from is None else np.datetime64(test_from, "D")
    late = matured & (day >= start)
    if not late.any():
        raise NotEnoughData(
            f"No row with a known outcome has a snapshot on or after {start}: nothing to test on."
        )
    first = day[late].min()
    window = np.timedelta64(dataset.reach_days, "D")
    early = matured & (day + window < first)
    purged = int(matured.sum() - late.sum() - early.sum())
    hint = (
        f"The test begins with the snapshots of {first}; {purged:,} earlier rows are left out because their "
        f"outcome window of {window.astype(int)} days reaches it. Set [split] test_from or a shorter window, "
        f"or use a longer history."
    )
    return _checked(dataset, early, late, purged=purged, first=first.item(), hint=hint)


def _start(days: NDArray[np.datetime64], test_share: float) -> np.datetime64:
    """Find the snapshot date from which on about so many of the rows lie, the earlier of two as near."""
    if not len(days):
        raise NotEnoughData("No row has a known outcome: there is nothing to train or to test on.")
    values, counts = np.unique(days, return_counts=True)
    after = counts[::-1].cumsum()[::-1] / counts.sum()
    return np.datetime64(values[np.argmin(np.abs(after - test_share))], "D")


def _by_account(dataset: Dataset, *, test_share: float, random_state: int) -> TestSplit:
    matured = dataset.is_matured
    numbers, names = pd.factorize(dataset.account.to_numpy(dtype=object), use_na_sentinel=False)
    known = np.bincount(numbers, weights=matured, minlength=len(names)) > 0
    ever = np.bincount(numbers, weights=dataset.churned == 1.0, minlength=len(names)) > 0
    generator = np.random.default_rng(random_state)
    chosen = np.zeros(len(names), dtype=bool)
    for stratum in (known & ever, known & ~ever):
        accounts = generator.permutation(np.flatnonzero(stratum))
        chosen[accounts[: round(test_share * len(accounts))]] = True
    is_test = chosen[numbers]
    hint = "The split is by account. Choose another [split] test_share, or use more data."
    return _checked(dataset, matured & ~is_test, matured & is_test, purged=0, first=None, hint=hint)


def _checked(
    dataset: Dataset, train: Mask, test: Mask, *, purged: int, first: date | None, hint: str
) -> TestSplit:
    for side, rows in (("training", train), ("test", test)):
        churns, n = int((dataset.churned[rows] == 1.0).sum()), int(rows.sum())
        if churns in (0, n):
            raise NotEnoughData(
                f"The {side} side must hold churned and renewed rows; it holds {churns:,} churned and "
                f"{n - churns:,} renewed. {hint}"
            )
    numbers, names = pd.factorize(dataset.account)
    seen = np.zeros(len(names), dtype=bool)
    seen[numbers[train]] = True
    return TestSplit(
        train=np.flatnonzero(train),
        test=np.flatnonzero(test),
        purged=purged,
        out_of_time=first is not None,
        test_from=first,
        new_account=~seen[numbers[test]],
    )
