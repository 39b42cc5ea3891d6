"""What the real service refuses, and what this client makes of it."""

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


@pytest.mark.parametrize("key", ["nonsense", f"dgw_{'0' * 12}_{'0' * 64}"])
async def test_unknown_key_is_refused(key: str, engine: AsyncEngine, dots: MemoryDots) -> None:
    """A key that is wrong will not become right, so that nothing is repeated."""
    async with serving.service(engine, dots) as port, Gateway(serving.url(port), key) as gateway:
        with pytest.raises(KeyRefusedError, match="dots-gateway keys create") as raised:
            await take(gateway, 1)

    assert raised.value.status == 401


async def test_missing_scope_is_named(engine: AsyncEngine, dots: MemoryDots) -> None:
    """A good key for something else."""
    async with serving.client_of(engine, dots, scopes=("flows:read",)) as gateway:
        with pytest.raises(ScopeMissingError, match="events:read") as raised:
            await take(gateway, 1)

    assert raised.value.status == 403


async def test_checks_cannot_be_asked_for_without_compliance(engine: AsyncEngine, dots: MemoryDots) -> None:
    """A consumer made for verdicts does not wait for ever for what it will never be shown."""
    async with serving.client_of(engine, dots) as gateway:
        with pytest.raises(ScopeMissingError, match="compliance:read"):
            await take(gateway, 1, types=("dots.background_check.flagged",))


async def test_cursor_of_another_epoch(engine: AsyncEngine, dots: MemoryDots) -> None:
    """The database was restored: the error says so and what to do, and the cursor is left for a person to look at."""
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
    """Events were missed: only a consumer that is told can make up for it."""
    cursors = MemoryCursor()
    await feeding.feed(engine, step_events(5))
    async with serving.client_of(engine, dots) as gateway:
        await take(gateway, 2, cursors, page_size=1)
        await stored.execute(engine, "UPDATE feed SET expired_position = 3", "DELETE FROM events WHERE position <= 3")

        with pytest.raises(CursorExpiredError, match="up to date from GET /v1/flows") as raised:
            await take(gateway, 1, cursors)
        cursors.cursor = None
        from_the_start = await take(gateway, 2, cursors)

    assert raised.value.status == 410
    assert [event.sequence for event in from_the_start] == [4, 5]


async def test_unknown_type_is_named(engine: AsyncEngine, dots: MemoryDots) -> None:
    """A slip of the pen is told with the field and what there would be."""
    async with serving.client_of(engine, dots) as gateway:
        with pytest.raises(RequestRefusedError, match=r"types: matches no event type; the types are dots") as raised:
            await take(gateway, 1, types=("dots.flow.done",))

    assert (raised.value.status, raised.value.code) == (422, "invalid_fields")
    assert [field for field, _ in raised.value.fields] == ["types"]


STRANGERS = [
    (httpx.Response(401, html="<h1>Log in</h1>"), KeyRefusedError, "a proxy that wants a key of its own"),
    (httpx.Response(403), ScopeMissingError, "a proxy that lets nobody in"),
    (httpx.Response(302, headers={"Location": "/login"}), RequestRefusedError, "a proxy that wants people"),
    (httpx.Response(400, json=["no"]), RequestRefusedError, "JSON that is no problem document"),
    (httpx.Response(422, json={"errors": 5}), RequestRefusedError, "a document of another make"),
    (httpx.Response(200, html="<h1>Hello</h1>"), MalformedAnswerError, "a website"),
    (httpx.Response(200, json={"events": []}), MalformedAnswerError, "another service"),
    (httpx.Response(200, json=[]), MalformedAnswerError, "another service again"),
    (httpx.Response(200, json={"events": [{}], "next_cursor": "a"}), MalformedEventError, "events of another service"),
]


@pytest.mark.parametrize(("answer", "error", "name"), STRANGERS, ids=[name for *_, name in STRANGERS])
async def test_strangers_are_told_from_the_gateway(answer: httpx.Response, error: type[Exception], name: str) -> None:
    """A wrong URL, or a proxy in between, ends in an error of ours and not in a loop."""
    del name
    script = Script(answers=[answer])

    async with script.gateway() as gateway:
        with pytest.raises(error) as raised:
            await take(gateway, 1)

    assert type(raised.value) is error
    assert script.pauses == []


async def test_malformed_event_comes_after_the_good_ones() -> None:
    """What is before it in its page is handed out; what cannot be read is never passed over in silence."""
    broken = {"events": [envelope(1), envelope(2, data={"flow_id": 5})], "next_cursor": "a"}
    script, cursors = Script(answers=[httpx.Response(200, json=broken)]), MemoryCursor()

    async with script.gateway() as gateway:
        feed = gateway.events(cursors)
        first = await anext(feed)
        with pytest.raises(MalformedEventError):
            await anext(feed)

    assert first.sequence == 1
    assert cursors.cursor is None
