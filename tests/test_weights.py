"""Non-negative weights, against scipy's general optimisers and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from chs_ml.weights import (
    LARGEST,
    RIDGE,
    Penalty,
    WeightFit,
    WeightStep,
    fit_weights,
    nonnegative_minimum,
)

Array = NDArray[np.float64]


def problem(
    seed: int, *, n: int = 300, beta: tuple[float, ...] = (3.0, 1.5, 0.0, 0.5)
) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    health = rng.random((n, len(beta))) + 0.4 * rng.random((n, 1))
    margin = 1.0 - health @ np.array(beta)
    churned = (rng.random(n) < expit(margin)).astype(np.float64)
    churned[:2] = 0.0, 1.0
    return health, churned


def written_objective(
    x: Array, health: Array, churned: Array, *, penalty: Penalty, row_weight: Array
) -> float:
    """The docstring's formula, term by term."""
    intercept, beta = x[0], x[1:]
    loss = 0.0
    for k, (h, y) in enumerate(zip(health, churned, strict=True)):
        m = intercept - float(np.dot(beta, h))
        loss += row_weight[k] * (np.logaddexp(0.0, m) - y * m)
    pulled = sum((b - beta.sum() * w) ** 2 for b, w in zip(beta, penalty.prior, strict=True))
    return float(loss + 0.5 * penalty.pull * pulled + 0.5 * RIDGE * np.sum(beta**2))


def scipy_optimum(health: Array, churned: Array, *, penalty: Penalty, row_weight: Array) -> float:
    away = penalty.prior[:, None]

    def both(x: Array) -> tuple[float, Array]:
        b, beta = x[0], x[1:]
        m = b - health @ beta
        gap = beta - beta.sum() * away[:, 0]
        value = np.sum(row_weight * (np.logaddexp(0, m) - churned * m))
        value += 0.5 * penalty.pull * gap @ gap + 0.5 * RIDGE * beta @ beta
        r = row_weight * (expit(m) - churned)
        slope = penalty.pull * (gap - away[:, 0] @ gap) + RIDGE * beta
        return float(value), np.r_[r.sum(), -(health.T @ r) + slope]

    k = health.shape[1]
    bounds = [(None, None)] + [(0.0, None)] * k
    found = minimize(
        both,
        np.zeros(k + 1),
        jac=True,
        bounds=bounds,
        method="L-BFGS-B",
        options={"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9},
    )
    return float(found.fun)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    pull=st.sampled_from([0.0, 0.01, 1.0, 30.0, 1000.0]),
    prior=st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4).filter(lambda p: sum(p) > 0.1),
    drawn=st.booleans(),
)
def test_the_minimum_is_that_of_a_general_optimiser(
    seed: int, pull: float, prior: list[float], drawn: bool
) -> None:
    health, churned = problem(seed)
    penalty = Penalty(np.array(prior) / sum(prior), pull)
    weight = (
        np.random.default_rng(seed).poisson(1.0, len(churned)).astype(float)
        if drawn
        else np.ones(len(churned))
    )
    fit = fit_weights(health, churned, penalty=penalty, row_weight=weight)
    assert (fit.beta >= 0).all()
    mine = written_objective(
        np.r_[fit.intercept, fit.beta], health, churned, penalty=penalty, row_weight=weight
    )
    best = scipy_optimum(health, churned, penalty=penalty, row_weight=weight)
    assert mine <= best + 1e-5 * (1 + abs(best))


def test_without_pull_and_where_all_slopes_help_it_is_logistic_regression() -> None:
    health, churned = problem(1, n=3000, beta=(3.0, 1.5, 1.0, 2.0))
    fit = fit_weights(health, churned, penalty=Penalty(np.full(4, 0.25), 0.0), row_weight=np.ones(3000))
    logistic = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(-health, churned)
    np.testing.assert_allclose(fit.beta, logistic.coef_[0], rtol=1e-3)
    assert fit.intercept == pytest.approx(float(logistic.intercept_[0]), rel=1e-3)
    np.testing.assert_allclose(fit.margin(health), logistic.decision_function(-health), atol=0.01)


def test_a_very_strong_pull_gives_the_proportions_of_the_prior_and_none_gives_the_data() -> None:
    health, churned = problem(2, n=2000)
    prior = np.array([0.1, 0.2, 0.3, 0.4])
    strong = fit_weights(health, churned, penalty=Penalty(prior, 1e7), row_weight=np.ones(2000))
    np.testing.assert_allclose(strong.beta / strong.beta.sum(), prior, atol=1e-3)
    assert strong.beta.sum() > 1.0
    free = fit_weights(health, churned, penalty=Penalty(prior, 0.0), row_weight=np.ones(2000))
    assert free.beta[0] / free.beta.sum() > 0.4


def test_only_the_proportions_of_the_prior_cost() -> None:
    penalty = Penalty(np.array([0.5, 0.3, 0.2]), 8.0)
    for size in (0.0, 1.0, 7.0):
        beta = size * penalty.prior
        assert 0.5 * beta @ penalty.matrix @ beta == pytest.approx(0.5 * RIDGE * beta @ beta)
    beta = np.array([2.0, 0.0, 1.0])
    gap = beta - 3.0 * penalty.prior
    assert 0.5 * beta @ penalty.matrix @ beta == pytest.approx(4.0 * gap @ gap + 0.5 * RIDGE * beta @ beta)


