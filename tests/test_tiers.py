"""Tiers: bounds are inclusive below."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chs_ml.errors import RecipeError
from chs_ml.tiers import Tiers


def by_hand(score: float, tiers: Tiers) -> str | None:
    for name, bound in zip(tiers.names, tiers.lower_bounds, strict=True):
        if score >= bound:
            return name
    return tiers.names[-1] if score < 0 else None


def test_defaults() -> None:
    scores = np.array(
        [100.0, 75.0, np.nextafter(75.0, 0), 50.0, np.nextafter(50.0, 0), 0.0, np.nan, 74.999999999]
    )
    named = ["Healthy", "Healthy", "At-Risk", "At-Risk", "Critical", "Critical", np.nan, "At-Risk"]
    assert [*Tiers().assign(scores).astype(object)] == pytest.approx(named, nan_ok=True)


@given(
    bounds=st.lists(st.integers(1, 99), min_size=1, max_size=6, unique=True),
    scores=st.lists(st.floats(-5.0, 105.0) | st.integers(0, 100).map(float), max_size=20),
)
def test_any_bounds_against_a_loop(bounds: list[int], scores: list[float]) -> None:
    tiers = Tiers.from_bounds({**{f"t{bound}": bound for bound in bounds}, "last": 0})
    assigned = tiers.assign(np.array(scores, dtype=np.float64))
    assert list(assigned) == [by_hand(score, tiers) for score in scores]
    assert assigned.ordered
    assert tuple(assigned.categories) == tiers.names


def test_bounds_may_come_in_any_order() -> None:
    tiers = Tiers.from_bounds({"Critical": 0, "Healthy": 80, "Fine": 90})
    assert tiers == Tiers(("Fine", "Healthy", "Critical"), (90.0, 80.0, 0.0))


@pytest.mark.parametrize(
    ("names", "bounds"),
    [
        (("A",), (0.0,)),
        ((), ()),
        (("A", "A"), (50.0, 0.0)),
        (("A", "B"), (0.0, 50.0)),
        (("A", "B"), (50.0, 50.0)),
        (("A", "B"), (50.0, 10.0)),
        (("A", "B"), (100.0, 0.0)),
        (("A", "B"), (50.0,)),
        (("A", "B"), (float("nan"), 0.0)),
    ],
)
def test_bounds_that_cannot_be(names: tuple[str, ...], bounds: tuple[float, ...]) -> None:
    with pytest.raises(RecipeError, match="Tiers must be at least two distinct names, healthiest first"):
        Tiers(names, bounds)


def test_two_tiers_at_one_bound_are_refused() -> None:
    with pytest.raises(RecipeError, match="lower bounds that fall"):
        Tiers.from_bounds({"A": 50, "B": 50, "C": 0})
