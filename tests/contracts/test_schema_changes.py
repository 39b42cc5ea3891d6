"""The comparison of schemas, held against changes that are known to harm, and changes that are known not to."""

from typing import Any

import pytest

from tests.contracts.schema_changes import Comparison, Direction

TEXT = {"type": "string"}
TEXT_OR_NULL = {"anyOf": [{"type": "string"}, {"type": "null"}]}
CAT = {"type": "object", "properties": {"kind": {"const": "cat"}}, "required": ["kind"]}
DOG = {"type": "object", "properties": {"kind": {"const": "dog"}}, "required": ["kind"]}


def an_object(*required: str, **properties: Any) -> dict[str, Any]:
    """An object with these properties, some of them required."""
    return {"type": "object", "properties": properties, "required": list(required)}


def losses(direction: Direction, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What the comparison says."""
    return list(Comparison(old=old, new=new, direction=direction).losses(old, new, "it"))


Case = tuple[Direction, dict[str, Any], dict[str, Any]]

COMPATIBLE: dict[str, Case] = {
    "the same": ("sent", an_object("a", a=TEXT), an_object("a", a=TEXT)),
    "a further property is sent": ("sent", an_object(a=TEXT), an_object(a=TEXT, b=TEXT)),
    "a property is sent always that was sent sometimes": ("sent", an_object(a=TEXT), an_object("a", a=TEXT)),
    "other words": ("sent", {**TEXT, "description": "old"}, {**TEXT, "description": "new", "examples": ["a"]}),
    "a narrower text is sent": ("sent", TEXT, {**TEXT, "pattern": "^a$", "maxLength": 3}),
    "integers are sent where numbers were": ("sent", {"type": "number"}, {"type": "integer"}),
    "only these are sent where anything was": ("sent", TEXT, {**TEXT, "enum": ["a"]}),
    "types as a list, and as choices": ("sent", {"type": ["string", "null"]}, TEXT_OR_NULL),
    "a kind of object is added to several": ("sent", {"oneOf": [CAT, TEXT]}, {"oneOf": [CAT, DOG, TEXT]}),
    "a further optional property is taken": ("taken", an_object("a", a=TEXT), an_object("a", a=TEXT, b=TEXT)),
    "a required property may be left out": ("taken", an_object("a", a=TEXT), an_object(a=TEXT)),
    "a wider text is taken": ("taken", {**TEXT, "maxLength": 3, "pattern": "^a$"}, {**TEXT, "maxLength": 5}),
    "null is taken too": ("taken", TEXT, TEXT_OR_NULL),
    "numbers are taken where integers were": ("taken", {"type": "integer"}, {"type": "number"}),
    "anything is taken": ("taken", TEXT, {}),
    "a further value is taken": ("taken", {"enum": ["a"]}, {"enum": ["a", "b"]}),
    "any value is taken": ("taken", {**TEXT, "enum": ["a"]}, TEXT),
}

INCOMPATIBLE: dict[str, tuple[Case, str]] = {
    "a property is sent no more": (("sent", an_object(a=TEXT), an_object()), "it.a is gone"),
    "a property is sent only sometimes": (
        ("sent", an_object("a", a=TEXT), an_object(a=TEXT)),
        "it.a can now be missing",
    ),
    "null is sent too": (("sent", TEXT, TEXT_OR_NULL), "it can now also be null"),
    "null is sent no more": (("sent", TEXT_OR_NULL, TEXT), "it is null no more"),
    "another type is sent": (("sent", TEXT, {"type": "integer"}), "it was string and is integer"),
    "numbers are sent where integers were": (
        ("sent", {"type": "integer"}, {"type": "number"}),
        "it was integer and is number",
    ),
    "anything is sent": (("sent", TEXT, {}), "it was string and is anything"),
    "a further value is sent": (("sent", {"enum": ["a"]}, {"enum": ["a", "b"]}), "it can now also be 'b'"),
    "a value is sent no more": (("sent", {"enum": ["a", "b"]}, {"enum": ["a"]}), "it is 'b' no more"),
    "other values are sent": (("sent", {**TEXT, "const": "a"}, TEXT), "it can now be other than [\"'a'\"]"),
    "a longer text is sent": (("sent", {**TEXT, "maxLength": 3}, {**TEXT, "maxLength": 5}), "it has another maxLength"),
    "a text in another form is sent": (("sent", {**TEXT, "format": "uuid"}, TEXT), "it has another format"),
    "inside a list": (
        ("sent", {"type": "array", "items": TEXT}, {"type": "array", "items": {"type": "integer"}}),
        "it[] was string and is integer",
    ),
    "deep inside": (
        ("sent", an_object(a=an_object(b=TEXT)), an_object(a=an_object())),
        "it.a.b is gone",
    ),
    "in one of several kinds": (
        ("sent", {"oneOf": [CAT, an_object(meows=TEXT)]}, {"oneOf": [CAT, DOG]}),
        "it.meows is gone",
    ),
    "a property is needed": (("taken", an_object(a=TEXT), an_object("a", a=TEXT)), "it.a is now required"),
    "a further property is needed": (("taken", an_object(), an_object("a", a=TEXT)), "it.a is now required"),
    "a property is taken no more": (("taken", an_object(a=TEXT), an_object()), "it.a is gone"),
    "further properties are taken no more": (
        ("taken", an_object(), {**an_object(), "additionalProperties": False}),
        "it takes no further properties any more",
    ),
    "null is taken no more": (("taken", TEXT_OR_NULL, TEXT), "it is null no more"),
    "a value is taken no more": (("taken", {"enum": ["a", "b"]}, {"enum": ["a"]}), "it is 'b' no more"),
    "only some values are taken": (("taken", TEXT, {**TEXT, "enum": ["a"]}), "it takes only [\"'a'\"]"),
    "a shorter text is taken": (("taken", TEXT, {**TEXT, "maxLength": 5}), "it has another maxLength"),
    "a greater number is needed": (
        ("taken", {"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 2}),
        "it has another minimum",
    ),
    "a text of one form is taken": (("taken", TEXT, {**TEXT, "pattern": "^a$"}), "it has another pattern"),
    "another default": (
        ("taken", {"type": "integer", "default": 50}, {"type": "integer", "default": 100}),
        "it has another default",
    ),
}


@pytest.mark.parametrize("case", COMPATIBLE.values(), ids=COMPATIBLE)
def test_harmless_change_passes(case: Case) -> None:
    """Whoever relied on the old schema can live with the new one."""
    assert losses(*case) == []


@pytest.mark.parametrize(("case", "loss"), INCOMPATIBLE.values(), ids=INCOMPATIBLE)
def test_harmful_change_is_told(case: Case, loss: str) -> None:
    """In one sentence that says where, and what."""
    assert losses(*case) == [loss]


def test_schemas_that_contain_themselves_are_compared() -> None:
    """References are followed once on each way down."""
    tree = {"type": "object", "properties": {"below": {"$ref": "#/tree"}, "name": TEXT}}
    bare = {"type": "object", "properties": {"below": {"$ref": "#/tree"}}}

    found = list(
        Comparison(old={"tree": tree}, new={"tree": bare}, direction="sent").losses(
            {"$ref": "#/tree"}, {"$ref": "#/tree"}, "it"
        )
    )

    assert found == ["it.name is gone"]
