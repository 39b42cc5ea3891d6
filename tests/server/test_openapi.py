from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.dots.fake_dots import USER
from tests.server import background
from tests.server.background import Service

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
PLAIN = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    verbosity=Verbosity.quiet,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def service(database_url: str) -> Iterator[Service]:
    """A service on a real socket."""
    with background.service(database_url) as service:
        yield service


def operations_of(app: FastAPI) -> list[dict[str, Any]]:
    """Return every operation of the document."""
    return [operation for path in app.openapi()["paths"].values() for operation in path.values()]


def test_document_is_valid_openapi(app: FastAPI) -> None:
    """The document is OpenAPI 3.1, and every schema in it is valid."""
    document = app.openapi()

    assert document["openapi"].startswith("3.1")
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_reference_has_a_target(app: FastAPI) -> None:
    """Every `$ref` leads to a part of the document."""
    document = app.openapi()

    assert [ref for ref in _references(document) if not _is_there(document, ref)] == []


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _references(each)


def _is_there(document: object, ref: str) -> bool:
    for part in ref.removeprefix("#/").split("/"):
        if not isinstance(document, dict) or part not in document:
            return False
        document = document[part]
    return True


def test_every_operation_documents_its_problems(app: FastAPI) -> None:
    """No operation documents FastAPI's own 422, which the gateway never sends."""
    document = app.openapi()

    assert "HTTPValidationError" not in str(document["paths"])
    for operation in operations_of(app):
        assert any("Problem" in str(response) for response in operation["responses"].values())


@pytest.mark.parametrize("mode", GenerationMode)
def test_generated_requests_get_documented_answers(app: FastAPI, service: Service, mode: GenerationMode) -> None:
    """Valid and invalid requests get answers that match the document, and no server errors."""
    schema = schemathesis.openapi.from_dict(app.openapi())
    # A stream does not end, so it has its own test.
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    operations = [operation for operation in found if "stream" not in operation.path]
    # Any text may be an id, and any JSON a webhook. Only these operations have invalid requests.
    fitting = [each for each in operations if mode.is_positive or each.path in ("/v1/flows", "/v1/events")]

    for operation in fitting:
        _check(operation, service, mode)

    assert len(fitting) == (31 if mode.is_positive else 3)


def _check(operation: APIOperation[Any, Any, Any, Any], service: Service, mode: GenerationMode) -> None:
    @PLAIN
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case[Any]) -> None:
        case.query.pop("wait", None)  # It would wait up to half a minute.
        response = case.call(base_url=service.url, headers=service.headers, timeout=10)
        case.validate_response(response, checks=CHECKS)

    check()


def test_successful_answers_match_the_document(app: FastAPI, service: Service) -> None:
    """The generated requests use unknown ids, so this test creates a flow."""
    schema = schemathesis.openapi.from_dict(app.openapi())
    with httpx.Client(base_url=service.url, headers=service.headers) as client:
        created = client.post("/v1/flows", json={"steps": ["compliance"], "user_id": USER, "metadata": {"a": 1}})
        path = f"/v1/flows/{created.json()['id']}"
        answers = {
            ("POST", "/v1/flows"): created,
            ("GET", "/v1/flows"): client.get("/v1/flows"),
            ("GET", "/v1/flows/{flow_id}"): client.get(path),
            ("GET", "/v1/flows/{flow_id}/timeline"): client.get(f"{path}/timeline"),
            ("POST", "/v1/flows/{flow_id}/refresh"): client.post(f"{path}/refresh"),
            ("GET", "/v1/events"): client.get("/v1/events"),
            ("GET", "/livez"): client.get("/livez"),
            ("GET", "/readyz"): client.get("/readyz"),
        }

    for (method, template), answer in answers.items():
        assert answer.is_success
        schema[template][method].validate_response(answer)
