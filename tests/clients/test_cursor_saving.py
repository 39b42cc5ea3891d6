import asyncio
from contextlib import aclosing, suppress

import httpx
import pytest

from dots_gateway_client import Gateway, MemoryCursor, StepCompleted
from tests.clients.following import first, steps, steps_of, take
from tests.clients.script import Script, page


class RecordingCursor(MemoryCursor):
    """A cursor that records every save."""

    def __init__(self, cursor: str | None = None) -> None:
        """Start without saves."""
        super().__init__(cursor)
        self.saved: list[str] = []

    async def save(self, cursor: str) -> None:
        """Record the cursor and save it."""
        self.saved.append(cursor)
        await super().save(cursor)


async def test_cursor_is_saved_when_the_consumer_asks_for_the_next_event() -> None:
    """The last event of the page is then handled. Neither its arrival nor its delivery to the loop saves the cursor."""
    cursors, saved_at = RecordingCursor(), list[tuple[str, list[str]]]()
    script = Script(answers=[page(1, 2, cursor="a"), page(3, cursor="b"), page(4, cursor="c")])

    async with script.gateway() as gateway, aclosing(gateway.events(cursors)) as feed:
        async for event in feed:
            assert isinstance(event, StepCompleted)
            saved_at.append((event.step, list(cursors.saved)))
            if event.step == "step-4":
                break

    assert saved_at == [("step-1", []), ("step-2", []), ("step-3", ["a"]), ("step-4", ["a", "b"])]
    assert cursors.saved == ["a", "b"], "the consumer stopped at the last event"


async def test_consumer_that_failed_gets_its_event_again() -> None:
    """The cursor does not pass an event whose handling failed."""

    async def fail_at_second(gateway: Gateway) -> None:
        async with aclosing(gateway.events(cursors)) as feed:
            async for event in feed:
                1 // (2 - event.sequence)

    cursors = RecordingCursor("0")
    script = Script(answers=[page(1, 2, cursor="a"), page(1, 2, cursor="a")])

    async with script.gateway() as gateway:
        with pytest.raises(ZeroDivisionError):
            await fail_at_second(gateway)
        again = await take(gateway, 2, cursors)

    assert cursors.saved == []
    assert steps_of(again) == steps(1, 2)
    assert [request.url.params["after"] for request in script.requests] == ["0", "0"]


async def test_consumer_continues_from_the_stored_cursor() -> None:
    """The request has the cursor, the page size and the types."""
    script = Script(answers=[page(8, cursor="b")])

    async with script.gateway() as gateway:
        await take(gateway, 1, MemoryCursor("a"), types=("dots.flow.*", "dots.user.*"), page_size=7)

    assert dict(script.requests[0].url.params) == {
        "after": "a",
        "limit": "7",
        "wait": "25",
        "types": "dots.flow.*,dots.user.*",
    }


async def test_latest_saves_a_cursor_before_it_waits() -> None:
    """After a broken connection it continues from that cursor. A second "latest" would skip events."""
    cursors = RecordingCursor()
    script = Script(answers=[page(cursor="a"), httpx.ReadError("cut"), page(1, cursor="b")])

    async with script.gateway() as gateway:
        await first(gateway.events(cursors, start="latest"), 1)

    queries = [(request.url.params["after"], request.url.params["wait"]) for request in script.requests]
    assert queries == [("latest", "0"), ("a", "25"), ("a", "25")]
    assert cursors.saved == ["a"]


async def test_unchanged_cursor_is_not_saved_again() -> None:
    """A consumer of an idle feed does not write to its disk twice a minute."""
    cursors = RecordingCursor("a")
    script = Script(
        answers=[page(cursor="a"), page(cursor="a"), page(cursor="b"), page(cursor="b"), page(1, cursor="c")]
    )

    async with script.gateway() as gateway:
        await take(gateway, 1, cursors)

    assert cursors.saved == ["b"]


async def test_failing_store_stops_the_consumer() -> None:
    """Otherwise the unsaved cursor would go unnoticed until the next restart."""

    class BrokenCursor(MemoryCursor):
        async def save(self, cursor: str) -> None:
            raise OSError(cursor)

    script = Script(answers=[page(1, cursor="a")])

    async with script.gateway() as gateway:
        with pytest.raises(OSError, match="a"):
            await take(gateway, 2, BrokenCursor())


async def test_consumer_can_be_cancelled_while_it_waits() -> None:
    """The cursor after the handled events is saved."""
    cursors, is_waiting = RecordingCursor(), asyncio.Event()

    class Silent(Script):
        async def __call__(self, request: httpx.Request) -> httpx.Response:
            if not self.answers:
                is_waiting.set()
                await asyncio.Event().wait()
            return await super().__call__(request)

    async with Silent(answers=[page(1, cursor="a")]).gateway() as gateway:
        following = asyncio.create_task(take(gateway, 2, cursors))
        await is_waiting.wait()
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following

    assert cursors.saved == ["a"]
