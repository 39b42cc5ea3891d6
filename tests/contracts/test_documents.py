"""The documents in the repository, and those that the service serves."""

from collections.abc import AsyncIterator

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
    """Who reads the repository reads what callers are told."""
    kept = documents.files(DOCS)
    stale = [name for name in made if documents.text(made[name]) != documents.text(kept.get(name, {}))]

    assert stale == [], f"docs/ is not what the service says: {WHAT_TO_DO}"
    assert set(kept) == set(made), f"docs/ has other documents than the service: {WHAT_TO_DO}"


@pytest.mark.parametrize("name", ["openapi.json", "asyncapi.json"])
async def test_documents_are_served_to_everybody(stranger: httpx.AsyncClient, made: Documents, name: str) -> None:
    """Without a key, word for word."""
    answer = await stranger.get(f"/{name}")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == made[name]


@pytest.mark.parametrize("event_type", [*events.TYPES, TEST_TYPE])
async def test_schema_of_every_event_is_served_to_everybody(stranger: httpx.AsyncClient, event_type: str) -> None:
    """At the path that its `dataschema` names behind the prefix."""
    name, schema = event_schemas.of_type(event_type)

    answer = await stranger.get(f"/schemas/events/{name}")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/schema+json")
    assert answer.json() == schema
    assert schema["$id"] == f"urn:dots-gateway:schemas/{name}"


@pytest.mark.parametrize("path", ["flow.completed/v2.json", "nonsense/v1.json", "../openapi/v1.json", "%2e%2e/v1.json"])
async def test_schemas_that_are_not_there_are_404(stranger: httpx.AsyncClient, path: str) -> None:
    """Only what is published is served, whatever else lies about."""
    answer = await stranger.get(f"/schemas/events/{path}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_there_is_a_schema_for_every_type_and_none_for_others() -> None:
    """A type that is added, or taken away, must be so in `app/feed/published` too."""
    named = {f"dots.{name.partition('/')[0]}" for name in event_schemas.published()}

    assert named == {*events.TYPES, TEST_TYPE}
