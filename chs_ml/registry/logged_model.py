"""The code that MLflow stores beside a bundle and runs to load it: a model from code, not from a pickle."""

from mlflow.models import set_model

from chs_ml.registry.pyfunc import HealthScorer

set_model(HealthScorer())
