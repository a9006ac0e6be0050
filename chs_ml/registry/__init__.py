"""The model registry: which model is the champion, which the challenger, and how each came to be.

MLflow behind one door: an ``sqlite`` file in a folder of its own by default, any tracking server by its
address. A version is the same text bundle that `save_model` writes, beside a few lines of code that let
MLflow score with it; nothing is pickled. Needs the extra ``mlflow``.
"""

from chs_ml.registry.place import CHALLENGER, CHAMPION, NAME
from chs_ml.registry.store import Registry, Version, registered_folder

__all__ = ["CHALLENGER", "CHAMPION", "NAME", "Registry", "Version", "registered_folder"]
