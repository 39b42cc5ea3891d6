import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.contracts import documents
from tests.contracts.test_examples import complaints, operations

Json = Mapping[str, Any]

NPM = Path(__file__).parent / "npm"


@pytest.fixture(scope="module")
def openapi() -> Json:
    """The document in `docs/`, which another test keeps current."""
    return documents.openapi()


def described(openapi: Json) -> Iterator[tuple[str, Json]]:
    """Every parameter and every field of every schema, however deep, with its name."""
    for name, operation in operations(openapi):
        for parameter in operation.get("parameters", []):
            yield f"{name}: {parameter['name']}", parameter
    yield from fields("", openapi["components"]["schemas"])


def fields(name: str, node: object) -> Iterator[tuple[str, Json]]:
    """Every field below a node, with its path."""
    if isinstance(node, dict):
        for field, schema in node.get("properties", {}).items():
            yield f"{name}.{field}", schema
        for key, value in node.items():
            if key != "examples":
                yield from fields(f"{name}.{key}", value)
    if isinstance(node, list):
        for value in node:
            yield from fields(name, value)


def example_of(holder: Json) -> Any:
    """The first example of a parameter or field; None without one."""
    if "example" in holder:
        return holder["example"]
    return next(iter(holder.get("examples") or holder.get("schema", {}).get("examples", [])), None)


def test_every_operation_has_a_verb_an_object_and_a_description(openapi: Json) -> None:
    """The summary is a verb and an object. The id begins with the same verb and suits a generated client."""
    wrong = [
        name
        for name, operation in operations(openapi)
        if not re.fullmatch(r"[A-Z][a-z]+( [A-Za-z]+)+", operation["summary"])
        or not re.fullmatch(rf"{operation['summary'].split()[0].lower()}([A-Z][a-z]+)+", operation["operationId"])
        or not operation.get("description")
    ]

    assert wrong == []
    ids = [operation["operationId"] for _name, operation in operations(openapi)]
    assert len(set(ids)) == len(ids)


def test_every_parameter_and_field_has_a_description_and_an_example(openapi: Json) -> None:
    """Write a text below the field. If its schema's example has no value for it, add one to `examples.NAMED`."""
    found = list(described(openapi))

    assert [name for name, holder in found if not holder.get("description")] == []
    assert [name for name, holder in found if example_of(holder) is None] == []
    assert len(found) > 200


def test_examples_of_fields_are_valid(openapi: Json) -> None:
    """The example of each field and parameter fits its schema."""
    wrong = [
        f"{name}: {complaint}"
        for name, holder in described(openapi)
        for complaint in complaints(openapi, holder.get("schema", holder), example_of(holder))
    ]

    assert wrong == []


def test_quantities_name_their_unit(openapi: Json) -> None:
    """A duration says in which unit it is, and a time that it is UTC."""
    wrong = [
        name
        for name, holder in fields("", openapi["components"]["schemas"])
        if (name.endswith("_ms") and "milliseconds" not in holder["description"])
        or (name.endswith(("_at", ".time", ".at", "_since")) and "UTC" not in holder["description"])
    ]

    assert wrong == []


def test_spectral_reports_nothing(openapi: Json, tmp_path: Path) -> None:
    """Spectral's rules for OpenAPI accept the document, and reject one without a description and a contact."""
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps({**openapi, "info": {"title": "broken", "version": "1"}}), encoding="utf-8")
    program, rules = NPM / "node_modules" / ".bin" / "spectral", NPM / "spectral.json"

    done = subprocess.run(
        [program, "lint", "--quiet", "--format", "json", "--ruleset", rules, documents.DOCS / "openapi.json", broken],
        capture_output=True,
        check=False,
        timeout=60,
    )

    found = [(Path(problem["source"]).name, problem["code"]) for problem in json.loads(done.stdout)]
    assert found == [("broken.json", "info-contact"), ("broken.json", "info-description")]
