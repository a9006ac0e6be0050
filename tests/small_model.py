"""A small model of a simulated portfolio, with everything a bundle can hold; trained once per process."""

from dataclasses import replace
from functools import cache
from typing import Any

import pandas as pd

from chs_ml.boosted_trees import BoostedTrees, Growth, TreeShape
from chs_ml.dataset import build_dataset
from chs_ml.health_model import HealthModel
from chs_ml.recipe import load_recipe
from chs_ml.synthetic import Portfolio, simulate
from chs_ml.training import train

METRICS = ("usage_days", "csat", "sponsor", "overdue_days", "tickets_open", "contract_term")


@cache
def small_portfolio() -> Portfolio:
    """300 accounts over 14 months: 1,057 snapshots."""
    return simulate(accounts=300, months=14, seed=5)


def customers() -> pd.DataFrame:
    """The table of the small portfolio, without the metrics that the model does not take."""
    return small_portfolio().customers.drop(columns=ignored()).copy()


def ignored() -> list[str]:
    """Metrics of the simulation that are left out, so that training is quick."""
    return [name for name in small_portfolio().recipe["metrics"] if name not in METRICS]


def small_recipe(*, path: str | None = None, **model: Any) -> dict[str, Any]:
    """A recipe for `customers`, as `load_recipe` takes it: the formula alone, without a bootstrap."""
    recipe = small_portfolio().recipe
    declared = {name: recipe["metrics"][name] for name in METRICS}
    declared["csat"]["required"] = False
    data = {name: value for name, value in recipe["data"].items() if name != "path"}
    data |= {} if path is None else {"path": path}
    settings = {"kind": "scorecard", "bootstrap": 0, "folds": 3, **model}
    return {"data": data, "metrics": declared, "model": settings}


@cache
def small_model(*, leaves: int = 4) -> HealthModel:
    """A model with card, trees, report and kept columns; other leaves, another model."""
    recipe = load_recipe(small_recipe())
    dataset = build_dataset(recipe, customers())
    model = train(dataset, recipe)
    known = dataset.matured
    growth = Growth((TreeShape(leaves),), learning_rate=0.3, rounds=8, patience=8, folds=2)
    trees = BoostedTrees(schema=model.schema, growth=growth, threads=1)
    trees.fit(model.encode(customers().loc[dataset.is_matured]).values, known.churned)
    return replace(model, trees=trees.ensemble_, blend=replace(model.blend, trees=0.3))
