"""Learned cut-offs hold what they were asked for."""

import numpy as np
import pytest

from chs_ml.errors import NotEnoughData, RecipeError
from chs_ml.validation.learned_tiers import tiers_for_capacity, tiers_for_rates
from tests.validation.conftest import Book


def test_capacity_is_kept(book: Book) -> None:
    tiers = tiers_for_capacity(book.score, capacities=[50, 200])
    codes = np.asarray(tiers.assign(book.score).codes)
    np.testing.assert_array_equal(np.bincount(codes), [2750, 200, 50])


def test_ties_leave_a_tier_smaller() -> None:
    score = np.repeat([10.0, 20.0, 30.0, 40.0], 10)
    tiers = tiers_for_capacity(score, capacities=[15], names=("Fine", "Call"))
    np.testing.assert_array_equal(np.bincount(tiers.assign(score).codes), [30, 10])


@pytest.mark.parametrize("known", [True, False])
def test_rates_are_reached(book: Book, known: bool) -> None:
    tiers = tiers_for_rates(
        book.churned, score=book.score, healthy_at_most=0.04, critical_at_least=0.3,
        probability=book.probability if known else None,
    )  # fmt: skip
    codes = np.asarray(tiers.assign(book.score).codes)
    rate = book.probability if known else book.churned
    assert rate[codes == 0].mean() <= 0.04 + (0 if known else 0.005)
    assert rate[codes == 2].mean() >= 0.3 - (0 if known else 0.01)
    assert rate[codes == 0].mean() > 0.03
    assert rate[codes == 2].mean() < 0.33


def test_what_cannot_be_cut_is_refused(book: Book) -> None:
    with pytest.raises(RecipeError, match="one name more than capacities"):
        tiers_for_capacity(book.score, capacities=[5])
    with pytest.raises(RecipeError, match="leave accounts for Healthy"):
        tiers_for_capacity(book.score, capacities=[2000, 1000])
    with pytest.raises(NotEnoughData, match="too few distinct values"):
        tiers_for_capacity(np.full(10, 50.0), capacities=[2, 3])
    with pytest.raises(RecipeError, match="below critical_at_least"):
        tiers_for_rates(book.churned, score=book.score, healthy_at_most=0.3, critical_at_least=0.1)
    with pytest.raises(NotEnoughData, match="No tiers have these churn rates"):
        tiers_for_rates(book.churned, score=book.score, healthy_at_most=0.01, critical_at_least=0.999,
                        probability=book.probability)  # fmt: skip
