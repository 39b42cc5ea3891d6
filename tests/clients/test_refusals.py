"""The client's errors for refusals of the real service, and for answers that are not from the gateway."""

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from dots_gateway_client import (
    CursorExpiredError,
    CursorOfOtherEpochError,
    Gateway,
    KeyRefusedError,
    MalformedAnswerError,
    MalformedEventError,
    MemoryCursor,
    RequestRefusedError,
    ScopeMissingError,
)
from tests.clients import serving
from tests.clients.following import take
from tests.clients.script import Script, envelope
from tests.dots.memory_dots import MemoryDots
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.storage import stored


async def test_unknown_key_is_refused(engine: AsyncEngine, dots: MemoryDots) -> None:
    """The client does not retry. The message says how to create a key."""
    async with (
        serving.service(engine, dots) as port,
        Gateway(serving.url(port), f"dgw_{'0' * 12}_{'0' * 64}") as gateway,
    ):
        with pytest.raises(KeyRefusedError, match="dots-gateway keys create") as raised:
            await take(gateway, 1)

    assert raised.value.status == 401


@pytest.mark.parametrize(
    ("scopes", "types", "missing"),
    [
        (("flows:read",), (), "events:read"),
        (serving.READER, ("dots.background_check.flagged",), "compliance:read"),
    ],
)
async def test_error_names_the_missing_scope(
    scopes: tuple[str, ...], types: tuple[str, ...], missing: str, engine: AsyncEngine, dots: MemoryDots
) -> None:
    """Of the feed, and of the events about verdicts."""
    async with serving.client_of(engine, dots, scopes=scopes) as gateway:
        with pytest.raises(ScopeMissingError, match=missing) as raised:
            await take(gateway, 1, types=types)

    assert raised.value.status == 403


async def test_cursor_of_another_epoch(engine: AsyncEngine, dots: MemoryDots) -> None:
    """After a restore of the database the error says what to do. The stored cursor does not change."""
    cursors = MemoryCursor()
    await feeding.feed(engine, step_events(3))
    async with serving.client_of(engine, dots) as gateway:
        await take(gateway, 2, cursors, page_size=1)
        before = cursors.cursor
        await stored.execute(engine, "UPDATE feed SET epoch = gen_random_uuid()")

        with pytest.raises(CursorOfOtherEpochError, match="Delete the stored cursor") as raised:
            await take(gateway, 1, cursors)

    assert raised.value.status == 409
    assert before is not None
    assert cursors.cursor == before


async def test_expired_cursor(engine: AsyncEngine, dots: MemoryDots) -> None:
    """The error tells the consumer that it has missed events, and what to do."""
    cursors = MemoryCursor()
    await feeding.feed(engine, step_events(5))
    async with serving.client_of(engine, dots) as gateway:
        await take(gateway, 2, cursors, page_size=1)
        await stored.execute(engine, "UPDATE feed SET expired_position = 3", "DELETE FROM events WHERE position <= 3")

        with pytest.raises(CursorExpiredError, match="Update your records from GET /v1/flows") as raised:
            await take(gateway, 1, cursors)
        cursors.cursor = None
        from_the_start = await take(gateway, 2, cursors)

    assert raised.value.status == 410
    assert [event.sequence for event in from_the_start] == [4, 5]


async def test_unknown_type_is_refused(engine: AsyncEngine, dots: MemoryDots) -> None:
    """The error names the field and lists the event types."""
    async with serving.client_of(engine, dots) as gateway:
        with pytest.raises(RequestRefusedError, match=r"types: matches no event type; the types are dots") as raised:
            await take(gateway, 1, types=("dots.flow.done",))

    assert (raised.value.status, raised.value.code) == (422, "invalid_fields")
    assert [field for field, _ in raised.value.fields] == ["types"]


FOREIGN_ANSWERS = {
    "a proxy that needs another key": (httpx.Response(401, html="<h1>Log in</h1>"), KeyRefusedError),
    "a proxy that forbids the request": (httpx.Response(403), ScopeMissingError),
    "a redirect to a login page": (httpx.Response(302, headers={"Location": "/login"}), RequestRefusedError),
    "JSON other than a problem document": (httpx.Response(400, json=["no"]), RequestRefusedError),
    "another problem document": (httpx.Response(422, json={"errors": 5}), RequestRefusedError),
    "a website": (httpx.Response(200, html="<h1>Hello</h1>"), MalformedAnswerError),
    "a page without a cursor": (httpx.Response(200, json={"events": []}), MalformedAnswerError),
    "an array": (httpx.Response(200, json=[]), MalformedAnswerError),
    "foreign events": (httpx.Response(200, json={"events": [{}], "next_cursor": "a"}), MalformedEventError),
}


@pytest.mark.parametrize(("answer", "error"), FOREIGN_ANSWERS.values(), ids=FOREIGN_ANSWERS)
async def test_answers_of_other_servers_are_errors(answer: httpx.Response, error: type[Exception]) -> None:
    """With a wrong URL or a proxy the client raises its own error and does not retry."""
    script = Script(answers=[answer])

    async with script.gateway() as gateway:
        with pytest.raises(error) as raised:
            await take(gateway, 1)

    assert type(raised.value) is error
    assert script.pauses == []


async def test_malformed_event_is_an_error_after_the_events_before_it() -> None:
    """The client yields the earlier events of the page and does not skip the malformed one."""
    broken = {"events": [envelope(1), envelope(2, data={"flow_id": 5})], "next_cursor": "a"}
    script, cursors = Script(answers=[httpx.Response(200, json=broken)]), MemoryCursor()

    async with script.gateway() as gateway:
        feed = gateway.events(cursors)
        first = await anext(feed)
        with pytest.raises(MalformedEventError):
            await anext(feed)

    assert first.sequence == 1
    assert cursors.cursor is None
