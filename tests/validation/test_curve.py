"""The calibration curve finds the diagonal, and a bend that was put there."""

import numpy as np
import pytest
from scipy.special import expit, logit

from chs_ml.validation.curve import calibration_curve, restricted_spline, spline_knots
from tests.validation.conftest import Book, make_book


def test_a_calibrated_book_lies_on_the_diagonal() -> None:
    book = make_book(20000, seed=5)
    curve = calibration_curve(book.probability, book.churned, book.account)
    inside = np.mean([point.interval.holds(point.predicted) for point in curve.points])
    assert inside >= 0.8
    assert curve.ici < 0.006
    assert list(curve.frame().columns) == ["predicted", "realised", "low", "high"]


def test_the_index_is_the_mean_gap_of_a_known_distortion() -> None:
    book = make_book(60000, seed=6)
    said = expit(logit(book.probability) * 1.3 + 0.3)
    curve = calibration_curve(said, book.churned, book.account)
    assert curve.ici == pytest.approx(np.mean(np.abs(said - book.probability)), rel=0.1)
    assert curve.ici_interval.holds(curve.ici)
    assert curve.ici < curve.e90


def test_spline_is_straight_beyond_its_knots() -> None:
    knots = np.array([-2.0, -0.5, 0.5, 2.0])
    for outside in (np.array([-5.0, -4.0, -3.0]), np.array([3.0, 4.0, 5.0])):
        second = np.diff(restricted_spline(outside, knots), n=2, axis=0)
        np.testing.assert_allclose(second, 0.0, atol=1e-9)


def test_few_churns_get_few_knots(book: Book) -> None:
    margin = logit(book.probability)
    assert [len(spline_knots(margin, events=e)) for e in (10, 30, 60, 200)] == [0, 3, 4, 5]
    assert len(spline_knots(np.zeros(50), events=200)) == 0


def test_no_curve_where_none_can_be_fitted() -> None:
    curve = calibration_curve(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 0, 1, 1]), np.arange(4))
    assert curve.points == ()
    assert np.isnan(curve.ici)
