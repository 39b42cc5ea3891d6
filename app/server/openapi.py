"""The OpenAPI document. FastAPI generates most of it; this adds webhooks from Dots, problems, and examples."""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi import utils
from pydantic import TypeAdapter

from app.web import examples
from app.webhooks import endpoint

_TAGS = [
    {"name": "flows", "description": "Create flows and see how far payees are."},
    {"name": "users", "description": "What is known about payees."},
    {"name": "events", "description": "What payees did, as pages or as a stream."},
    {"name": "subscriptions", "description": "Events that the gateway sends over HTTP."},
    {"name": "webhooks", "description": "Webhooks from Dots."},
    {"name": "contracts", "description": "Descriptions of events for programs."},
    {"name": "health", "description": "Liveness, readiness and metrics."},
]
_SERVERS = [{"url": "/", "description": "The gateway that serves this document."}]
_CONTACT = {"name": "The team that operates this gateway"}

_PROBLEM_CONTENT: dict[str, Any] = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "An error, as RFC 9457 problem details.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": _text("A URN of the kind of problem. It ends with `code`."),
        "title": _text("The kind of problem, for people."),
        "status": {"type": "integer", "description": "The HTTP status."},
        "code": _text("The kind of problem, for programs. Codes do not change."),
        "detail": _text("What is wrong with this request, for people."),
        "dots_error_code": _text("Dots' own error code. Absent if Dots gave none."),
        "errors": {
            "type": "array",
            "description": "The invalid fields. Absent for other problems.",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {
                    "field": _text("The path of the field in the request."),
                    "message": _text("What is wrong with the field."),
                },
                "examples": examples.PROBLEM["errors"],
            },
        },
    },
    "examples": [examples.PROBLEM],
}


def document(app: FastAPI) -> dict[str, Any]:
    """The document of an application, generated once."""
    if app.openapi_schema is None:
        app.openapi_schema = _document(app)
    return app.openapi_schema


def _document(app: FastAPI) -> dict[str, Any]:
    schema = utils.get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=_TAGS,
        servers=_SERVERS,
        contact=_CONTACT,
    )
    components = schema.setdefault("components", {})
    _restore_examples(app, components.setdefault("schemas", {}))
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["schemas"]["Problem"] = _PROBLEM
    components["responses"] = {"Problem": {"description": "A problem: see its `code`.", "content": _PROBLEM_CONTENT}}
    endpoint.describe(schema)
    for operation in (operation for path in schema["paths"].values() for operation in path.values()):
        _describe_problems(operation["responses"])
        _describe_parameters(operation.get("parameters", []))
    _show_fields([*components["schemas"].values(), _PROBLEM["properties"]["errors"]["items"]])
    return schema


def _restore_examples(app: FastAPI, schemas: dict[str, Any]) -> None:
    """Restore the examples of our schemas: FastAPI removes every null from them."""
    for field in utils.get_fields_from_routes(app.routes):
        annotation: Any = field.field_info.annotation
        own = TypeAdapter(annotation).json_schema()
        for name, schema in {own.get("title"): own, **own.get("$defs", {})}.items():
            if name in schemas and "examples" in schema:
                schemas[name]["examples"] = schema["examples"]


def _describe_problems(responses: dict[str, Any]) -> None:
    """Replace FastAPI's own error schema, which we never send, with ours."""
    responses.pop("422", None)
    responses["default"] = {"$ref": "#/components/responses/Problem"}
    for status, response in responses.items():
        if status.startswith(("4", "5")) and "$ref" not in response:
            response.setdefault("content", _PROBLEM_CONTENT)


def _describe_parameters(parameters: list[dict[str, Any]]) -> None:
    """Give parameters of the same name the same example, and those in paths the same description."""
    for parameter in parameters:
        name = parameter["name"].lower()
        if parameter["in"] == "path":
            description, example = examples.PATH_PARAMETERS[name]
            parameter.setdefault("description", description)
            parameter.setdefault("example", example)
        elif "examples" not in parameter["schema"] and name in examples.NAMED:
            parameter.setdefault("example", examples.NAMED[name])


def _show_fields(schemas: Iterable[dict[str, Any]]) -> None:
    """Give every field an example: its value in an example of its schema, or the one for its name."""
    for schema in schemas:
        for name, field in schema.get("properties", {}).items():
            values = [example.get(name) for example in schema.get("examples", [])]
            found = [value for value in [*values, examples.NAMED.get(name)] if value is not None]
            if found and "examples" not in field:
                field["examples"] = found[:1]
