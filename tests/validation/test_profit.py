"""EMPC and EMPB against brute-force integration, and hand-worked cases."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta

from chs_ml.errors import RecipeError
from chs_ml.validation.bootstrap import Resampling
from chs_ml.validation.profit import (
    Campaign,
    expected_maximum_profit,
    expected_maximum_profit_business,
)
from tests.validation.conftest import make_book

Array = NDArray[np.float64]

FEW = Resampling(replicates=5)


def brute_force(churned: Array, score: Array, value: Array, incentive: Array, contact: float) -> float:
    """Mean over a fine grid of γ of the best profit over every threshold, as the papers define it."""
    quantiles = (np.arange(20000) + 0.5) / 20000
    order = np.argsort(score, kind="stable")
    ends = np.r_[0, np.flatnonzero(np.r_[np.diff(score[order]) != 0, True]) + 1]
    profits = []
    for gamma in beta.ppf(quantiles, 6, 14):
        each = np.where(churned == 1, gamma * (value - incentive) - contact, -(incentive + contact))[order]
        profits.append(np.r_[0.0, np.cumsum(each)][ends].max() / len(churned))
    return float(np.mean(profits))


@pytest.mark.parametrize(("seed", "digits"), [(0, 1), (1, 9)])
def test_empc_is_the_integral(seed: int, digits: int) -> None:
    book = make_book(250, seed=seed, base=0.2)
    score = book.score.round(-1) if digits == 1 else book.score
    found = expected_maximum_profit(book.churned, score=score, resampling=FEW)
    expected = brute_force(book.churned, score, np.full(250, 200.0), np.full(250, 10.0), 1.0)
    assert found.per_account == pytest.approx(expected, rel=2e-4)


def test_empb_is_the_integral_with_each_accounts_value() -> None:
    book = make_book(250, seed=2, base=0.2)
    value = book.value / 10
    found = expected_maximum_profit_business(book.churned, score=book.score, value=value, resampling=FEW)
    expected = brute_force(book.churned, book.score, value, 0.05 * value, 15.0)
    assert found.per_account == pytest.approx(expected, rel=2e-4)
    same = expected_maximum_profit_business(
        book.churned,
        score=book.score,
        value=np.full(250, 200.0),
        campaign=Campaign(incentive=0.05),
        resampling=FEW,
    )
    assert same.per_account == pytest.approx(
        expected_maximum_profit(book.churned, score=book.score, resampling=FEW).per_account
    )


def test_a_perfect_score_earns_every_churner() -> None:
    """All churners contacted, nobody else: 20 % x (200 x (.3 x .95) - 1), as long as γ pays at all."""
    churned = np.r_[np.ones(20), np.zeros(80)]
    found = expected_maximum_profit(churned, score=1.0 - churned, resampling=FEW)
    assert found.per_account == pytest.approx(0.2 * (200 * 0.3 * 0.95 - 1), rel=1e-6)
    assert found.per_account == found.per_account_perfect
    assert found.contacted == pytest.approx(0.2, abs=1e-4)


def test_free_contact_has_no_division_by_zero() -> None:
    churned = np.r_[np.ones(20), np.zeros(80)]
    free = Campaign(incentive=0.0, contact=0.0)
    found = expected_maximum_profit(churned, score=np.arange(100.0), campaign=free, resampling=FEW)
    assert found.per_account == pytest.approx(0.2 * 200 * 0.3)


def test_useless_scores_earn_what_a_random_list_earns() -> None:
    book = make_book(2000, seed=3, base=0.3)
    flat = expected_maximum_profit(book.churned, score=np.zeros(2000), resampling=FEW)
    good = expected_maximum_profit(book.churned, score=book.score, resampling=Resampling(replicates=60))
    assert flat.per_account == flat.per_account_at_random
    assert flat.per_account < good.per_account < good.per_account_perfect
    assert good.interval.holds(good.per_account)
    with pytest.raises(RecipeError, match="alpha and beta above 0"):
        Campaign(alpha=0.0)
