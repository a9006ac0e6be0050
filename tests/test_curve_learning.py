"""Learned curves: their scale by hand, and that no row is seen by its own curve."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from chs_ml.additive import Hats, Knots
from chs_ml.curve_learning import GivenCurves, LearnedCurves, curve_of, health_points, points_of
from chs_ml.curves import CategoryCurve, LinearCurve
from chs_ml.inputs import InputColumn
from chs_ml.metric import Direction, Kind, Metric

Array = NDArray[np.float64]
NAN = float("nan")


def numbers(values: list[float], *, x: tuple[float, ...] = (0.0, 1.0, 2.0), sign: int = 0) -> Hats:
    return Hats.of(np.array(values), Knots(np.array(x), is_category=False, sign=sign))


def categories(codes: list[float], n: int) -> Hats:
    return Hats.of(np.array(codes), Knots(np.arange(float(n)), is_category=True, sign=0))


def test_the_healthiest_knot_has_100_points_and_the_worst_0() -> None:
    points = health_points(numbers([0.0, 1.0, 2.0]), np.array([1.0, -1.0, 0.5, 7.0]))
    np.testing.assert_allclose(points, [0.0, 100.0, 25.0, 0.0])  # missing is rare: clipped into the range


def test_missing_spans_the_range_where_a_hundredth_of_the_rows_have_it() -> None:
    common = numbers([0.0] * 98 + [NAN, NAN])
    np.testing.assert_allclose(
        health_points(common, np.array([1.0, -1.0, 0.0, 3.0])), [50.0, 100.0, 75.0, 0.0]
    )
    rare = numbers([0.0] * 298 + [NAN, NAN])
    np.testing.assert_allclose(health_points(rare, np.array([1.0, -1.0, 0.0, 3.0])), [0.0, 100.0, 50.0, 0.0])


def test_rare_categories_are_clipped_into_the_range_of_the_common_ones() -> None:
    hats = categories([0.0] * 150 + [1.0] * 149 + [2.0], 3)
    points = health_points(hats, np.array([1.0, -1.0, 5.0, 0.0]))
    np.testing.assert_allclose(points, [0.0, 100.0, 0.0, 50.0])
    points = health_points(hats, np.array([1.0, -1.0, -5.0, 0.0]))
    np.testing.assert_allclose(points, [0.0, 100.0, 100.0, 50.0])


@pytest.mark.parametrize(
    ("sign", "expected"), [(1, [0.0, 50.0, 100.0, 50.0]), (-1, [100.0, 50.0, 0.0, 50.0]), (0, [50.0] * 4)]
)
def test_where_outcomes_show_nothing_the_direction_speaks(sign: int, expected: list[float]) -> None:
    np.testing.assert_allclose(health_points(numbers([0.0, 1.0], sign=sign), np.zeros(4)), expected)


def test_curves_are_what_the_points_say() -> None:
    column = InputColumn(metric=Metric(name="m"))
    curve = curve_of(numbers([0.0, 1.0]), np.array([1.0, -1.0, 0.0, 0.5]), column)
    assert curve == LinearCurve(x=(0.0, 1.0, 2.0), points=(0.0, 100.0, 50.0), missing=25.0)
    column = InputColumn(metric=Metric(name="m", kind=Kind.CATEGORY), categories=("a", "b"))
    by_label = curve_of(categories([0.0, 1.0], 2), np.array([1.0, 0.0, 0.5]), column)
    assert by_label == CategoryCurve(points={"a": 0.0, "b": 100.0}, other=50.0, missing=50.0)


def test_points_of_given_curves() -> None:
    curves = [
        LinearCurve(x=(0.0, 10.0), points=(0.0, 100.0)),
        CategoryCurve(points={"a": 20.0}, missing=70.0),
    ]
    x = np.array([[5.0, 0.0], [NAN, NAN]])
    np.testing.assert_allclose(points_of(curves, x), [[0.5, 0.2], [0.5, 0.7]])
    np.testing.assert_allclose(GivenCurves(x, curves).unseen_points(np.zeros(2)), [[0.5, 0.2], [0.5, 0.7]])


COLUMNS = [
    InputColumn(metric=Metric(name="a", direction=Direction.HIGHER)),
    InputColumn(metric=Metric(name="b")),
    InputColumn(metric=Metric(name="c", kind=Kind.CATEGORY), categories=("x", "y", "z")),
]


def table(n: int = 1500) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=n), rng.normal(size=n), rng.integers(0, 3, n).astype(float)])
    churned = (rng.random(n) < expit(-1.0 - 1.5 * x[:, 0] + np.abs(x[:, 1]) + (x[:, 2] == 1))).astype(float)
    x[rng.random((n, 3)) < 0.05] = NAN
    return x, churned


def test_learned_curves_find_the_shape() -> None:
    x, churned = table()
    learner = LearnedCurves(x, churned, columns=COLUMNS, folds=np.arange(1500) % 5, smoothing=3.0)
    a, b, c = learner.curves
    assert isinstance(a, LinearCurve)
    assert isinstance(b, LinearCurve)
    assert isinstance(c, CategoryCurve)
    assert (np.diff(a.points) >= 0).all()
    low, high = np.nanquantile(x[:, 0], [0.01, 0.99], method="nearest")
    assert (a.x[0], a.x[-1]) == (low, high)
    np.testing.assert_allclose(b.evaluate(np.array([-1.8, 0.0, 1.8])), [10, 95, 10], atol=25)
    assert c.points["y"] < min(c.points["x"], c.points["z"]) - 50
    for curve in (a, b):
        assert (min(curve.points), max(curve.points)) == pytest.approx((0.0, 100.0))


def test_no_row_is_on_a_curve_that_saw_its_fold() -> None:
    x, churned = table()
    folds = np.arange(1500) % 3
    learner = LearnedCurves(x, churned, columns=COLUMNS, folds=folds, smoothing=3.0)
    before = learner.unseen_points(np.ones(1500))
    turned = churned.copy()
    turned[folds == 1] = 1.0 - turned[folds == 1]
    after = LearnedCurves(x, turned, columns=COLUMNS, folds=folds, smoothing=3.0).unseen_points(np.ones(1500))
    np.testing.assert_array_equal(after[folds == 1], before[folds == 1])
    assert np.abs(after[folds == 0] - before[folds == 0]).max() > 0.05
    assert ((before >= 0) & (before <= 1)).all()


def test_hats_and_the_saved_curve_give_the_same_points() -> None:
    x, churned = table()
    learner = LearnedCurves(x, churned, columns=COLUMNS, folds=np.zeros(1500, dtype=np.intp), smoothing=3.0)
    fit = learner._fit(np.ones(1500), None)
    for k, (hats, risk, curve) in enumerate(
        zip(learner._hats, fit.coefficients, learner.curves, strict=True)
    ):
        np.testing.assert_allclose(
            hats.evaluate(health_points(hats, risk)), curve.evaluate(x[:, k]), atol=1e-9
        )
