"""Capacity, value at risk and net benefit against sums written out."""

import numpy as np
import pytest
from scipy.stats import norm

from chs_ml.errors import RecipeError
from chs_ml.validation.bootstrap import Resampling
from chs_ml.validation.capacity import value_at_capacity, value_at_risk
from chs_ml.validation.net_benefit import net_benefit_curve
from tests.validation.conftest import Book

FEW = Resampling(replicates=5)


def test_calls_reach_the_riskiest_of_each_period(book: Book) -> None:
    period = np.arange(3000) % 3
    found = value_at_capacity(
        book.churned,
        score=book.score,
        value=book.value,
        capacity=50,
        period=period,
        resampling=Resampling(replicates=100),
    )
    called = np.concatenate([
        np.flatnonzero(period == p)[np.argsort(book.score[period == p])[:50]] for p in range(3)
    ])  # fmt: skip
    assert found.called == 150
    assert found.churners == pytest.approx(book.churned[called].sum())
    assert found.value == pytest.approx((book.churned * book.value)[called].sum())
    assert found.recall == pytest.approx(found.churners / book.churned.sum())
    assert found.value_share == pytest.approx(found.value / (book.churned * book.value).sum())
    assert found.at_random == pytest.approx(50 * sum(book.churned[period == p].mean() for p in range(3)))
    assert found.churners_interval.holds(found.churners)
    assert found.churners_interval.low > found.at_random


def test_more_capacity_than_accounts_calls_everyone(book: Book) -> None:
    found = value_at_capacity(book.churned, score=book.score, capacity=10**6, resampling=FEW)
    assert (found.called, found.recall) == (3000, 1.0)
    assert np.isnan(found.value)
    with pytest.raises(RecipeError, match="at least 1 account"):
        value_at_capacity(book.churned, score=book.score, capacity=0)


def test_value_at_risk_is_the_poisson_binomial_mean(book: Book) -> None:
    found = value_at_risk(book.probability, value=book.value)
    assert found.churns == pytest.approx(book.probability.sum())
    assert found.value == pytest.approx((book.probability * book.value).sum())
    error = np.sqrt(np.sum(book.probability * (1 - book.probability) * book.value**2))
    assert found.value_interval.high == pytest.approx(found.value + norm.ppf(0.975) * error)
    assert found.churns_interval.holds(book.churned.sum())
    assert np.isnan(value_at_risk(book.probability).value)


def test_net_benefit_is_its_definition(book: Book) -> None:
    curve = net_benefit_curve(book.churned, probability=book.probability)
    for point in curve:
        act = book.probability >= point.threshold
        caught, false = (book.churned[act] == 1).sum(), (book.churned[act] == 0).sum()
        price = point.threshold / (1 - point.threshold)
        assert point.benefit == pytest.approx((caught - false * price) / 3000)
        base = book.churned.mean()
        assert point.act_on_all == pytest.approx(base - (1 - base) * price)
        assert point.interval.holds(point.benefit)
    assert all(p.benefit >= max(0.0, p.act_on_all) - 0.002 for p in curve)
