"""HTTP: the same numbers as the model, and errors that tell nothing of the row."""

import json
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("httpx", reason="the test client needs httpx")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have another package than httpx
    from starlette.testclient import TestClient

from chs_ml.explanation import explain
from chs_ml.service import Limits, create_app
from tests.small_model import METRICS, customers, small_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SECRET = "Acme Confidential"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    limits = Limits(rows=50, body_bytes=100_000)
    with TestClient(create_app(small_model(), version="v7", limits=limits)) as found:
        yield found


def accounts(n: int) -> list[dict[str, Any]]:
    """Rows as JSON takes them, with gaps and a new category."""
    frame = customers().head(n)[["account_id", "snapshot_date", *METRICS]].astype(object)
    frame["snapshot_date"] = frame["snapshot_date"].astype(str)
    frame.loc[frame.index[0], "csat"] = None
    frame.loc[frame.index[-1], "contract_term"] = "never seen"
    return json.loads(json.dumps(frame.where(frame.notna(), None).to_dict("records")))


def test_one_and_many_get_the_numbers_of_the_model(client: TestClient) -> None:
    rows = accounts(40)
    together = client.post("/score", json={"accounts": rows}).json()
    assert together["model_version"] == "v7"
    for row, found in zip(rows, together["scores"], strict=True):
        expected = small_model().score(row)
        assert found == {"account_id": row["account_id"], "snapshot_date": row["snapshot_date"], **expected}
        assert client.post("/score", json={"accounts": [row]}).json()["scores"] == [found]


def test_explanations_sum_to_the_score(client: TestClient) -> None:
    rows = accounts(3)
    answer = client.post("/explain?reasons=2", json={"accounts": rows}).json()
    expected = explain(small_model(), customers().head(3).assign(csat=[None, *customers()["csat"][1:3]]))
    for i, found in enumerate(answer["explanations"]):
        assert found["base"] + sum(found["points"].values()) == pytest.approx(found["health_score"], abs=1e-6)
        assert len(found["reasons"]) <= 2
        assert found["account_id"] == rows[i]["account_id"]
    assert answer["explanations"][0]["points"] == pytest.approx(expected.points.iloc[0].to_dict())


