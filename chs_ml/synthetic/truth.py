"""The truth behind the simulated churn."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from chs_ml.synthetic.accounts import TERMS, Accounts
from chs_ml.synthetic.catalogue import WEIGHTED
from chs_ml.synthetic.paths import Paths

Array = NDArray[np.float64]

INTERCEPT = 2.65
STRENGTH = 0.082
SILENCE = 0.6
ISOLATION = 1.3
LOW_USAGE = 10.0
TERM_OFFSETS = np.array([-1.1, -0.4, 0.0, -0.3])


def true_weights() -> dict[str, float]:
    """True weight per metric."""
    return {name: entry.weight for name, entry in WEIGHTED.items()}


def true_curves() -> dict[str, tuple[Array, Array]]:
    """True health curve per metric: ascending values, and points."""
    return {name: entry.curve for name, entry in WEIGHTED.items()}


def term_offsets() -> dict[str, float]:
    """Log-odds per contract term, relative to an annual one."""
    return dict(zip(TERMS.tolist(), TERM_OFFSETS.tolist(), strict=True))


@dataclass(frozen=True, eq=False, kw_only=True)
class Truth:
    """How churn really came about.

    At a renewal an account leaves with probability

        sigma(intercept + term offset - strength * sum_k w_k h_k + silence * silent
              + isolation * (usage_days below low_usage and no sponsor))

    where the true metric values, free of noise and season, are those at the end of the month before the
    renewal. The last term is an interaction: no sum of curves has it.

    Attributes
    ----------
    weights : mapping of str to float
        True weight of each weighted metric, sum 1.
    curves : mapping of str to (values, points)
        True health curve of each of them, arrays of shape (knots,), points 0-100.
    probability : ndarray of shape (rows of customers,)
        Probability of 'churned' for each row, **given the whole latent path of the account**: one minus the
        product of the chances to stay at each renewal in the 90 days after the snapshot, each taken at the
        true state before that renewal. It knows noise-free values and the months up to the renewal, so no
        model of the recorded metrics reaches it. Rows with an open outcome have one too.
    intercept, strength, silence, isolation, low_usage : float
        Parameters of the formula: log-odds, log-odds per point, log-odds, log-odds, days of 30.
    term_offsets : mapping of str to float
        Log-odds by contract term, relative to an annual one.
    """

    probability: Array
    weights: Mapping[str, float] = field(default_factory=true_weights)
    curves: Mapping[str, tuple[Array, Array]] = field(default_factory=true_curves)
    intercept: float = INTERCEPT
    strength: float = STRENGTH
    silence: float = SILENCE
    isolation: float = ISOLATION
    low_usage: float = LOW_USAGE
    term_offsets: Mapping[str, float] = field(default_factory=term_offsets)


def churn_at_renewal(accounts: Accounts, paths: Paths) -> Array:
    """Probability to leave, were there a renewal right after the end of a month; shape of the paths."""
    points = np.zeros_like(paths.arr)
    for name, entry in WEIGHTED.items():
        points += entry.weight * entry.points(paths.true[name])
    isolated = (paths.true["usage_days"] < LOW_USAGE) & (paths.true["sponsor"] == 0.0)
    offset = INTERCEPT + TERM_OFFSETS[accounts.term][:, None]
    return np.asarray(expit(offset - STRENGTH * points + SILENCE * paths.silent + ISOLATION * isolated))
