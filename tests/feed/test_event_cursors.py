from uuid import UUID

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app import cursors
from app.feed.cursor import Cursor
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.storage import stored

OTHER_EPOCH = Cursor(epoch=UUID(int=1), position=0)
MALFORMED = {
    "one character": "A",
    "not base64": "!" * 32,
    "not ASCII": "é" * 32,
    "with NUL": "\x00" * 32,
    "a position before the first": str(Cursor(epoch=UUID(int=1), position=-1)),
    "another list's": cursors.by_position("deliveries").write(0),
    "JSON": '{"position": 17}',
    "LATEST": "LATEST",
    "10,000 characters": "A" * 10_000,
}


async def ask(client: httpx.AsyncClient, cursor: str, path: str = "/v1/events") -> httpx.Response:
    """Request the events after a cursor."""
    return await client.get(path, params={"after": cursor})


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/stream"])
async def test_malformed_cursor_is_422(client: httpx.AsyncClient, path: str) -> None:
    """Malformed cursors are refused, also before a stream begins."""
    answers = {name: await ask(client, cursor, path) for name, cursor in MALFORMED.items()}

    assert {name: answer.status_code for name, answer in answers.items() if answer.status_code != 422} == {}
    assert {answer.json()["code"] for answer in answers.values()} == {"invalid_cursor"}


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/stream"])
async def test_cursor_of_another_epoch_is_409(client: httpx.AsyncClient, path: str) -> None:
    """A cursor from before a restore belongs to another feed."""
    answer = await ask(client, str(OTHER_EPOCH), path)

    assert (answer.status_code, answer.json()["code"]) == (409, "cursor_of_other_epoch")


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/stream"])
async def test_expired_cursor_is_410(client: httpx.AsyncClient, engine: AsyncEngine, path: str) -> None:
    """Events after the cursor were deleted, so the reader learns that it missed some."""
    await feeding.feed(engine, step_events(5))
    first = (await client.get("/v1/events", params={"limit": 1})).json()["next_cursor"]
    second = (await client.get("/v1/events", params={"limit": 2})).json()["next_cursor"]
    await stored.execute(engine, "UPDATE feed SET expired_position = 2", "DELETE FROM events WHERE position <= 2")

    expired = await ask(client, first, path)
    still_good = await client.get("/v1/events", params={"after": second})
    from_the_start = await client.get("/v1/events")

    assert (expired.status_code, expired.json()["code"]) == (410, "cursor_expired")
    assert [event["data"]["step"] for event in still_good.json()["events"]] == ["step-3", "step-4", "step-5"]
    assert from_the_start.json() == still_good.json()


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/stream"])
async def test_cursor_ahead_of_the_feed_is_422(client: httpx.AsyncClient, engine: AsyncEngine, path: str) -> None:
    """The feed has never issued a cursor after its own end."""
    epoch = (await stored.row(engine, "SELECT epoch FROM feed"))["epoch"]

    answers = [await ask(client, str(Cursor(epoch=epoch, position=position)), path) for position in (1, 2**63 - 1)]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(422, "invalid_cursor")}


async def test_last_event_id_overrides_after(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """A reconnecting stream repeats its first URL. Its current cursor is in the header."""
    await feeding.feed(engine, step_events(3))
    second = (await client.get("/v1/events", params={"limit": 2})).json()["next_cursor"]

    answer = await client.get("/v1/events", params={"after": "latest"}, headers={"Last-Event-ID": second})

    assert [event["data"]["step"] for event in answer.json()["events"]] == ["step-3"]


async def test_page_limits_are_checked(client: httpx.AsyncClient) -> None:
    """`limit` is 1 to 500, and `wait` is 0 to 30 seconds."""
    queries = ("limit=0", "limit=501", "limit=x", "wait=-1", "wait=31", "wait=nan", "wait=inf")
    answers = [await client.get(f"/v1/events?{query}") for query in queries]

    assert [answer.status_code for answer in answers] == [422] * len(queries)
    assert [problem["field"] for answer in answers for problem in answer.json()["errors"]] == [
        *("limit", "limit", "limit", "wait", "wait", "wait", "wait")
    ]