def test_rows_that_cannot_be_scored_say_so(client: TestClient) -> None:
    rows = accounts(3)
    rows[0]["usage_days"] = "a dozen"
    rows[1] |= dict.fromkeys(METRICS)
    body = json.dumps({"accounts": rows}).replace('"a dozen"', "1e999")
    for content in (json.dumps({"accounts": rows}), body):
        found = client.post("/score", content=content, headers={"content-type": "application/json"}).json()
        assert [score["status"] for score in found["scores"]] == ["invalid", "withheld", "degraded"]
        assert found["scores"][0]["health_score"] is None
        assert found["scores"][0]["tier"] is None
        assert found["scores"][0]["status_detail"] == "unreadable or infinite: usage_days"
        told = client.post("/explain", content=content, headers={"content-type": "application/json"})
        assert told.status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "field", "row"),
    [
        ("{", 400, None, None),
        (b"\xff\xfe", 400, None, None),
        ('{"accounts": [{"usage_days": NaN}]}', 400, None, None),
        ("[" * 100_000, 413, None, None),
        ("[" * 90_000, 400, None, None),
        ("[]", 422, "accounts", None),
        ('{"accounts": {}}', 422, "accounts", None),
        ('{"accounts": []}', 422, "accounts", None),
        (json.dumps({"accounts": [SECRET]}), 422, None, 0),
        (json.dumps({"accounts": [{"account_id": SECRET}]}), 422, "usage_days", 0),
        (json.dumps({"accounts": [{}] * 51}), 413, "accounts", None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_refusals_name_the_field_and_never_echo(
    client: TestClient, body: str | bytes, status: int, field: str | None, row: int | None
) -> None:
    padded = body + " " * 11_000 if status == 413 and field is None and isinstance(body, str) else body
    for path in ("/score", "/explain"):
        answer = client.post(path, content=padded, headers={"content-type": "application/json"})
        assert answer.status_code == status, answer.text
        assert answer.json() == {"error": answer.json()["error"], "field": field, "row": row}
        assert SECRET not in answer.text


def test_a_value_that_is_none_is_refused_by_name(client: TestClient) -> None:
    rows = accounts(2)
    rows[1]["csat"] = [SECRET]
    answer = client.post("/score", json={"accounts": rows})
    assert answer.status_code == 422
    assert (answer.json()["field"], answer.json()["row"]) == ("csat", 1)
    assert SECRET not in answer.text


def test_what_is_no_json_is_refused_by_its_type(client: TestClient) -> None:
    answer = client.post("/score", content=b"a=1", headers={"content-type": "text/plain"})
    assert answer.status_code == 415
    assert client.post("/explain?reasons=-1", json={"accounts": accounts(1)}).json()["field"] == "reasons"


def test_keys_come_back_whatever_they_hold(client: TestClient) -> None:
    row = json.dumps(accounts(1)[0])
    for key in ('"\\ud800"', "1e999", "12345678901234567890123", "null"):
        text = '{"accounts": [' + row.replace(json.dumps(accounts(1)[0]["account_id"]), key, 1) + "]}"
        answer = client.post("/score", content=text, headers={"content-type": "application/json"})
        assert answer.status_code == 200, answer.text


def test_the_documents_describe_the_model(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    body = document["paths"]["/score"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    account = body["properties"]["accounts"]["items"]
    assert set(METRICS) <= set(account["properties"])
    assert set(account["required"]) == set(small_model().schema.required_names)
    assert "csat" not in account["required"]
    model = client.get("/model").json()
    assert model["model_version"] == "v7"
    assert [metric["name"] for metric in model["metrics"]] == list(small_model().schema.names)
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/score").status_code == 405


def of_schema(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a JSON schema of the service allows."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    plain = {
        "number": st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
        "string": st.one_of(st.text(max_size=8), st.sampled_from(["12", " ", "inf", "nan", "2025-02-30"])),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    if kinds == ["object"]:
        inner = {name: of_schema(part) for name, part in schema["properties"].items()}
        required = {name: inner.pop(name) for name in schema.get("required", ()) if name in inner}
        return st.fixed_dictionaries(required, optional=inner)
    if kinds == ["array"]:
        return st.lists(of_schema(schema["items"]), min_size=schema["minItems"], max_size=4)
    return st.one_of(*(plain[kind] for kind in kinds))


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is what a JSON schema of the service says."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    python = {"number": (int, float), "integer": int, "string": str, "boolean": bool, "null": type(None),
              "object": dict, "array": list}  # fmt: skip
    if not any(isinstance(value, python[kind]) for kind in kinds):
        return False
    if isinstance(value, dict):
        said, more = schema.get("properties", {}), schema.get("additionalProperties", {})
        named = all(fits(value[name], said[name]) for name in said if name in value)
        others = (
            [v for name, v in value.items() if name not in said] if isinstance(more, dict) and more else []
        )
        return named and set(schema.get("required", ())) <= set(value) and all(fits(v, more) for v in others)
    if isinstance(value, list):
        return all(fits(item, schema["items"]) for item in value)
    return value in schema["enum"] if "enum" in schema else True


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["accounts", *METRICS, "x"]), inner, max_size=3),
    ),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.parametrize("path", ["/score", "/explain"])
@pytest.mark.parametrize("examples", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_every_answer_is_one_that_the_documents_promise(client: TestClient, path: str, examples: int) -> None:
    """Bodies that the documents allow, and any other JSON: no 500, and every answer as documented."""
    told = client.get("/openapi.json").json()["paths"][path]["post"]
    allowed = of_schema(told["requestBody"]["content"]["application/json"]["schema"])

    @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(body=st.one_of(allowed, JSON))
    def check(body: Any) -> None:
        answer = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
        assert str(answer.status_code) in told["responses"], answer.text
        schema = told["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
        assert fits(answer.json(), schema), answer.text

    check()

    @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(body=allowed)
    def accepted(body: Any) -> None:
        answer = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
        assert answer.status_code == 200, answer.text

    accepted()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [
        ("/score", "POST", GenerationMode.POSITIVE),
        ("/score", "POST", GenerationMode.NEGATIVE),
        ("/explain", "POST", GenerationMode.POSITIVE),
        ("/explain", "POST", GenerationMode.NEGATIVE),
        ("/model", "GET", GenerationMode.POSITIVE),
        ("/health", "GET", GenerationMode.POSITIVE),
    ],
)
def test_no_answer_contradicts_the_documents(path: str, method: str, mode: GenerationMode) -> None:
    app = create_app(small_model(), version="v7", limits=Limits(rows=50))
    # too many accounts are refused as too much content
    rejected = {"expected-statuses": [400, 413, 415, 422]}
    config = schemathesis.Config.from_dict({"checks": {"negative_data_rejection": rejected}})
    operation = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)[path][method]
    answers: Counter[int] = Counter()

    @settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        answers[case.call_and_validate().status_code] += 1

    check()
    usual = 200 if mode is GenerationMode.POSITIVE else 422
    assert answers[usual], answers
