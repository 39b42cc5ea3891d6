"""The documents in `docs/` and those that the service serves."""

from collections.abc import AsyncIterator, Mapping

import httpx
import pytest

from app.feed import event_schemas, events
from app.subscriptions.rules.subscriptions import TEST_TYPE
from tests.contracts import documents
from tests.contracts.documents import DOCS, Documents

WHAT_TO_DO = "run `make contracts`, read the difference, and commit it"


@pytest.fixture
async def made() -> Documents:
    """The documents of now."""
    return await documents.made()


@pytest.fixture
async def stranger() -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key, of a service without a database."""
    async with (
        documents.service() as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client,
    ):
        yield client


async def test_docs_are_what_the_service_says(made: Documents) -> None:
    """The files in `docs/` are current."""
    kept = documents.files(DOCS)
    stale = [name for name in made if documents.text(made[name]) != documents.text(kept.get(name, {}))]

    assert stale == [], f"docs/ is not what the service says: {WHAT_TO_DO}"
    assert set(kept) == set(made), f"docs/ has other documents than the service: {WHAT_TO_DO}"


async def test_changed_contracts_have_a_new_version_and_a_line_in_the_changelog(made: Documents) -> None:
    """One line of the changelog names the version and its digest, so that no contract changes unnoticed."""
    changelog = (DOCS.parent / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    line = f"- Contracts {documents.version(made)} "

    found = [each[: len(documents.changelog_entry(made))] for each in changelog if each.startswith(line)]

    assert found == [documents.changelog_entry(made)], (
        f"{documents.changelog_entry(made)} is missing: if the version with another digest was released, "
        "change `version` in app/server/application.py; say in CHANGELOG.md what callers must change"
    )


async def test_digest_follows_the_contracts_and_not_their_words(made: Documents) -> None:
    """A better sentence needs no new version. A field that is gone does, even one called `description`."""
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
async def test_documents_are_served_to_everybody(stranger: httpx.AsyncClient, made: Documents, name: str) -> None:
    """A caller needs no key and gets the document unchanged."""
    answer = await stranger.get(f"/{name}")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == made[name]


@pytest.mark.parametrize("event_type", [*events.TYPES, TEST_TYPE])
async def test_schema_of_every_event_is_served_to_everybody(stranger: httpx.AsyncClient, event_type: str) -> None:
    """The path is the part of `dataschema` after the prefix."""
    name, schema = event_schemas.of_type(event_type)

    answer = await stranger.get(f"/schemas/events/{name}")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/schema+json")
    assert answer.json() == schema
    assert schema["$id"] == f"urn:dots-gateway:schemas/{name}"


@pytest.mark.parametrize("path", ["flow.completed/v2.json", "nonsense/v1.json", "../openapi/v1.json", "%2e%2e/v1.json"])
async def test_schemas_that_are_not_there_are_404(stranger: httpx.AsyncClient, path: str) -> None:
    """A path serves a published schema or nothing."""
    answer = await stranger.get(f"/schemas/events/{path}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_there_is_a_schema_for_every_type_and_none_for_others() -> None:
    """`app/feed/event_schemas.py` describes every event type and no other."""
    named = {f"dots.{name.partition('/')[0]}" for name in event_schemas.published()}

    assert named == {*events.TYPES, TEST_TYPE}
