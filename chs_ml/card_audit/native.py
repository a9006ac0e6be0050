"""A handcrafted card through the same door as a learned one: calibrated, its own points untouched."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chs_ml.blend import BlendFit, fit_blend
from chs_ml.card_learning.health import CardRows
from chs_ml.health_model import Blend, CarriedColumns, HealthModel
from chs_ml.scale import NativeScale, churn_probability
from chs_ml.scorecard import Scorecard
from chs_ml.splits import few_folds
from chs_ml.tiers import Tiers
from chs_ml.weights import Penalty, fit_weights

Array = NDArray[np.float64]


def calibrate_card(rows: CardRows, *, folds: int = 5, random_state: int = 0) -> BlendFit:
    """Fit the churn probability of a card's score: one logistic regression on minus its points."""
    numbers = few_folds(rows.account, rows.churned, most=folds, random_state=random_state)
    return fit_blend(-rows.score, None, rows.churned, accounts=rows.account, folds=numbers)


def crossed_probability(rows: CardRows, *, folds: int = 5, random_state: int = 0) -> Array:
    """Churn probability of each row, of shape (n,), by a calibration that did not see its account."""
    health, free = rows.score[:, None] / 100.0, Penalty(np.ones(1), 0.0)
    numbers = few_folds(rows.account, rows.churned, most=folds, random_state=random_state)
    margin = np.empty(len(rows.churned))
    for fold in np.unique(numbers):
        here = numbers == fold
        others = (~here).astype(np.float64)
        margin[here] = fit_weights(health, rows.churned, penalty=free, row_weight=others).margin(health[here])
    return churn_probability(margin)


def native_model(
    card: Scorecard, rows: CardRows, fit: BlendFit, *, tiers: Tiers, carried: CarriedColumns
) -> HealthModel | None:
    """The card as a health model: its score as it is, an honest churn probability beside it.

    Returns
    -------
    HealthModel or None
        None where more points do not go with less churn: then no probability but the base rate is honest.
    """
    if not fit.card > 0:
        return None
    if card.schema.needs_dates and carried.snapshot_date is None:  # ageing counts days from a snapshot
        carried = replace(carried, snapshot_date="snapshot_date")
    weighted, _ = card.weighted_points(rows.values)
    return HealthModel(
        card=card,
        blend=Blend(intercept=fit.intercept, points=fit.card),
        scale=NativeScale(intercept=fit.intercept, points=fit.card),
        tiers=tiers,
        baseline=tuple(float(np.sum(column)) / len(column) for column in weighted.T),
        coverage_floor=card.floor,
        carried=carried,
        facts={"kind": "handcrafted card", "card": card.name, "rows": len(rows.churned),
               "churned": int(rows.churned.sum()), "log_loss_base": fit.log_loss_base,
               "log_loss_card": fit.log_loss_card},
    )  # fmt: skip
