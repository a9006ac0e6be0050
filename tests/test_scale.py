"""Health scales, as a battery over all of them, and the anchors of the anchored one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from chs_ml.scale import (
    AnchoredScale,
    HealthScale,
    NativeScale,
    RetentionScale,
    churn_probability,
    published_score,
)

LN2 = float(np.log(2.0))
BOUNDED = [
    AnchoredScale(0.102),
    AnchoredScale(0.5),
    AnchoredScale(0.003),
    AnchoredScale(0.97),
    RetentionScale(),
]
ALL = [*BOUNDED, NativeScale()]
INSIDE = np.linspace(-9.0, 9.0, 4001)


def margin_at(scale: AnchoredScale, straight: float) -> float:
    """The margin at which the unbent scale would say `straight`, from the text: 12.5 points a doubling."""
    return float(logit(scale.base_rate)) + (62.5 - straight) / 12.5 * LN2


@pytest.mark.parametrize("scale", ALL)
def test_more_risk_is_always_less_health(scale: HealthScale) -> None:
    assert np.all(np.diff(scale.score(INSIDE)) < 0)


@pytest.mark.parametrize("scale", ALL)
def test_slope_is_the_derivative_of_the_score(scale: HealthScale) -> None:
    step = 1e-5
    numeric = (scale.score(INSIDE + step) - scale.score(INSIDE - step)) / (2 * step)
    np.testing.assert_allclose(scale.slope(INSIDE), numeric, rtol=2e-5, atol=1e-6)
    assert np.all(scale.slope(INSIDE) < 0)


@pytest.mark.parametrize("scale", BOUNDED)
@pytest.mark.parametrize("margin", [-1e300, -800.0, -60.0, 60.0, 800.0, 1e300])
def test_no_account_sits_on_a_wall(scale: HealthScale, margin: float) -> None:
    score = published_score(scale.score(np.array([margin])))
    assert 0.0 < score[0] < 100.0
    assert (score[0] > 99) == (margin < 0)


@pytest.mark.parametrize("scale", ALL)
def test_one_value_alone_has_the_bits_it_has_among_many(scale: HealthScale) -> None:
    rng = np.random.default_rng(0)
    many = np.concatenate([rng.normal(scale=s, size=70_001) for s in (0.1, 3.0, 40.0)])
    for function in (scale.score, scale.slope, churn_probability):
        together = function(many)
        for i in (*range(40), *rng.integers(0, len(many), 400)):
            assert function(many[i : i + 1])[0] == together[i]
        np.testing.assert_array_equal(function(many[::-1])[::-1], together)
        np.testing.assert_array_equal(function(np.column_stack([many, many])[:, 0]), together)


@pytest.mark.parametrize("base_rate", [0.01, 0.102, 0.265, 0.5, 0.9])
def test_the_base_rate_sits_at_62_and_a_half_and_each_doubling_of_the_odds_costs_12_and_a_half(
    base_rate: float,
) -> None:
    scale, odds = AnchoredScale(base_rate), base_rate / (1 - base_rate)
    doublings = np.array([-1.0, 0.0, 1.0, 2.0, 3.0])
    p = odds * 2.0**doublings / (1 + odds * 2.0**doublings)
    np.testing.assert_allclose(scale.score(logit(p)), [75.0, 62.5, 50.0, 37.5, 25.0], atol=1e-9)
    np.testing.assert_allclose(scale.score(logit(p) - LN2 / 12.5), [76.0, 63.5, 51.0, 38.5, 26.0], atol=1e-9)


@given(straight=st.floats(-400.0, 500.0), base_rate=st.floats(0.001, 0.999))
def test_the_formula_of_the_bends(straight: float, base_rate: float) -> None:
    scale = AnchoredScale(base_rate)
    if straight > 85:
        expected = 100 - 15 * np.exp(-(straight - 85) / 15)
    elif straight < 15:
        expected = 15 * np.exp((straight - 15) / 15)
    else:
        expected = straight
    score = scale.score(np.array([margin_at(scale, straight)]))[0]
    assert score == pytest.approx(expected, abs=2e-9)


@pytest.mark.parametrize("bend", [15.0, 85.0])
def test_the_bends_are_continuous_and_smooth(bend: float) -> None:
    scale, small = AnchoredScale(0.102), 1e-7
    sides = np.array([margin_at(scale, bend - small), margin_at(scale, bend + small)])
    np.testing.assert_allclose(scale.score(sides), bend, atol=2 * small)
    np.testing.assert_allclose(scale.slope(sides), -12.5 / LN2, rtol=1e-7)
    assert abs(scale.slope(np.array([margin_at(scale, bend + np.sign(bend - 50) * 5)]))[0]) < 12.5 / LN2


def test_the_bends_mirror_each_other() -> None:
    scale = AnchoredScale(0.2)
    up = np.array([margin_at(scale, s) for s in np.linspace(50, 140, 91)])
    down = np.array([margin_at(scale, 100 - s) for s in np.linspace(50, 140, 91)])
    np.testing.assert_allclose(scale.score(up) + scale.score(down), 100.0, atol=1e-9)


@pytest.mark.parametrize("base_rate", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_base_rate_lies_between_0_and_1(base_rate: float) -> None:
    with pytest.raises(ValueError, match=r"base_rate must lie in \(0, 1\), got"):
        AnchoredScale(base_rate)


def test_retention_is_the_chance_to_stay() -> None:
    np.testing.assert_allclose(RetentionScale().score(INSIDE), 100 * (1 - expit(INSIDE)), atol=1e-11)


def test_native_points_are_left_untouched() -> None:
    points = np.array([0.0, 12.345678901234, 100.0])
    np.testing.assert_array_equal(NativeScale().score(-points), points)


@given(st.floats(allow_nan=False))
def test_a_probability_is_never_0_or_1_and_has_12_decimals(margin: float) -> None:
    p = churn_probability(np.array([margin]))[0]
    assert 1e-12 <= p <= 1 - 1e-12
    assert p == round(p, 12)
    assert abs(p - expit(margin)) <= 1.01e-12


def test_a_score_is_published_with_9_decimals() -> None:
    np.testing.assert_array_equal(published_score(np.array([12.34567890149, np.nan])), [12.345678901, np.nan])


def test_no_scores_of_no_accounts() -> None:
    for scale in ALL:
        assert scale.score(np.zeros(0)).shape == (0,)
