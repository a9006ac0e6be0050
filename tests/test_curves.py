"""Health curves, against hand-computed points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chs_ml.curves import (
    BandCurve,
    CategoryCurve,
    Edge,
    LinearCurve,
    direction_of,
    piece_codes,
    pieces_of,
    points_range,
)
from chs_ml.errors import ScorecardError

NAN = float("nan")


def test_a_line_is_flat_outside_its_knots() -> None:
    curve = LinearCurve(x=(0.0, 10.0, 30.0), points=(0.0, 80.0, 100.0), missing=40.0)
    values = np.array([-np.inf, -1.0, 0.0, 5.0, 10.0, 15.0, 30.0, 31.0, np.inf, NAN])
    np.testing.assert_allclose(curve.evaluate(values), [0, 0, 0, 40, 80, 85, 100, 100, 100, 40])


def test_missing_has_no_points_unless_the_curve_gives_some() -> None:
    np.testing.assert_array_equal(
        LinearCurve(x=(1.0,), points=(7.0,)).evaluate(np.array([NAN, 3.0])), [NAN, 7.0]
    )
    by_plan = CategoryCurve(points={"a": 1.0})
    np.testing.assert_array_equal(by_plan.evaluate(np.array([NAN, 0.0, 1.0])), [NAN, 1.0, NAN])


@given(
    knots=st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.floats(0, 100)), min_size=1, max_size=8, unique_by=lambda k: k[0]
    ),
    value=st.floats(-2e6, 2e6),
)
def test_a_line_between_two_knots(knots: list[tuple[float, float]], value: float) -> None:
    knots = sorted(knots)
    x, points = zip(*knots, strict=True)
    got = LinearCurve(x=x, points=points).evaluate(np.array([value]))[0]
    left = [k for k in knots if k[0] <= value]
    right = [k for k in knots if k[0] > value]
    if not left or not right:
        assert got == (right[0] if right else left[-1])[1]
    else:
        (x0, p0), (x1, p1) = left[-1], right[0]
        assert got == pytest.approx(p0 + (p1 - p0) * ((value - x0) / (x1 - x0)), abs=1e-6)


def test_a_row_alone_has_the_bits_it_has_among_many() -> None:
    rng = np.random.default_rng(0)
    curve = LinearCurve(
        x=tuple(np.sort(rng.normal(size=12)).tolist()), points=tuple(rng.uniform(0, 100, 12).tolist())
    )
    values = rng.normal(scale=2, size=5000)
    together = curve.evaluate(values)
    assert all(curve.evaluate(values[i : i + 1])[0] == together[i] for i in range(600))


def test_categories_are_coded_in_sorted_order() -> None:
    curve = CategoryCurve(points={"pro": 90.0, "basic": 10.0, "Team": 50.0}, other=33.0, missing=22.0)
    assert curve.categories == ("Team", "basic", "pro")
    np.testing.assert_array_equal(curve.evaluate(np.array([0.0, 1.0, 2.0, 3.0, NAN])), [50, 10, 90, 33, 22])


def test_an_unnamed_category_counts_as_missing_where_other_has_no_points() -> None:
    curve = CategoryCurve(points={"a": 1.0}, missing=5.0)
    np.testing.assert_array_equal(curve.evaluate(np.array([1.0, NAN])), [5.0, 5.0])


@pytest.mark.parametrize(
    ("x", "points"),
    [
        ((), ()),
        ((1.0, 1.0), (0.0, 1.0)),
        ((2.0, 1.0), (0.0, 1.0)),
        ((1.0, 2.0), (0.0,)),
        ((1.0, NAN), (0.0, 1.0)),
        ((1.0, float("inf")), (0.0, 1.0)),
        ((1.0, 2.0), (0.0, NAN)),
    ],
)
def test_knots_that_cannot_be(x: tuple[float, ...], points: tuple[float, ...]) -> None:
    with pytest.raises(ScorecardError, match="pairs of value and points with values that rise strictly"):
        LinearCurve(x=x, points=points)


@pytest.mark.parametrize("points", [{}, {"a": NAN}, {"a": float("inf")}])
def test_categories_that_cannot_be(points: dict[str, float]) -> None:
    with pytest.raises(ScorecardError, match="at least one category, with finite points"):
        CategoryCurve(points=points)


@pytest.mark.parametrize("missing", [NAN, float("inf")])
def test_points_of_a_missing_value_are_finite_or_none(missing: float) -> None:
    with pytest.raises(ScorecardError, match="finite"):
        LinearCurve(x=(0.0,), points=(1.0,), missing=missing)
    with pytest.raises(ScorecardError, match="finite"):
        CategoryCurve(points={"a": 1.0}, missing=missing)
    with pytest.raises(ScorecardError, match="finite"):
        CategoryCurve(points={"a": 1.0}, other=missing)


def test_pieces_and_where_values_lie() -> None:
    values = np.array([-5.0, 0.0, 10.0, 20.0, 25.0, np.nan])
    top = BandCurve(bounds=(0.0, 20.0), points=(1.0, 2.0, 3.0), edge=Edge.TOP)
    bottom = BandCurve(bounds=(0.0, 20.0), points=(1.0, 2.0, 3.0), edge=Edge.BOTTOM)
    line = LinearCurve(x=(0.0, 20.0), points=(1.0, 3.0))
    for curve in (top, bottom, line):
        assert pieces_of(curve) == [(-np.inf, 0.0), (0.0, 20.0), (20.0, np.inf)]
    assert piece_codes(top, values).tolist() == [0, 0, 1, 1, 2, -1]
    assert piece_codes(bottom, values).tolist() == [0, 1, 1, 2, 2, -1]
    assert piece_codes(line, values).tolist() == [0, 1, 1, 2, 2, -1]


@pytest.mark.parametrize(
    ("points", "expected"),
    [((0.0, 5.0, 5.0), 1), ((5.0, 2.0, 0.0), -1), ((0.0, 9.0, 5.0), 0), ((4.0,) * 3, 0)],
)
def test_direction(points: tuple[float, ...], expected: int) -> None:
    line = LinearCurve(x=(0.0, 1.0, 2.0), points=points)
    assert direction_of(line) == expected
    assert direction_of(BandCurve(bounds=(0.0, 1.0), points=points, edge=Edge.TOP)) == expected
    assert direction_of(LinearCurve(x=(0.0, 1.0, 2.0), points=points, outside=3.0)) == 0
    assert direction_of(CategoryCurve(points={"a": 1.0, "b": 2.0})) == 0


def test_points_outside_a_line_belong_to_its_range() -> None:
    line = LinearCurve(x=(0.0, 10.0), points=(2.0, 5.0), outside=-1.0)
    assert points_range(line) == (-1.0, 5.0)
    np.testing.assert_array_equal(line.evaluate(np.array([-1.0, 0.0, 10.0, 11.0])), [-1.0, 2.0, 5.0, -1.0])
    with pytest.raises(ScorecardError, match="all finite"):
        LinearCurve(x=(0.0, 10.0), points=(2.0, 5.0), outside=float("inf"))
