"""Customer health scores, learned from renewals. Data travels one way::

  raw tables ──as of a date──▶ metrics ──▶ scorecard ─┐
                                 │                    ├─▶ margin ─▶ churn_probability ─▶ health_score ─▶ tier
                                 └────▶ boosted trees ┘     │                                │
                                                       contributions ──────────▶ explanation, in score points
  renewals ──▶ outcomes ───────────────────────────────▶ validation ◀──── any score column, ours or not

From the scorers to the margin everything speaks risk (larger = likelier to churn); from the health
score on, everything speaks health (larger = better).

The public names stand in the order of that corridor. Each is loaded when it is first used, so that
``import chs_ml`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chs_ml.bundle import load_model
    from chs_ml.card_audit import CardAudit, audit_card
    from chs_ml.card_learning import LearnedWeights, learn_weights
    from chs_ml.dataset import Dataset, build_dataset
    from chs_ml.errors import ChsError, NotEnoughData
    from chs_ml.explanation import Explanation, explain
    from chs_ml.health_model import HealthModel
    from chs_ml.metric import Direction, Kind, Metric
    from chs_ml.outcome import Outcome
    from chs_ml.recipe import Recipe, load_recipe
    from chs_ml.scorecard import Scorecard, load_scorecard
    from chs_ml.synthetic import Portfolio, simulate
    from chs_ml.tiers import Tiers
    from chs_ml.training import train
    from chs_ml.validation import (
        Backtest,
        Certificate,
        Comparison,
        Policy,
        Promise,
        ValidationReport,
        backtest,
        capture_before_churn,
        certify,
        compare,
        green_churn,
        score_history,
        tiers_for_capacity,
        tiers_for_rates,
        validate,
    )

__version__ = "0.1.0"

__all__ = [  # noqa: RUF022 - corridor order, not alphabetical
    "simulate",
    "Portfolio",
    "load_recipe",
    "Recipe",
    "build_dataset",
    "Dataset",
    "Metric",
    "Kind",
    "Direction",
    "Outcome",
    "load_scorecard",
    "Scorecard",
    "train",
    "HealthModel",
    "load_model",
    "Tiers",
    "explain",
    "Explanation",
    "validate",
    "ValidationReport",
    "Policy",
    "compare",
    "Comparison",
    "backtest",
    "Backtest",
    "tiers_for_capacity",
    "tiers_for_rates",
    "certify",
    "Certificate",
    "Promise",
    "score_history",
    "capture_before_churn",
    "green_churn",
    "audit_card",
    "CardAudit",
    "learn_weights",
    "LearnedWeights",
    "ChsError",
    "NotEnoughData",
]

_HOMES = {
    "bundle": ("load_model",),
    "card_audit": ("CardAudit", "audit_card"),
    "card_learning": ("LearnedWeights", "learn_weights"),
    "dataset": ("Dataset", "build_dataset"),
    "errors": ("ChsError", "NotEnoughData"),
    "explanation": ("Explanation", "explain"),
    "health_model": ("HealthModel",),
    "metric": ("Direction", "Kind", "Metric"),
    "outcome": ("Outcome",),
    "recipe": ("Recipe", "load_recipe"),
    "scorecard": ("Scorecard", "load_scorecard"),
    "synthetic": ("Portfolio", "simulate"),
    "tiers": ("Tiers",),
    "training": ("train",),
    "validation": (
        "Backtest",
        "Certificate",
        "Comparison",
        "Policy",
        "Promise",
        "ValidationReport",
        "backtest",
        "capture_before_churn",
        "certify",
        "compare",
        "green_churn",
        "score_history",
        "tiers_for_capacity",
        "tiers_for_rates",
        "validate",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value  # the next use finds it without coming here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
