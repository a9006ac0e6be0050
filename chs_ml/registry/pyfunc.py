"""MLflow's own door to a health model: what ``mlflow.pyfunc.load_model``, its server and Spark call."""

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.pyfunc import PythonModel, save_model
from mlflow.types.schema import AnyType, ColSpec, DataType, Schema

import chs_ml
from chs_ml.bundle import load_model
from chs_ml.bundle import save_model as save_bundle
from chs_ml.health_model import HealthModel

BUNDLE = "bundle"
PACKAGES = ("lightgbm", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy")
OUTPUTS = {
    "churn_probability": DataType.double,
    "health_score": DataType.double,
    "tier": DataType.string,
    "coverage": DataType.double,
    "status": DataType.string,
    "status_detail": DataType.string,
}


# MLflow asks for type hints, of which it would make a schema that refuses what the model reads, and overrides
# filters while it does; recorded warnings are not shown
with warnings.catch_warnings(record=True):

    class HealthScorer(PythonModel):  # type: ignore[misc] # MLflow is not looked into
        """Scores frames with the bundle that MLflow has unpacked."""

        def load_context(self, context: Any) -> None:
            """Load the bundle."""
            self.model = load_model(context.artifacts[BUNDLE])

        # without annotations: MLflow would take them for a schema
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            """Score rows: the published columns, one row per input row, same order and index."""
            frame = model_input if isinstance(model_input, pd.DataFrame) else pd.DataFrame(model_input)
            columns = self.model.published(self.model.encode(frame)).columns()
            scores = pd.DataFrame(columns, index=frame.index)
            texts = {name: object for name, kind in OUTPUTS.items() if kind is DataType.string}
            scores = scores.astype(texts)
            # None, not NaN: MLflow's Spark function makes text of it, and "None" at least is no number
            return scores.assign(tier=scores["tier"].where(scores["tier"].notna(), None))


def signature(model: HealthModel) -> ModelSignature:
    """Inputs by name, each of any type, and the published columns.

    MLflow 3.17's own types refuse what the model reads without trouble: "double" refuses whole numbers (with
    and without gaps), yes/no, numbers as text and category columns; "string" refuses category columns, whole
    numbers, yes/no and dates. Reading values is the business of the model's input schema.
    """
    required = model.schema.required_names
    inputs = [ColSpec(AnyType(), name, required=name in required) for name in model.schema.inputs]
    if model.schema.needs_dates and model.carried.snapshot_date is not None:
        inputs.append(ColSpec(AnyType(), model.carried.snapshot_date, required=True))
    outputs = [ColSpec(kind, name, required=kind is not DataType.double) for name, kind in OUTPUTS.items()]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def save_for_mlflow(model: HealthModel, folder: Path) -> None:
    """Write a model as MLflow keeps it: our bundle, a script that scores with it, and what it needs."""
    bundle = folder.with_name(f"{folder.name}-{BUNDLE}")
    save_bundle(model, bundle)
    with warnings.catch_warnings():
        # it asks for an example of the input, which would be a customer's row in the registry
        warnings.filterwarnings("ignore", message=".*[Ii]nput example", category=UserWarning)
        _save(model, folder, bundle)


def _save(model: HealthModel, folder: Path, bundle: Path) -> None:
    save_model(
        path=str(folder),
        python_model=str(Path(__file__).with_name("logged_model.py")),
        artifacts={BUNDLE: str(bundle)},
        # given, because MLflow would otherwise spend seconds to find them out
        pip_requirements=[f"chs-ml=={chs_ml.__version__}", *(f"{n}=={version(n)}" for n in PACKAGES)],
        signature=signature(model),
    )
