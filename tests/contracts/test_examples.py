"""Every operation has examples of its body and its answers, and the examples are valid."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from app.feed import event_schemas
from tests.contracts import documents

Json = Mapping[str, Any]


@pytest.fixture(scope="module")
def openapi() -> Json:
    """The document in `docs/`, which another test keeps current."""
    return documents.openapi()


def operations(openapi: Json) -> Iterator[tuple[str, Json]]:
    """Every operation with its method and path."""
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def contents(operation: Json) -> Iterator[tuple[str, Json]]:
    """The body of an operation and its successful answers, by media type."""
    for media_type, media in operation.get("requestBody", {}).get("content", {}).items():
        yield f"body as {media_type}", media
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            for media_type, media in response.get("content", {}).items():
                yield f"answer {status} as {media_type}", media


def resolved(openapi: Json, node: Json) -> Json:
    """The node itself, or the target of its reference."""
    if "$ref" not in node:
        return node
    found: Any = openapi
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def examples_of(openapi: Json, holder: Json) -> list[Any]:
    """The examples of a parameter or a media type, or else of its schema."""
    own = [holder["example"]] if "example" in holder else []
    own += [each["value"] for each in holder.get("examples", {}).values()]
    return own or list(resolved(openapi, holder.get("schema", {})).get("examples", []))


def complaints(openapi: Json, schema: Json, example: Any) -> list[str]:
    """The errors of an example against a schema of the document."""
    validator = Draft202012Validator(
        {**schema, "components": openapi["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(example)]


def test_every_body_and_answer_has_an_example(openapi: Json) -> None:
    """In the `model_config` of the schema or in `responses=` of the route."""
    bare = [
        f"{name}: {place}"
        for name, operation in operations(openapi)
        for place, media in contents(operation)
        if not examples_of(openapi, media)
    ]

    assert bare == []


def test_examples_of_operations_are_valid(openapi: Json) -> None:
    """Each example of a body, an answer or a parameter matches its schema."""
    wrong = [
        f"{name}: {place}: {complaint}"
        for name, operation in operations(openapi)
        for place, holder in [
            *contents(operation),
            *((f"parameter {each['name']}", each) for each in operation.get("parameters", [])),
        ]
        for example in examples_of(openapi, holder)
        for complaint in complaints(openapi, holder.get("schema", {}), example)
    ]

    assert wrong == []


def test_examples_of_shared_schemas_are_valid(openapi: Json) -> None:
    """The examples of all shared schemas are valid, problems included."""
    shared = openapi["components"]["schemas"]
    wrong = [
        f"{name}: {complaint}"
        for name, schema in shared.items()
        for example in schema.get("examples", [])
        for complaint in complaints(openapi, schema, example)
    ]

    assert wrong == []
    assert shared["Problem"]["examples"] != []


@pytest.mark.parametrize("name", event_schemas.published())
def test_event_schema_has_one_valid_example(name: str) -> None:
    """The example has no field that the schema does not describe."""
    schema = event_schemas.published()[name]
    validator = Draft202012Validator({**schema, "additionalProperties": False})

    assert [error.message for example in schema["examples"] for error in validator.iter_errors(example)] == []
    assert len(schema["examples"]) == 1
