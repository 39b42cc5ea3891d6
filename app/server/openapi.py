"""The OpenAPI document: what FastAPI knows, and what it cannot: the plain routes, our errors, example ids."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi import utils
from pydantic import TypeAdapter

from app.web import examples
from app.webhooks import endpoint

_PROBLEM_CONTENT: dict[str, Any] = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "dots_error_code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
    "examples": [examples.PROBLEM],
}


def document(app: FastAPI) -> dict[str, Any]:
    """The document of an application, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _document(app)
    return app.openapi_schema


def _document(app: FastAPI) -> dict[str, Any]:
    schema = utils.get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = schema.setdefault("components", {})
    _restore_examples(app, components.setdefault("schemas", {}))
    components["schemas"]["Problem"] = _PROBLEM
    components["responses"] = {"Problem": {"description": "A problem: see its `code`.", "content": _PROBLEM_CONTENT}}
    for path in schema["paths"].values():
        for operation in path.values():
            _describe_problems(operation["responses"])
    endpoint.describe(schema)
    for path in schema["paths"].values():
        for operation in path.values():
            _show_examples(operation.get("parameters", []))
    return schema


def _restore_examples(app: FastAPI, schemas: dict[str, Any]) -> None:
    """Put the examples of our shapes back as they were: FastAPI drops every null out of them."""
    for field in utils.get_fields_from_routes(app.routes):
        annotation: Any = field.field_info.annotation
        own = TypeAdapter(annotation).json_schema()
        for name, schema in {own.get("title"): own, **own.get("$defs", {})}.items():
            if name in schemas and "examples" in schema:
                schemas[name]["examples"] = schema["examples"]


def _describe_problems(responses: dict[str, Any]) -> None:
    """Replace FastAPI's own shape of errors, which we never send, by ours."""
    responses.pop("422", None)
    responses["default"] = {"$ref": "#/components/responses/Problem"}
    for status, response in responses.items():
        if status.startswith(("4", "5")):
            response.setdefault("content", _PROBLEM_CONTENT)


def _show_examples(parameters: list[dict[str, Any]]) -> None:
    """Give the ids in paths, which mean the same everywhere, the same example everywhere."""
    for parameter in parameters:
        if parameter["in"] == "path" and parameter["name"] in examples.PATH_PARAMETERS:
            parameter.setdefault("example", examples.PATH_PARAMETERS[parameter["name"]])
