"""The comparison of OpenAPI documents, held against changes that break callers, and changes that do not."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.openapi_changes import OpenapiComparison

Document = dict[str, Any]
Change = Callable[[Document], object]

TEXT = {"type": "string"}


def document() -> Document:
    """An interface of two operations, with a bit of everything."""
    thing = {"type": "object", "properties": {"id": TEXT, "note": TEXT}, "required": ["id"]}
    order = {"type": "object", "properties": {"note": TEXT}}
    return {
        "openapi": "3.1.0",
        "paths": {
            "/things": {
                "get": {
                    "operationId": "list",
                    "security": [{"key": []}],
                    "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}}],
                    "responses": {
                        "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
                        "default": {"$ref": "#/components/responses/Problem"},
                    },
                },
                "post": {
                    "operationId": "create",
                    "requestBody": {
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}
                    },
                    "responses": {"201": {"content": {"application/json": {"schema": {}}}}, "202": {}},
                },
            }
        },
        "components": {
            "schemas": {"Thing": thing, "Order": order},
            "responses": {"Problem": {"content": {"application/problem+json": {"schema": {"type": "object"}}}}},
        },
    }


def get(document: Document) -> Document:
    """The operation that lists."""
    operation: Document = document["paths"]["/things"]["get"]
    return operation


def post(document: Document) -> Document:
    """The operation that creates."""
    operation: Document = document["paths"]["/things"]["post"]
    return operation


def schemas(document: Document) -> Document:
    """The shared schemas."""
    found: Document = document["components"]["schemas"]
    return found


HARMLESS: dict[str, Change] = {
    "nothing": lambda _new: None,
    "a further path": lambda new: new["paths"].update({"/others": {"get": get(new)}}),
    "a further operation": lambda new: new["paths"]["/things"].update({"delete": post(new)}),
    "a further optional parameter": lambda new: get(new)["parameters"].append(
        {"name": "x", "in": "query", "schema": TEXT}
    ),
    "a further answer": lambda new: get(new)["responses"].update({"204": {}}),
    "a further property of an answer": lambda new: schemas(new)["Thing"]["properties"].update({"more": TEXT}),
    "a further optional property of a body": lambda new: schemas(new)["Order"]["properties"].update({"more": TEXT}),
    "a greater limit": lambda new: get(new)["parameters"][0]["schema"].update({"maximum": 200}),
    "other words": lambda new: get(new).update({"summary": "List", "description": "Lists."}),
    "no key is needed any more": lambda new: get(new).pop("security"),
}

HARMFUL: dict[str, tuple[Change, str]] = {
    "a path is gone": (
        lambda new: new["paths"].clear(),
        "GET /things is gone; POST /things is gone",
    ),
    "an operation is gone": (lambda new: new["paths"]["/things"].pop("get"), "GET /things is gone"),
    "another id": (
        lambda new: get(new).update({"operationId": "list_all"}),
        "GET /things: it has another operationId, after which generated clients name their methods",
    ),
    "a key is needed": (lambda new: post(new).update({"security": [{"key": []}]}), "POST /things: it needs a key now"),
    "a parameter is gone": (
        lambda new: get(new)["parameters"].clear(),
        "GET /things: parameter limit in query is gone",
    ),
    "a parameter is needed": (
        lambda new: get(new)["parameters"][0].update({"required": True}),
        "GET /things: parameter limit in query is now required",
    ),
    "a new parameter is needed": (
        lambda new: get(new)["parameters"].append({"name": "x", "in": "header", "required": True, "schema": TEXT}),
        "GET /things: parameter x in header is new and required",
    ),
    "a parameter takes less": (
        lambda new: get(new)["parameters"][0]["schema"].update({"maximum": 50}),
        "GET /things: parameter limit in query has another maximum",
    ),
    "a body is needed": (
        lambda new: post(new)["requestBody"].update({"required": True}),
        "POST /things: it needs a body now",
    ),
    "a new body is needed": (
        lambda new: get(new).update({"requestBody": {"required": True}}),
        "GET /things: it needs a body now",
    ),
    "a body is taken no more": (
        lambda new: post(new).pop("requestBody"),
        "POST /things: it takes no body any more",
    ),
    "a field is needed": (
        lambda new: schemas(new)["Order"].update({"required": ["note"]}),
        "POST /things: body.note is now required",
    ),
    "a body of another kind": (
        lambda new: post(new)["requestBody"].update({"content": {"text/plain": {}}}),
        "POST /things: body is application/json no more",
    ),
    "an answer is gone": (lambda new: post(new)["responses"].pop("202"), "POST /things: it answers 202 no more"),
    "an answer of another kind": (
        lambda new: get(new)["responses"].update({"200": {"content": {"text/plain": {}}}}),
        "GET /things: answer 200 is application/json no more",
    ),
    "a property of an answer is gone": (
        lambda new: schemas(new)["Thing"]["properties"].pop("note"),
        "GET /things: answer 200.note is gone",
    ),
    "the shared answer has changed": (
        lambda new: new["components"]["responses"]["Problem"].update({"content": {}}),
        "GET /things: answer default is application/problem+json no more",
    ),
}


def losses(change: Change) -> str:
    """What the comparison says about a change."""
    old = document()
    new = copy.deepcopy(old)
    change(new)
    return "; ".join(OpenapiComparison(old=old, new=new).losses())


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_harmless_change_passes(change: Change) -> None:
    """Callers of before can go on."""
    assert losses(change) == ""


@pytest.mark.parametrize(("change", "expected"), HARMFUL.values(), ids=HARMFUL)
def test_harmful_change_is_told(change: Change, expected: str) -> None:
    """In a sentence that says where, and what."""
    assert losses(change) == expected
