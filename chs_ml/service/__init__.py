"""Scores over HTTP: ``/score``, ``/explain``, ``/model`` and ``/health``. Needs the extra ``serve``.

Rows are never written to a log, nor echoed in an error.
"""

from chs_ml.service.app import create_app, serve
from chs_ml.service.requests import Limits

__all__ = ["Limits", "create_app", "serve"]
