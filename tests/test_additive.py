"""Additive logistic regression, against dense bases and scipy's general optimisers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from chs_ml.additive import (
    AdditiveFit,
    Hats,
    Knots,
    bounded_newton_step,
    fit_additive,
    place_knots,
    roughness,
    solve_block,
)
from chs_ml.inputs import InputColumn
from chs_ml.metric import Direction, Kind, Metric

Array = NDArray[np.float64]
NAN = float("nan")


def number(direction: Direction = Direction.UNKNOWN) -> InputColumn:
    return InputColumn(metric=Metric(name="m", direction=direction))


def category(n: int) -> InputColumn:
    labels = tuple(f"c{i}" for i in range(n))
    return InputColumn(metric=Metric(name="m", kind=Kind.CATEGORY), categories=labels)


def dense(values: Array, knots: Knots) -> Array:
    """The basis matrix, entry by entry."""
    c = len(knots.x)
    basis = np.zeros((len(values), c + 1))
    for i, value in enumerate(values):
        if np.isnan(value) or (knots.is_category and value >= c):
            basis[i, c] = 1.0
        elif knots.is_category:
            basis[i, int(value)] = 1.0
        else:
            for k in range(c):
                basis[i, k] = np.interp(value, knots.x, np.eye(c)[k])
    return basis


VALUES = np.array([NAN, -5.0, 0.0, 0.3, 1.0, 1.5, 2.0, 3.7, 4.0, 9.0, NAN, 2.0])
KNOTS = [
    Knots(np.array([0.0, 1.0, 2.0, 4.0]), is_category=False, sign=0),
    Knots(np.array([1.0]), is_category=False, sign=1),
    Knots(np.arange(3.0), is_category=True, sign=0),
    Knots(np.array([0.0, 4.0]), is_category=False, sign=-1),
]


def column_for(knots: Knots) -> Array:
    return np.array([NAN, 0, 1, 2, 3, 2, 1, 0, NAN, 1, 1, 3.0]) if knots.is_category else VALUES


@pytest.mark.parametrize("knots", KNOTS, ids=str)
def test_hats_are_the_basis_matrix(knots: Knots) -> None:
    values, rng = column_for(knots), np.random.default_rng(0)
    hats, basis = Hats.of(values, knots), dense(values, knots)
    coefficients, residual, weight = rng.normal(size=knots.size), rng.normal(size=12), rng.random(12)
    np.testing.assert_allclose(hats.evaluate(coefficients), basis @ coefficients, atol=1e-12)
    np.testing.assert_allclose(hats.gradient(residual), basis.T @ residual, atol=1e-12)
    np.testing.assert_allclose(hats.gram(weight), basis.T @ (basis * weight[:, None]), atol=1e-12)
    some = np.array([3, 0, 7])
    np.testing.assert_allclose(
        hats.rows(some).evaluate(coefficients), (basis @ coefficients)[some], atol=1e-12
    )


# --- knots ---


def test_knots_of_few_distinct_values_are_these_values() -> None:
    values = np.array([3.0, 1.0, NAN, 2.0, 1.0])
    knots = place_knots(values, number(Direction.LOWER))
    np.testing.assert_array_equal(knots.x, [1.0, 2.0, 3.0])
    assert (knots.sign, knots.is_category, knots.size) == (-1, False, 4)


def test_knots_of_many_values_lie_at_quantiles_between_the_1st_and_the_99th_percentile() -> None:
    values = np.random.default_rng(0).permutation(np.arange(1001.0))
    knots = place_knots(values, number(), max_knots=5)
    np.testing.assert_allclose(knots.x, np.quantile(values, [0.01, 0.255, 0.5, 0.745, 0.99]), atol=1.0)


@given(st.lists(st.floats(-1e6, 1e6) | st.just(0.0) | st.just(NAN), max_size=80), st.integers(2, 12))
def test_knots_rise_and_are_values_that_were_seen(values: list[float], most: int) -> None:
    knots = place_knots(np.array(values, dtype=np.float64), number(), max_knots=most)
    assert (np.diff(knots.x) > 0).all()
    assert 1 <= len(knots.x) <= max(2 * most, 1)
    known = {v for v in values if not np.isnan(v)}
    assert set(knots.x.tolist()) <= (known or {0.0})


def test_a_value_that_most_rows_have_leaves_knots_for_the_others() -> None:
    values = np.concatenate([np.zeros(900), np.linspace(1, 50, 100)])
    assert len(place_knots(values, number()).x) >= 4


def test_categories_have_a_knot_each() -> None:
    knots = place_knots(np.array([0.0, 1.0]), category(4))
    assert (knots.x.tolist(), knots.is_category, knots.sign, knots.size) == ([0, 1, 2, 3], True, 0, 5)


def test_a_metric_that_is_never_known_has_a_knot_for_the_future() -> None:
    assert place_knots(np.full(5, NAN), number(Direction.HIGHER)).size == 2


# --- one metric ---


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), c=st.integers(2, 7), sign=st.sampled_from([-1, 0, 1]))
def test_best_coefficients_of_one_metric_are_those_of_a_general_optimiser(
    seed: int, c: int, sign: int
) -> None:
    rng = np.random.default_rng(seed)
    knots = Knots(np.arange(float(c)), is_category=False, sign=sign)
    root = rng.normal(size=(c + 4, c + 1))
    hessian, gradient = root.T @ root + 0.05 * np.eye(c + 1), 3 * rng.normal(size=c + 1)
    best = solve_block(knots, hessian, gradient)
    steps = np.diff(best[:c])
    assert sign == 0 or (-sign * steps >= -1e-9).all()

    def objective(f: Array) -> float:
        return float(0.5 * f @ hessian @ f - gradient @ f)

    rules = (
        []
        if sign == 0
        else [{"type": "ineq", "fun": lambda f, k=k: -sign * (f[k + 1] - f[k])} for k in range(c - 1)]
    )
    found = minimize(
        objective,
        np.zeros(c + 1),
        jac=lambda f: hessian @ f - gradient,
        constraints=rules,
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    assert objective(best) <= found.fun + 1e-5 * (1 + abs(found.fun))


def test_a_bounded_step_by_hand() -> None:
    step = bounded_newton_step(
        np.eye(2), np.array([-1.0, 2.0]), transform=np.eye(2), free=np.array([False, False])
    )
    np.testing.assert_allclose(step, [0.0, 2.0], atol=1e-12)
    step = bounded_newton_step(
        np.eye(2), np.array([-1.0, 2.0]), transform=np.eye(2), free=np.array([True, False])
    )
    np.testing.assert_allclose(step, [-1.0, 2.0], atol=1e-12)


def test_roughness_is_curvature_and_a_tenth_of_the_slope() -> None:
    penalty = roughness(Knots(np.arange(4.0), is_category=False, sign=0), smoothing=5.0)
    f = np.array([1.0, 3.0, 4.0, 4.5, 0.7])
    bends, slopes = [-1.0, -0.5], [2.0, 1.0, 0.5]
    expected = 5.0 * (sum(b**2 for b in bends) + 0.1 * sum(s**2 for s in slopes) + 0.7**2) + 1e-3 * f @ f
    assert f @ penalty @ f == pytest.approx(expected)
    of_categories = roughness(Knots(np.arange(4.0), is_category=True, sign=0), smoothing=5.0)
    np.testing.assert_allclose(of_categories, 5.001 * np.eye(5))


# --- all metrics together ---


def table(seed: int, n: int = 400) -> tuple[list[Array], Array]:
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=n), rng.integers(0, 6, n).astype(float), rng.integers(0, 3, n).astype(float)
    margin = -0.5 - 1.2 * np.clip(a, -1, 1) + 0.5 * (b > 3) + 0.8 * (c == 1)
    a = np.where(rng.random(n) < 0.1, NAN, a)
    return [a, b, c], (rng.random(n) < expit(margin)).astype(float)


COLUMNS = [number(Direction.HIGHER), number(), category(3)]


def hats_of(values: list[Array]) -> list[Hats]:
    return [Hats.of(v, place_knots(v, c, max_knots=5)) for v, c in zip(values, COLUMNS, strict=True)]


def penalised(
    fit: AdditiveFit,
    values: list[Array],
    hats: list[Hats],
    churned: Array,
    *,
    smoothing: float,
    weight: Array,
) -> float:
    margin = fit.intercept + sum(
        dense(v, h.knots) @ f for v, h, f in zip(values, hats, fit.coefficients, strict=True)
    )
    loss = float(np.sum(weight * (np.logaddexp(0, margin) - churned * margin)))
    rough = sum(
        f @ roughness(h.knots, smoothing=smoothing) @ f for h, f in zip(hats, fit.coefficients, strict=True)
    )
    return loss + 0.5 * float(rough)


def general_optimum(
    values: list[Array], hats: list[Hats], churned: Array, *, smoothing: float, weight: Array
) -> float:
    """The least penalised loss of centred, monotone functions, by a general optimiser on the dense basis."""
    blocks = [dense(v, h.knots) for v, h in zip(values, hats, strict=True)]
    ends = np.cumsum([1, *(b.shape[1] for b in blocks)])
    basis = np.hstack([np.ones((len(churned), 1)), *blocks])
    penalty = np.zeros((ends[-1], ends[-1]))
    rules = []
    for hat, block, start, end in zip(hats, blocks, ends, ends[1:], strict=False):
        penalty[start:end, start:end] = roughness(hat.knots, smoothing=smoothing)
        known = weight * (block[:, -1] == 0)
        mean = np.zeros(ends[-1])
        mean[start:end] = known @ block / known.sum()
        rules.append({"type": "eq", "fun": lambda f, mean=mean: mean @ f, "jac": lambda f, mean=mean: mean})
        if hat.knots.sign:
            differences = np.zeros((len(hat.knots.x) - 1, ends[-1]))
            for k in range(len(differences)):
                differences[k, start + k : start + k + 2] = hat.knots.sign, -hat.knots.sign
            rules.append(
                {"type": "ineq", "fun": lambda f, d=differences: d @ f, "jac": lambda f, d=differences: d}
            )

    def both(f: Array) -> tuple[float, Array]:
        margin = basis @ f
        value = np.sum(weight * (np.logaddexp(0, margin) - churned * margin)) + 0.5 * f @ penalty @ f
        return float(value), basis.T @ (weight * (expit(margin) - churned)) + penalty @ f

    found = minimize(
        both,
        np.zeros(ends[-1]),
        jac=True,
        constraints=rules,
        method="SLSQP",
        options={"maxiter": 1000, "ftol": 1e-12},
    )
    assert found.success, found.message
    return float(found.fun)


@pytest.mark.parametrize("smoothing", [0.3, 10.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_fit_reaches_the_minimum(seed: int, smoothing: float) -> None:
    values, churned = table(seed)
    hats = hats_of(values)
    weight = np.ones(400) if seed % 2 else np.random.default_rng(seed).poisson(1.0, 400).astype(float)
    best = general_optimum(values, hats, churned, smoothing=smoothing, weight=weight)
    long = fit_additive(hats, churned, smoothing=smoothing, row_weight=weight, sweeps=40)
    assert penalised(long, values, hats, churned, smoothing=smoothing, weight=weight) <= best + 0.02
    default = fit_additive(hats, churned, smoothing=smoothing, row_weight=weight)
    assert penalised(default, values, hats, churned, smoothing=smoothing, weight=weight) <= best + 0.1
    null = float(
        np.sum(
            weight
            * (
                np.logaddexp(0, b := np.log(p := np.average(churned, weights=weight)) - np.log1p(-p))
                - churned * b
            )
        )
    )
    assert best < null - 5.0


@pytest.mark.parametrize("direction", [Direction.HIGHER, Direction.LOWER])
@pytest.mark.parametrize("against", [False, True])
def test_functions_are_monotone_in_their_direction_whatever_the_data_say(
    direction: Direction, against: bool
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=800)
    slope = direction.sign * (1.0 if against else -1.0)
    churned = (rng.random(800) < expit(np.sin(3 * x) + slope * x)).astype(float)
    hats = Hats.of(x, place_knots(x, number(direction)))
    fit = fit_additive([hats], churned, smoothing=0.1, row_weight=np.ones(800), sweeps=20)
    steps = np.diff(fit.coefficients[0][:-1])
    assert (direction.sign * steps <= 1e-9).all()
    assert against or np.ptp(fit.coefficients[0][:-1]) > 1.0


def test_perfect_separation_gives_finite_functions_that_separate() -> None:
    x = np.linspace(-1, 1, 300)
    churned = (x < 0).astype(float)
    hats = [
        Hats.of(x, place_knots(x, number(Direction.HIGHER))),
        Hats.of(churned, place_knots(churned, category(2))),
    ]
    fit = fit_additive(hats, churned, smoothing=0.01, row_weight=np.ones(300), sweeps=60)
    margin = fit.intercept + sum(h.evaluate(f) for h, f in zip(hats, fit.coefficients, strict=True))
    assert np.isfinite(margin).all()
    assert ((margin > 0) == (churned > 0)).all()


def test_twins_share_their_effect() -> None:
    values, churned = table(9, n=1500)
    one = [Hats.of(values[0], place_knots(values[0], COLUMNS[0]))]
    alone = fit_additive(one, churned, smoothing=1.0, row_weight=np.ones(1500), sweeps=6)
    twins = fit_additive(one * 2, churned, smoothing=2.0, row_weight=np.ones(1500), sweeps=6)
    first, second = (np.ptp(f[:-1]) for f in twins.coefficients)
    assert first == pytest.approx(second, rel=0.15)
    together = one[0].evaluate(twins.coefficients[0] + twins.coefficients[1]) + twins.intercept
    np.testing.assert_allclose(together, one[0].evaluate(alone.coefficients[0]) + alone.intercept, atol=0.05)


def test_functions_are_centred_over_the_rows_that_know() -> None:
    values, churned = table(2)
    hats = hats_of(values)
    fit = fit_additive(hats, churned, smoothing=1.0, row_weight=np.ones(400), sweeps=20)
    for hat, value, f in zip(hats, values, fit.coefficients, strict=True):
        assert hat.evaluate(f)[~np.isnan(value)].mean() == pytest.approx(0.0, abs=1e-9)


def test_rows_that_count_twice_are_two_rows() -> None:
    values, churned = table(3)
    times = np.random.default_rng(0).integers(0, 3, 400)
    rows = np.repeat(np.arange(400), times)
    hats = hats_of(values)
    weighted = fit_additive(hats, churned, smoothing=1.0, row_weight=times.astype(float))
    repeated = fit_additive(
        [h.rows(rows) for h in hats], churned[rows], smoothing=1.0, row_weight=np.ones(len(rows))
    )
    for a, b in zip(weighted.coefficients, repeated.coefficients, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)


def test_a_start_at_the_optimum_stays_there() -> None:
    values, churned = table(4)
    hats = hats_of(values)
    far = fit_additive(hats, churned, smoothing=1.0, row_weight=np.ones(400), sweeps=60)
    again = fit_additive(hats, churned, smoothing=1.0, row_weight=np.ones(400), start=far, sweeps=1)
    for a, b in zip(far.coefficients, again.coefficients, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3)
