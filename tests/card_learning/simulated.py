"""Portfolios in which it is known what the weights of a card should be."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import expit

from chs_ml.dataset import Dataset
from chs_ml.scorecard import Scorecard
from tests.scorecard.cards import straight


def card_of(weights: Sequence[float], groups: Sequence[str] | None = None) -> Scorecard:
    """A card on metrics m0, m1, ... whose values from 0 to 100 are their points."""
    names = groups or ["g"] * len(weights)
    lines = (straight(f"m{k}", w, group=g) for k, (w, g) in enumerate(zip(weights, names, strict=True)))
    return Scorecard(name="by hand", measures=tuple(lines))


def portfolio(
    truth: Sequence[float], *, rows: int = 2000, seed: int = 0, strength: float = 6.0, churn: float = 0.15
) -> Dataset:
    """Accounts whose log-odds of churn fall by `strength` times the true weights' mean of m0, m1, ...

    as shares.
    """
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.0, 100.0, (rows, len(truth)))
    risk = -strength * (values / 100.0) @ np.asarray(truth)
    low, high = -20.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2.0
        low, high = (middle, high) if expit(risk + middle).mean() < churn else (low, middle)
    frame = pd.DataFrame(values, columns=[f"m{k}" for k in range(len(truth))])
    card = card_of([1.0] * len(truth))
    return Dataset(
        frame=frame,
        metrics=card.schema.metrics,
        churned=(rng.random(rows) < expit(risk + low)).astype(np.float64),
        account=pd.Series([f"a{i}" for i in range(rows)]),
    )
