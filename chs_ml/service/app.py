"""The application: one model, loaded once, behind four paths."""

import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

import chs_ml
from chs_ml.errors import ChsError
from chs_ml.explanation import score_and_explain
from chs_ml.health_model import HealthModel
from chs_ml.service.openapi import EXPLANATION, KEYS, SCORE, answers, carried_name, request_body
from chs_ml.service.requests import Limits, RefusedRequest, Row, accounts_in, frame_of, reasons_in
from chs_ml.validation.plain import to_plain

AT_ONCE = 32
"""Up to so many accounts are scored in the event loop; more go to a thread, so that others are answered."""


def create_app(model: HealthModel, *, version: str, limits: Limits | None = None) -> FastAPI:
    """Make the application that serves a model.

    Parameters
    ----------
    model : HealthModel
        What scores.
    version : str
        What the model is called in answers, such as its fingerprint.
    limits : Limits, optional
        What one request may ask for.
    """
    scorer = _Scorer(model, version, limits or Limits())
    app = FastAPI(
        title="Customer health scores",
        version=chs_ml.__version__,
        description="Churn probability, health score and tier of accounts, and why.",
    )
    body = request_body(model, scorer.limits)
    reasons = {
        "name": "reasons",
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "minimum": 0, "maximum": scorer.limits.reasons, "default": 3},
    }
    app.add_api_route(
        "/score",
        _posted(scorer, scorer.scores),
        methods=["POST"],
        summary="Score accounts",
        responses=answers(model, "scores", SCORE),
        openapi_extra={"requestBody": body},
    )
    app.add_api_route(
        "/explain",
        _posted(scorer, scorer.explanations),
        methods=["POST"],
        summary="Explain scores in their own points",
        responses=answers(model, "explanations", {**SCORE, **EXPLANATION}),
        openapi_extra={"requestBody": body, "parameters": [reasons]},
    )
    app.add_api_route("/model", scorer.model_facts, methods=["GET"], summary="Which model answers")
    app.add_api_route("/health", _alive, methods=["GET"], summary="Whether the service answers")
    return app


def serve(app: FastAPI, *, host: str, port: int, workers_log: str = "warning") -> None:
    """Run an application until it is interrupted; requests are not logged."""
    import uvicorn

    uvicorn.run(app, host=host, port=port, log_level=workers_log, access_log=False)


async def _alive() -> dict[str, str]:
    return {"status": "ok"}


class _Scorer:
    """One model with its limits; the answers as plain values."""

    def __init__(self, model: HealthModel, version: str, limits: Limits) -> None:
        self.model, self.version, self.limits = model, version, limits
        names = {key: carried_name(model, key) for key in KEYS}
        self.keys = {key: name for key, name in names.items() if name is not None}

    def rows(self, body: bytes) -> list[Row]:
        return accounts_in(body, self.model.schema, list(self.keys.values()), self.limits)

    def scores(self, rows: list[Row], query: Any) -> dict[str, Any]:
        if len(rows) == 1:  # no frame: that costs more than the score
            found = [self.model.score(rows[0])]
        else:
            columns = self.model.published(self.model.encode(frame_of(rows))).columns()
            found = _records(columns)
        return {"model_version": self.version, "scores": self._keyed(rows, found)}

    def explanations(self, rows: list[Row], query: Any) -> dict[str, Any]:
        n = reasons_in(query.get("reasons"), self.limits)
        frame = frame_of(rows)
        bare = frame.assign(**{name: None for name in self.model.carried.keep if name not in frame})
        scores, why = score_and_explain(self.model, bare)
        found = _records({name: scores[name] for name in SCORE if name in scores})
        told = [score | reason for score, reason in zip(found, why.to_records(n), strict=True)]
        return {"model_version": self.version, "explanations": self._keyed(rows, told)}

    async def model_facts(self) -> dict[str, Any]:
        model = self.model
        return {
            "model_version": self.version,
            "metrics": [to_plain(metric) for metric in model.schema.metrics],
            "tiers": to_plain(model.tiers),
            "scale": {"kind": model.scale.name, **to_plain(model.scale)},
            "coverage_floor": model.coverage_floor,
            "trained_on": {
                name: model.facts.get(name)
                for name in ("rows", "accounts", "churned", "snapshots", "data_fingerprint")
            },
            "validation": None if model.report is None else model.report.verdict.value,
            "chs_ml": chs_ml.__version__,
        }

    def _keyed(self, rows: list[Row], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        keys = self.keys
        return [
            {key: _key(row[name]) for key, name in keys.items()} | score
            for row, score in zip(rows, found, strict=True)
        ]


def _records(columns: dict[str, Any]) -> list[dict[str, Any]]:
    lists = [[_plain(value) for value in list(column)] for column in columns.values()]
    return [dict(zip(columns, values, strict=True)) for values in zip(*lists, strict=True)]


def _key(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    return value if isinstance(value, str) else None


def _posted(
    scorer: _Scorer, answer: Callable[[list[Row], Any], dict[str, Any]]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            rows = scorer.rows(await _body(request, scorer.limits))
            few = len(rows) <= AT_ONCE
            found = (
                answer(rows, request.query_params)
                if few
                else await run_in_threadpool(answer, rows, request.query_params)
            )
        except RefusedRequest as refused:
            return _json(refused.body, refused.status)
        except ChsError as error:  # the door's own words name columns, never values
            return _json({"error": str(error), "field": None, "row": None}, 422)
        return _json(found, 200)

    return endpoint


def _json(content: dict[str, Any], status: int) -> Response:
    # ASCII: a key may hold half a character, which JSON can say and UTF-8 cannot
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Response(text, status_code=status, media_type="application/json")


async def _body(request: Request, limits: Limits) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusedRequest(415, "The body must be declared as application/json.")
    said = request.headers.get("content-length", "")
    too_large = RefusedRequest(413, f"The body may hold at most {limits.body_bytes:,} bytes.")
    if said.isascii() and said.isdecimal() and int(said[:19]) > limits.body_bytes:
        raise too_large
    parts, size = [], 0
    async for part in request.stream():  # the length may be a lie, or not be given
        size += len(part)
        if size > limits.body_bytes:
            raise too_large
        parts.append(part)
    return b"".join(parts)
