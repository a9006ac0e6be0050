"""What the service says of itself: OpenAPI with the model's own inputs."""

from typing import Any

from chs_ml.health_model import HealthModel
from chs_ml.inputs import InputColumn
from chs_ml.service.requests import Limits

_VALUE = ["number", "string", "boolean", "null"]
_NUMBER = {"type": ["number", "null"]}
_TEXT = {"type": ["string", "null"]}

ERROR = {
    "type": "object",
    "properties": {
        "error": {"type": "string"},
        "field": _TEXT,
        "row": {"type": ["integer", "null"], "description": "Position in accounts, from 0."},
    },
    "required": ["error", "field", "row"],
}
SCORE = {
    "churn_probability": _NUMBER,
    "health_score": _NUMBER,
    "tier": _TEXT,
    "coverage": {"type": "number"},
    "status": {"type": "string", "enum": ["ok", "degraded", "withheld", "invalid"]},
    "status_detail": {"type": "string"},
}
KEYS = ("account_id", "snapshot_date")
_POINTS = {"type": "object", "additionalProperties": _NUMBER}
EXPLANATION = {
    "health_score": _NUMBER,
    "base": {"type": "number"},
    "points": _POINTS,
    "groups": _POINTS,
    "reasons": {"type": "array", "items": {"type": "string"}},
}


def account_schema(model: HealthModel) -> dict[str, Any]:
    """JSON schema of one account: the model's metrics, and what it carries."""
    carried = model.carried
    properties = {name: _input(column) for name, column in model.schema.inputs.items()}
    for name in (carried.account, carried.snapshot_date):
        if name is not None and name not in properties:
            properties[name] = {"type": _VALUE, "description": "Key, returned with the score."}
    required = list(model.schema.required_names)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": True}


def _input(column: InputColumn) -> dict[str, Any]:
    metric = column.metric
    said = [f"{metric.kind.value}, {metric.group}; {metric.direction.value} is healthier"]
    if metric.unit:
        said.append(f"in {metric.unit}")
    if column.categories:
        said.append(f"one of {', '.join(column.categories[:20])}; others count as new categories")
    elif column.low == column.low and not metric.is_category:
        said.append(f"{column.low:g} to {column.high:g} in training")
    return {"type": _VALUE, "title": metric.title, "description": "; ".join(said)}


def request_body(model: HealthModel, limits: Limits) -> dict[str, Any]:
    """OpenAPI's description of the body of /score and /explain."""
    accounts = {
        "type": "array",
        "minItems": 1,
        "maxItems": limits.rows,
        "items": account_schema(model),
    }
    schema = {"type": "object", "properties": {"accounts": accounts}, "required": ["accounts"]}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def answers(model: HealthModel, name: str, properties: dict[str, Any]) -> dict[int | str, Any]:
    """OpenAPI's description of the answers of /score and /explain."""
    row = {**_keys(model), **properties}
    inner = {"type": "object", "properties": row, "required": list(row)}
    found = {
        "type": "object",
        "properties": {"model_version": {"type": "string"}, name: {"type": "array", "items": inner}},
        "required": ["model_version", name],
    }
    said: dict[int | str, Any] = {200: _answer("One entry per account, in the order of the request.", found)}
    for status, words in (
        (400, "The body is no JSON."),
        (413, "The body or the number of accounts is too large."),
        (415, "The body is not declared as application/json."),
        (422, "The body has another form, or lacks a required metric."),
    ):
        said[status] = _answer(words, ERROR)
    return said


def _keys(model: HealthModel) -> dict[str, Any]:
    return {key: {"type": _VALUE} for key in KEYS if carried_name(model, key) is not None}


def carried_name(model: HealthModel, key: str) -> str | None:
    """The column of a request that an answer returns under `key`."""
    return model.carried.account if key == "account_id" else model.carried.snapshot_date


def _answer(words: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": schema}}}
