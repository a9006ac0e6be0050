"""The blend is the calibration: one logistic regression on out-of-fold margins.

``margin = a + u * (-S) + v * trees`` with ``u, v >= 0``: Platt scaling for two inputs. Fitted on margins
that never saw the account they speak about, it decides how much the formula and the trees count and
makes the sum a calibrated probability.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chs_ml.accounts import mean_difference
from chs_ml.weights import Penalty, WeightFit, fit_weights

Array = NDArray[np.float64]


@dataclass(frozen=True)
class BlendFit:
    """A fitted blend of margins.

    Attributes
    ----------
    intercept, card, trees : float
        ``margin = intercept + card * card_margin + trees * tree_margin``; the last two are >= 0.
    log_loss_base, log_loss_card, log_loss_blend : float
        Cross-fitted log loss per row of the base rate, of the card alone (calibrated), of the blend.
    gain, gain_error : float
        What the trees take off the card's log loss, and its account-clustered standard error.
    """

    intercept: float
    card: float
    trees: float
    log_loss_base: float
    log_loss_card: float
    log_loss_blend: float
    gain: float
    gain_error: float

    @property
    def share_of_card(self) -> float:
        """Share of the predictable log loss that the formula reaches alone; NaN where nothing is."""
        predictable = self.log_loss_base - self.log_loss_blend
        return (self.log_loss_base - self.log_loss_card) / predictable if predictable > 0 else float("nan")


def fit_blend(
    card: Array,
    trees: Array | None,
    churned: Array,
    *,
    accounts: NDArray[np.intp],
    folds: NDArray[np.intp],
) -> BlendFit:
    """Blend the margins of the card and of the trees, and drop the trees where they add nothing.

    The trees stay where their cross-fitted gain in log loss (the blend fitted on the other folds: in
    sample it never loses) is at least one account-clustered standard error.

    Parameters
    ----------
    card : ndarray of shape (n,)
        Out-of-fold margins of the scorecard, log-odds of churn.
    trees : ndarray of shape (n,) or None
        Out-of-fold margins of the trees; None for the formula alone.
    churned : ndarray of shape (n,)
        1 churned, 0 kept.
    accounts, folds : ndarray of int, shape (n,)
        Account and fold of each row.
    """
    base_loss = _log_loss(np.full(len(churned), _logit(churned.mean())), churned)
    card_loss = _log_loss(_crossed([card], churned, folds), churned)
    both_loss, gain, error = card_loss, 0.0, 0.0
    if trees is not None:
        both_loss = _log_loss(_crossed([card, trees], churned, folds), churned)
        gain, error = mean_difference(card_loss - both_loss, accounts)
    kept = trees is not None and gain > 0 and gain >= error
    parts = [card, trees] if kept and trees is not None else [card]
    fit = _fit(parts, churned, np.ones(len(churned)))
    weights = [*fit.beta.tolist(), 0.0][:2]
    return BlendFit(
        intercept=fit.intercept,
        card=weights[0],
        trees=weights[1],
        log_loss_base=float(base_loss.mean()),
        log_loss_card=float(card_loss.mean()),
        log_loss_blend=float((both_loss if kept else card_loss).mean()),
        gain=gain,
        gain_error=error,
    )


def _fit(parts: list[Array], churned: Array, row_weight: Array) -> WeightFit:
    """Logistic regression with non-negative slopes; `fit_weights` speaks health, so margins enter negated."""
    free = Penalty(prior=np.full(len(parts), 1.0 / len(parts)), pull=0.0)
    return fit_weights(-np.column_stack(parts), churned, penalty=free, row_weight=row_weight)


def _crossed(parts: list[Array], churned: Array, folds: NDArray[np.intp]) -> Array:
    margin = np.empty(len(churned))
    for fold in np.unique(folds):
        here = folds == fold
        fit = _fit(parts, churned, (~here).astype(np.float64))
        margin[here] = fit.margin(-np.column_stack([part[here] for part in parts]))
    return margin


def _log_loss(margin: Array, churned: Array) -> Array:
    return np.asarray(np.logaddexp(0.0, margin) - churned * margin)


def _logit(p: float) -> float:
    return float(np.log(p) - np.log1p(-p))
