"""A small portfolio with every kind of metric, for the tests of what is trained on it."""

from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from scipy.special import expit

from chs_ml.boosted_trees import Growth, TreeShape
from chs_ml.dataset import Dataset, build_dataset
from chs_ml.health_model import HealthModel
from chs_ml.recipe import Recipe, load_recipe
from chs_ml.training import fit_health_model, train

ROWS = 900
METRICS: dict[str, dict[str, Any]] = {
    "usage": {"group": "Product usage", "direction": "higher", "unit": "%", "label": "Seats used"},
    "tickets": {"group": "Support", "direction": "lower"},
    "nps": {"group": "Sentiment", "direction": "higher", "required": False},
    "plan": {"group": "Value"},
    "auto_renew": {"group": "Billing", "kind": "yes/no", "direction": "higher"},
    "last_login": {"group": "Product usage", "kind": "date", "direction": "lower"},
}


def small_table(*, rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """Accounts whose churn has an additive part and, between usage and tickets, one that no formula holds."""
    rng = np.random.default_rng(seed)
    usage, tickets = rng.uniform(0, 100, rows), rng.poisson(3, rows)
    nps = np.where(rng.random(rows) < 0.5, np.nan, rng.integers(-10, 11, rows) * 10.0)
    plan = rng.choice(np.array(["basic", "pro", "team", None], dtype=object), rows, p=[0.5, 0.3, 0.15, 0.05])
    auto = rng.choice(["yes", "no"], rows)
    days = rng.integers(0, 60, rows)
    margin = -1.2 - 0.025 * (usage - 50) + 0.03 * (days - 30) - 0.01 * np.nan_to_num(nps)
    margin += 0.8 * (plan == "basic") - 0.9 * (auto == "yes") + 2.5 * ((usage < 35) & (tickets > 3))
    snapshot = pd.Timestamp("2024-03-31")
    return pd.DataFrame(
        {
            "account": [f"A{i:05d}" for i in range(rows)],
            "month": snapshot,
            "owner": rng.choice(["north", "south"], rows),
            "usage": np.where(rng.random(rows) < 0.03, np.nan, usage.round(2)),
            "tickets": tickets,
            "nps": nps,
            "plan": plan,
            "auto_renew": auto,
            "last_login": snapshot - pd.to_timedelta(days, unit="D"),
            "churned": (rng.random(rows) < expit(margin)).astype(int),
        }
    )


def small_recipe(*, metrics: dict[str, Any] | None = None, **tables: dict[str, Any]) -> Recipe:
    """The recipe of the small table; `tables` replaces keys of its tables."""
    data = {"account": "account", "outcome": "churned", "ignore": ["month"], "keep": ["owner"]}
    model = {"bootstrap": 20, "threads": 1}
    content: dict[str, Any] = {
        "data": data,
        "model": model,
        "metrics": METRICS if metrics is None else metrics,
    }
    for name, keys in tables.items():
        content[name] = {**content.get(name, {}), **keys}
    return load_recipe(content)


def dated_recipe(**tables: dict[str, Any]) -> Recipe:
    """As `small_recipe`, with snapshot dates."""
    dates = {"snapshot_date": "month", "horizon_days": 90, "ignore": []}
    return small_recipe(**{**tables, "data": {**dates, **tables.get("data", {})}})


FEW_TREES = Growth((TreeShape(6), TreeShape(16)), learning_rate=0.15, rounds=60, patience=10, folds=3)


def quick_trees(growth: Growth = FEW_TREES) -> Any:
    """Within this context trees are grown in a fraction of a second."""
    return patch.object(Growth, "for_rows", classmethod(lambda cls, n: growth))


def small_dataset(recipe: Recipe | None = None, *, rows: int = ROWS, seed: int = 0) -> Dataset:
    """The small table as a dataset."""
    return build_dataset(recipe or dated_recipe(), small_table(rows=rows, seed=seed))


@cache
def blend_model() -> HealthModel:
    """Card and trees on all rows, anchored, with dates and a kept column."""
    with quick_trees():
        return fit_health_model(small_dataset(), dated_recipe(model={"bootstrap": 5}))


@cache
def card_model() -> HealthModel:
    """The formula alone."""
    recipe = dated_recipe(model={"kind": "scorecard", "bootstrap": 0})
    return fit_health_model(small_dataset(), recipe)


def dateless_recipe(**tables: dict[str, Any]) -> Recipe:
    """As `small_recipe`, without the metric that is a date."""
    metrics = {name: spec for name, spec in METRICS.items() if name != "last_login"}
    data = {"ignore": ["month", "last_login"], **tables.get("data", {})}
    return small_recipe(metrics=metrics, **{**tables, "data": data})


@cache
def judged_model() -> HealthModel:
    """Trained by account on three quarters of the rows and judged on the rest."""
    with quick_trees():
        return train(small_dataset(dateless_recipe()), dateless_recipe())
