"""Non-negative logistic weights, pulled towards a prior's proportions.

Given the health points ``h`` of every account (scaled to 0-1), the weights minimise::

    sum_i r_i [log(1 + exp(m_i)) - y_i m_i]  +  pull / 2 * sum_k (beta_k - s * prior_k)^2

with ``m = b - sum_k beta_k h_k``, ``beta_k >= 0`` and ``s = sum_k beta_k``: only the proportions of the
prior matter, not its size. `pull` is one over the squared prior standard deviation, in log-odds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls
from scipy.special import expit, logit

Array = NDArray[np.float64]

RIDGE = 1e-4
MAX_STEPS = 25
SHARES = (1.0, 0.5, 0.25, 0.1, 0.02, 0.004, 0.0008)
"""Parts of a Newton step that are tried until one lowers the loss."""
LARGEST = 60.0
"""Bound on the sum of the weights, in log-odds: perfect separation would make them infinite."""


@dataclass(frozen=True)
class WeightFit:
    """Fitted weights.

    Attributes
    ----------
    intercept : float
        b, log-odds of churn of an account with no health points at all.
    beta : ndarray of shape (k,)
        Log-odds that full health on a metric takes off, >= 0.
    """

    intercept: float
    beta: Array

    def margin(self, health: Array) -> Array:
        """Log-odds of churn for health points of shape (n, k), scaled to 0-1."""
        return self.intercept - health @ self.beta


@dataclass(frozen=True)
class Penalty:
    """What weights pay.

    Attributes
    ----------
    prior : ndarray of shape (k,)
        Weights to pull towards; sum 1.
    pull : float
        Strength of the pull, one over a squared standard deviation in log-odds.
    """

    prior: Array
    pull: float

    @property
    def matrix(self) -> Array:
        """A of shape (k, k), for which the penalty is ``beta' A beta / 2``."""
        away = np.eye(len(self.prior)) - np.outer(self.prior, np.ones(len(self.prior)))
        return self.pull * away.T @ away + RIDGE * np.eye(len(self.prior))


def fit_weights(
    health: Array,
    churned: Array,
    *,
    penalty: Penalty,
    row_weight: Array,
    start: WeightFit | None = None,
) -> WeightFit:
    """Fit non-negative weights by Newton steps, each a small quadratic programme.

    Parameters
    ----------
    health : ndarray of shape (n, k)
        Health points scaled to 0-1; 1 = healthiest.
    churned : ndarray of shape (n,)
        1 churned, 0 kept.
    penalty : Penalty
        What the weights pay.
    row_weight : ndarray of shape (n,)
        How often each row counts.
    start : WeightFit, optional
        Where to start.
    """
    price = penalty.matrix
    base = float(np.clip(np.average(churned, weights=row_weight), 1e-6, 1 - 1e-6))
    fit = start or WeightFit(float(logit(base)), np.zeros(health.shape[1]))
    loss = _objective(fit, health, churned, penalty=price, row_weight=row_weight)
    for _ in range(MAX_STEPS):
        target = _newton_target(fit, health, churned, penalty=price, row_weight=row_weight)
        better, lower = fit, loss
        for share in SHARES:
            trial = WeightFit(
                fit.intercept + share * (target.intercept - fit.intercept),
                fit.beta + share * (target.beta - fit.beta),
            )
            lower = _objective(trial, health, churned, penalty=price, row_weight=row_weight)
            if lower < loss and trial.beta.sum() <= LARGEST:
                better = trial
                break
        if better is fit:
            return fit
        done = loss - lower < 1e-9 * (1.0 + abs(loss))
        fit, loss = better, lower
        if done:
            return fit
    return fit


def _objective(fit: WeightFit, health: Array, churned: Array, *, penalty: Array, row_weight: Array) -> float:
    margin = fit.margin(health)
    losses = np.logaddexp(0.0, margin) - churned * margin
    return float(np.sum(row_weight * losses) + 0.5 * fit.beta @ penalty @ fit.beta)


def _newton_target(
    fit: WeightFit, health: Array, churned: Array, *, penalty: Array, row_weight: Array
) -> WeightFit:
    p = expit(fit.margin(health))
    curvature = row_weight * np.maximum(p * (1.0 - p), 1e-6)
    total = float(curvature.sum())
    mean = curvature @ health / total
    centred = health - mean
    hessian = centred.T @ (centred * curvature[:, None])
    residual = row_weight * (churned - p)
    shift = float(residual.sum()) / total
    gradient = -(centred.T @ residual) + hessian @ fit.beta
    beta = nonnegative_minimum(hessian + penalty, gradient)
    intercept = fit.intercept + shift + float(mean @ (beta - fit.beta))
    return WeightFit(intercept, beta)


def nonnegative_minimum(hessian: Array, gradient: Array) -> Array:
    """Minimise ``b'Hb/2 - g'b`` over ``b >= 0``, for a positive definite H of shape (k, k)."""
    jitter = 1e-10 * float(np.trace(hessian)) / len(hessian)
    root = cholesky(hessian + jitter * np.eye(len(hessian)), lower=True)
    beta, _ = nnls(root.T, solve_triangular(root, gradient, lower=True))
    return np.asarray(beta)


@dataclass(frozen=True)
class WeightStep:
    """Bootstrap replicates of the weights by one Newton step each, for large tables.

    The curvature is that of the full fit; a replicate moves the gradient only. The error is of second
    order in the resampling noise, which is small where rows are many.

    Attributes
    ----------
    hessian : ndarray of shape (k, k)
        Curvature of the penalised loss at the full fit.
    account_scores : ndarray of shape (accounts, k)
        What each account adds to the gradient.
    linear : ndarray of shape (k,)
        What the full fit and the penalty add to the linear term. A weight that is held at 0 has a slope at
        the full fit: it must be overcome before the weight becomes positive.
    """

    hessian: Array
    account_scores: Array
    linear: Array

    @classmethod
    def at(
        cls, fit: WeightFit, health: Array, churned: Array, *, penalty: Penalty, accounts: NDArray[np.intp]
    ) -> "WeightStep":
        """Prepare for replicates around a fit; `accounts` numbers the account of each row, from 0."""
        p = expit(fit.margin(health))
        curvature = np.maximum(p * (1.0 - p), 1e-6)
        centred = health - curvature @ health / curvature.sum()
        hessian = centred.T @ (centred * curvature[:, None])
        rows = centred * (p - churned)[:, None]
        by_account = [np.bincount(accounts, column) for column in rows.T]
        return cls(hessian + penalty.matrix, np.column_stack(by_account), hessian @ fit.beta)

    def replicate(self, draw: NDArray[np.intp]) -> Array:
        """Weights of shape (k,) for accounts drawn `draw` times each."""
        return nonnegative_minimum(self.hessian, draw @ self.account_scores + self.linear)
