"""The recipe: one TOML file that says which tables, which metrics, and how to learn and judge.

Recipes are data. Every key is known here; a key that is not is refused, with the nearest known one.
"""

from chs_ml.recipe.document import Recipe
from chs_ml.recipe.loading import load_recipe
from chs_ml.recipe.raw_sections import Condition, LinkSpec, MetricSpec, OutcomeSpec, SnapshotSpec, TableSpec
from chs_ml.recipe.sections import DataSpec, ModelSpec, ScaleSpec, SplitSpec
from chs_ml.recipe.serving_sections import GateSpec, HubSpotSpec, SalesforceSpec, WritebackSpec
from chs_ml.recipe.validation_section import MarginsSpec, PromiseSpec, ValidationSpec, ValueSpec

__all__ = [
    "Condition",
    "DataSpec",
    "GateSpec",
    "HubSpotSpec",
    "LinkSpec",
    "MarginsSpec",
    "MetricSpec",
    "ModelSpec",
    "OutcomeSpec",
    "PromiseSpec",
    "Recipe",
    "SalesforceSpec",
    "ScaleSpec",
    "SnapshotSpec",
    "SplitSpec",
    "TableSpec",
    "ValidationSpec",
    "ValueSpec",
    "WritebackSpec",
    "load_recipe",
]
