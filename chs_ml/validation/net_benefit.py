"""Net benefit: is acting on the probabilities better than acting on everyone, or on no one?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chs_ml.validation.calibration import mean_interval
from chs_ml.validation.result import Array, Codes, Interval

THRESHOLDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True, kw_only=True)
class NetBenefit:
    """Net benefit at one threshold.

    Attributes
    ----------
    threshold : float
        Churn probability from which one acts; a false alarm is then worth threshold / (1 - threshold)
        of a caught churner.
    acted : float
        Share of rows acted on.
    benefit, interval
        Caught churners per row less false alarms at that price, clustered interval.
    act_on_all : float
        Net benefit of acting on everyone; acting on no one has 0.
    """

    threshold: float
    acted: float
    benefit: float
    interval: Interval
    act_on_all: float


def net_benefit_curve(
    churned: Array,
    *,
    probability: Array,
    account: Codes | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    level: float = 0.95,
) -> tuple[NetBenefit, ...]:
    """Net benefit (Vickers & Elkin 2006, Medical Decision Making 26, 565-574) over thresholds.

    TP / n - FP / n · t / (1 - t) at threshold t, for outcomes and probabilities of shape (n,). It is the
    mean of one number per row, so its interval is that of a mean, clustered by account.
    """
    codes = np.arange(len(churned)) if account is None else account
    return tuple(_benefit(churned, probability, codes, t, level=level) for t in thresholds)


def _benefit(churned: Array, probability: Array, account: Codes, at: float, *, level: float) -> NetBenefit:
    act = probability >= at
    price = at / (1.0 - at)
    each = np.where(churned == 1.0, 1.0, -price)
    return NetBenefit(
        threshold=at,
        acted=float(act.mean()),
        benefit=float((each * act).mean()),
        interval=mean_interval(each * act, account, level=level),
        act_on_all=float(each.mean()),
    )
