"""The documents in `docs/` and those that the service serves."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest

from app.feed import event_schemas, events
from app.subscriptions.rules.subscriptions import TEST_TYPE
from tests.contracts import documents
from tests.contracts.documents import DOCS, Documents

WHAT_TO_DO = "run `make contracts`, read the difference, and commit it"


@pytest.fixture(scope="module")
def made() -> Documents:
    """The generated documents."""
    return asyncio.run(documents.made())


@pytest.fixture
async def anonymous() -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key, of a service without a database."""
    async with (
        documents.service() as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client,
    ):
        yield client


def test_docs_equal_the_generated_documents(made: Documents) -> None:
    """No file in `docs/` is stale, missing or left over."""
    kept = documents.files(DOCS)
    stale = [name for name in made if documents.text(made[name]) != documents.text(kept.get(name, {}))]

    assert stale == [], f"docs/ differs from the generated documents: {WHAT_TO_DO}"
    assert set(kept) == set(made), f"docs/ has missing or extra documents: {WHAT_TO_DO}"


def test_changed_contracts_have_a_new_version_and_a_line_in_the_changelog(made: Documents) -> None:
    """CHANGELOG.md has a line with the version and the digest of the documents."""
    changelog = (DOCS.parent / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    line = f"- Contracts {documents.version(made)} "

    found = [each[: len(documents.changelog_entry(made))] for each in changelog if each.startswith(line)]

    assert found == [documents.changelog_entry(made)], (
        f"{documents.changelog_entry(made)} is missing: if the version with another digest was released, "
        "change `version` in app/server/application.py; say in CHANGELOG.md what callers must change"
    )


def test_digest_depends_on_the_contracts_and_not_on_their_texts(made: Documents) -> None:
    """A reworded description needs no new version. A removed field does, even a field named `description`."""
    schemas = made["openapi.json"]["components"]["schemas"]

    def changed(fields: Mapping[str, object]) -> Documents:
        schema = {**schemas["SubscriptionResponse"], "properties": fields}
        components = {"schemas": {**schemas, "SubscriptionResponse": schema}}
        return {**made, "openapi.json": {**made["openapi.json"], "components": components}}

    fields = schemas["SubscriptionResponse"]["properties"]
    reworded = {name: {**field, "description": "Other words."} for name, field in fields.items()}
    shortened = {name: field for name, field in fields.items() if name != "description"}

    same = documents.digest(changed(fields))

    assert documents.digest(changed(reworded)) == same
    assert documents.digest(changed(shortened)) != same
    assert documents.digest({name: each for name, each in made.items() if "flow.completed" not in name}) != same


@pytest.mark.parametrize("name", ["openapi.json", "asyncapi.json"])
async def test_documents_are_served_without_a_key(anonymous: httpx.AsyncClient, made: Documents, name: str) -> None:
    """The service returns the generated document."""
    answer = await anonymous.get(f"/{name}")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == made[name]


async def test_every_event_type_has_a_schema_served_without_a_key(anonymous: httpx.AsyncClient) -> None:
    """The path is the part of `dataschema` after the prefix. No other type has a schema."""
    schemas = event_schemas.published()

    answers = {name: await anonymous.get(f"/schemas/events/{name}") for name in schemas}

    assert {f"dots.{name.partition('/')[0]}" for name in schemas} == {*events.TYPES, TEST_TYPE}
    assert {answer.headers["content-type"] for answer in answers.values()} == {"application/schema+json"}
    assert {name: answer.json() for name, answer in answers.items()} == schemas
    assert {name: schema["$id"] for name, schema in schemas.items()} == {
        name: f"urn:dots-gateway:schemas/{name}" for name in schemas
    }


async def test_unknown_schemas_answer_404(anonymous: httpx.AsyncClient) -> None:
    """An unknown version or type, and a path outside the schemas."""
    paths = ["flow.completed/v2.json", "nonsense/v1.json", "../openapi/v1.json", "%2e%2e/v1.json"]

    answers = [await anonymous.get(f"/schemas/events/{path}") for path in paths]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "not_found")] * 4
