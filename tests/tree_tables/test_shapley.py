"""The closed form of one leaf against the sum over all subsets."""

from fractions import Fraction
from itertools import combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chs_ml.tree_tables.shapley import gauss_legendre, leaf_contributions


@pytest.mark.parametrize("points", range(1, 9))
def test_gauss_legendre_integrates_polynomials_exactly(points: int) -> None:
    rule = gauss_legendre(points)
    for power in range(2 * points):
        assert sum(weight * point**power for point, weight in rule) == pytest.approx(
            1 / (power + 1), abs=1e-15
        )
    reference, _ = np.polynomial.legendre.leggauss(points)
    np.testing.assert_allclose(sorted(point for point, _ in rule), (reference + 1) / 2, rtol=0, atol=1e-15)


@settings(max_examples=50)
@given(odds=st.lists(st.sampled_from([0.0, 1e-9, 0.1, 0.5, 0.9, 1.0]), max_size=5), value=st.floats(-9, 9))
def test_a_leaf_is_the_weighted_sum_over_subsets(odds: list[float], value: float) -> None:
    found = leaf_contributions(np.array([odds]).reshape(1, -1), np.array([value]))[0]
    for pattern in range(1 << len(odds)):
        agrees = [pattern >> bit & 1 for bit in range(len(odds))]
        expected = [value * float(_share(odds, agrees, feature)) for feature in range(len(odds))]
        np.testing.assert_allclose(found[:, pattern], expected, rtol=0, atol=1e-13)


def _share(odds: list[float], agrees: list[int], feature: int) -> Fraction:
    """The Shapley value of a leaf of value 1, in exact arithmetic."""
    m = len(odds)
    others = [other for other in range(m) if other != feature]
    total = Fraction(0)
    for size in range(m):
        weight = Fraction(factorial(size) * factorial(m - size - 1), factorial(m))
        for known in combinations(others, size):
            product = Fraction(1)
            for other in others:
                product *= agrees[other] if other in known else Fraction(odds[other])
            total += weight * product
    return total * (agrees[feature] - Fraction(odds[feature]))
