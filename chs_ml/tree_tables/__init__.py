"""Exact SHAP contributions at about the price of a prediction.

model text ──model_text──▶ trees ──atoms, grouping, plan──▶ groups of leaves ──shapley, assembly──▶ tables

tables ──numpy_evaluation, or numba_evaluation with the same bits──▶ margin, contributions
"""

from chs_ml.tree_tables.errors import (
    ModelTextError,
    TablesTooLargeError,
    TreeTablesError,
    UngroupableTreeError,
    UnsupportedModelError,
)
from chs_ml.tree_tables.plan import TablePlan
from chs_ml.tree_tables.tables import TreeTables, plan_tables

__all__ = [
    "ModelTextError",
    "TablePlan",
    "TablesTooLargeError",
    "TreeTables",
    "TreeTablesError",
    "UngroupableTreeError",
    "UnsupportedModelError",
    "plan_tables",
]
