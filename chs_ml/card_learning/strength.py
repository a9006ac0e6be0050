"""How strongly learned weights are pulled towards the handcrafted ones: as the data say.

Every strength of a grid is judged by repeated account-grouped cross-validation. Choosing the best one
outright follows the noise of a few churns, so the weights are averaged over strengths instead: each counts by
``exp(-loss)``, its held-out likelihood (pseudo-Bayesian model averaging, Geisser & Eddy 1979). Intervals are
bootstrapped at the geometric mean of the strengths.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chs_ml.splits import few_folds
from chs_ml.weights import Penalty, WeightFit, fit_weights

Array = NDArray[np.float64]
Codes = NDArray[np.intp]

GRID = tuple(4.0**i for i in range(-4, 5))
FOLDS, REPEATS = 5, 4


@dataclass(frozen=True)
class Strength:
    """The pull towards the prior.

    Attributes
    ----------
    pull : float
        Geometric mean of the strengths: one over a squared standard deviation in log-odds; larger = closer
        to the prior.
    tried : tuple of float
        Strengths of the grid.
    belief : tuple of float
        What each counts, summing to 1.
    loss : tuple of float
        Held-out log loss of each, per row.
    """

    pull: float
    tried: tuple[float, ...]
    belief: tuple[float, ...]
    loss: tuple[float, ...]


def choose_strength(
    tables: Sequence[tuple[Array, Array, Codes]], *, prior: Array, random_state: int = 0
) -> Strength:
    """Weigh the strengths by how well weights learned under them predict accounts they did not see.

    Parameters
    ----------
    tables : sequence of (health of shape (n, k), churned of shape (n,), account codes of shape (n,))
        One table, or one per segment, each with weights of its own; losses are added up.
    prior : ndarray of shape (k,)
        Weights to pull towards; sum 1.
    random_state : int
        Seed of the folds.
    """
    losses = np.zeros(len(GRID))
    rows = sum(len(churned) for _, churned, _ in tables)
    for table in tables:
        if min(table[1].sum(), (1.0 - table[1]).sum()) >= 2:
            losses += _losses(*table, prior=prior, random_state=random_state)
    belief = np.exp(-(losses - losses.min()))
    belief /= belief.sum()
    pull = float(np.exp(np.sum(belief * np.log(GRID))))
    return Strength(pull, GRID, tuple(belief.tolist()), tuple((losses / rows).tolist()))


def _losses(health: Array, churned: Array, account: Codes, *, prior: Array, random_state: int) -> Array:
    """Held-out log loss of each strength, summed over rows, averaged over repeats."""
    total = np.zeros(len(GRID))
    for repeat in range(REPEATS):
        folds = few_folds(account, churned, most=FOLDS, random_state=random_state + repeat)
        for fold in np.unique(folds):
            here, start = folds == fold, None
            for i, pull in enumerate(GRID):
                penalty = Penalty(prior, pull)
                others = (~here).astype(np.float64)
                start = fit_weights(health, churned, penalty=penalty, row_weight=others, start=start)
                total[i] += _held_out_loss(start, health[here], churned[here])
    return total / REPEATS


def _held_out_loss(fit: WeightFit, health: Array, churned: Array) -> float:
    margin = fit.margin(health)
    return float(np.sum(np.logaddexp(0.0, margin) - churned * margin))
