"""Calibration against scikit-learn, scipy and sandwich sums written out."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from chs_ml.validation.calibration import calibration, calibration_bins, fit_logistic
from tests.validation.conftest import Book, make_book


def test_slope_and_intercept_are_the_unpenalised_logistic_regression(book: Book) -> None:
    found = calibration(book.probability, book.churned, book.account)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    model.fit(logit(book.probability)[:, None], book.churned)
    assert found.slope == pytest.approx(model.coef_[0, 0], abs=1e-5)
    assert found.intercept == pytest.approx(model.intercept_[0], abs=1e-5)


def test_in_the_large_makes_the_mean_right(book: Book) -> None:
    low = expit(logit(book.probability) - 0.7)
    found = calibration(low, book.churned, book.account)
    root = brentq(lambda a: float(np.mean(expit(logit(low) + a)) - book.churned.mean()), -3, 3)
    assert found.in_the_large == pytest.approx(root, abs=1e-8)
    assert found.in_the_large_interval.low > 0


def test_covariance_is_the_cluster_sandwich(monthly_book: Book) -> None:
    x = np.column_stack([np.ones(3000), logit(monthly_book.probability)])
    fit = fit_logistic(x, monthly_book.churned, monthly_book.account)
    p = expit(x @ fit.coefficients)
    bread = np.linalg.inv(x.T @ (x * (p * (1 - p))[:, None]))
    meat = np.zeros((2, 2))
    for a in range(500):
        s = ((monthly_book.churned - p)[:, None] * x)[monthly_book.account == a].sum(axis=0)
        meat += np.outer(s, s)
    np.testing.assert_allclose(fit.covariance, 500 / 499 * bread @ meat @ bread, rtol=1e-6)


def test_too_extreme_probabilities_have_a_slope_below_one(book: Book) -> None:
    extreme = expit(2.0 * logit(book.probability))
    found = calibration(extreme, book.churned, book.account)
    straight = calibration(book.probability, book.churned, book.account)
    assert found.slope == pytest.approx(straight.slope / 2, abs=1e-6)
    assert found.slope_interval.high < 1.0


def test_no_slope_without_spread_or_overlap() -> None:
    churned = np.array([0.0, 0.0, 1.0, 1.0])
    assert np.isnan(calibration(np.full(4, 0.5), churned, np.arange(4)).slope)
    separated = calibration(np.array([0.1, 0.2, 0.8, 0.9]), churned, np.arange(4))
    assert np.isnan(separated.slope)
    assert not separated.slope_interval.known


def test_bins_are_of_equal_mass_and_keep_ties_together() -> None:
    rng = np.random.default_rng(0)
    probability = np.r_[np.full(400, 0.05), rng.uniform(0.06, 0.9, 600)]
    churned = (rng.random(1000) < probability).astype(float)
    bins = calibration_bins(probability, churned, np.arange(1000))
    assert len(bins) <= 10
    assert sum(b.n for b in bins) == 1000
    assert sum(b.churned for b in bins) == churned.sum()
    assert [b.n for b in bins if b.lowest == 0.05] == [400]
    for one, other in pairwise(bins):
        assert one.highest < other.lowest


def test_equal_mass_without_ties() -> None:
    book = make_book(1000, seed=4)
    sizes = [b.n for b in calibration_bins(book.probability, book.churned, book.account)]
    assert sizes == [100] * 10