@pytest.mark.parametrize("columns", [1, 3])
def test_perfect_separation_gives_finite_weights(columns: int) -> None:
    health = np.repeat(np.linspace(0, 1, 200)[:, None], columns, axis=1)
    churned = (health[:, 0] < 0.3).astype(float)
    penalty = Penalty(np.full(columns, 1 / columns), 1.0)
    fit = fit_weights(health, churned, penalty=penalty, row_weight=np.ones(200))
    assert np.isfinite([fit.intercept, *fit.beta]).all()
    assert 5.0 < fit.beta.sum() <= LARGEST
    assert np.mean((fit.margin(health) > 0) == churned) > 0.99


def test_columns_that_do_not_vary_get_the_share_that_the_prior_gives_them_or_none() -> None:
    health, churned = problem(3)
    health[:, 2] = 0.7
    fit = fit_weights(health, churned, penalty=Penalty(np.full(4, 0.25), 0.0), row_weight=np.ones(300))
    assert fit.beta[2] == pytest.approx(0.0, abs=1e-6)
    assert np.isfinite(fit.beta).all()


def test_twins_share_what_one_alone_would_have() -> None:
    health, churned = problem(4, n=2000, beta=(3.0, 1.5))
    alone = fit_weights(health, churned, penalty=Penalty(np.full(2, 0.5), 0.0), row_weight=np.ones(2000))
    doubled = health[:, [0, 0, 1]]
    both = fit_weights(
        doubled, churned, penalty=Penalty(np.array([0.25, 0.25, 0.5]), 0.01), row_weight=np.ones(2000)
    )
    assert both.beta[0] == pytest.approx(both.beta[1], rel=1e-3)
    assert both.beta[0] + both.beta[1] == pytest.approx(alone.beta[0], rel=0.02)


def test_where_it_starts_does_not_matter() -> None:
    health, churned = problem(5)
    penalty = Penalty(np.full(4, 0.25), 1.0)
    near = fit_weights(health, churned, penalty=penalty, row_weight=np.ones(300))
    for start in (WeightFit(-3.0, np.full(4, 6.0)), WeightFit(2.0, np.array([0.0, 9.0, 9.0, 0.0])), near):
        again = fit_weights(health, churned, penalty=penalty, row_weight=np.ones(300), start=start)
        np.testing.assert_allclose(again.beta, near.beta, atol=2e-3)


def test_row_weights_are_repetitions() -> None:
    health, churned = problem(6)
    times = np.random.default_rng(0).integers(0, 4, 300)
    penalty = Penalty(np.full(4, 0.25), 1.0)
    weighted = fit_weights(health, churned, penalty=penalty, row_weight=times.astype(float))
    rows = np.repeat(np.arange(300), times)
    repeated = fit_weights(health[rows], churned[rows], penalty=penalty, row_weight=np.ones(len(rows)))
    np.testing.assert_allclose(weighted.beta, repeated.beta, atol=1e-6)


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 6))
def test_quadratic_minimum_satisfies_the_optimality_conditions(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(k + 3, k))
    hessian, gradient = root.T @ root + 0.1 * np.eye(k), 3 * rng.normal(size=k)
    beta = nonnegative_minimum(hessian, gradient)
    slope = hessian @ beta - gradient
    assert (beta >= 0).all()
    assert (slope >= -1e-6).all()
    np.testing.assert_allclose(slope[beta > 1e-9], 0.0, atol=1e-6)


# --- replicates for large tables ---


@pytest.mark.parametrize("pull", [0.01, 16.0])
def test_a_step_lands_where_an_exact_refit_does(pull: float) -> None:
    rng = np.random.default_rng(7)
    n_accounts, n = 5000, 20_000
    accounts = rng.integers(0, n_accounts, n)
    accounts[:n_accounts] = np.arange(n_accounts)
    # the last two make churn likelier, so that their weights stay at 0
    true = np.array([4.0, 2.0, 0.7, 0.0, -0.6, -2.0])
    health = rng.random((n, 6))
    churned = (rng.random(n) < expit(0.5 - health @ true)).astype(float)
    penalty = Penalty(np.full(6, 1 / 6), pull)
    fit = fit_weights(health, churned, penalty=penalty, row_weight=np.ones(n))
    step = WeightStep.at(fit, health, churned, penalty=penalty, accounts=accounts)
    np.testing.assert_allclose(step.replicate(np.ones(n_accounts, dtype=np.intp)), fit.beta, atol=2e-3)
    exact, quick = [], []
    for _ in range(12):
        draw = rng.multinomial(n_accounts, np.full(n_accounts, 1 / n_accounts))
        weight = draw[accounts].astype(float)
        exact.append(fit_weights(health, churned, penalty=penalty, row_weight=weight, start=fit).beta)
        quick.append(step.replicate(draw))
    difference, spread = np.array(quick) - np.array(exact), np.std(exact, axis=0)
    assert np.abs(difference).max() < 0.06
    np.testing.assert_allclose(np.mean(quick, axis=0), np.mean(exact, axis=0), atol=0.02)
    np.testing.assert_allclose(np.std(quick, axis=0), spread, atol=0.02)
