import asyncio
from contextlib import aclosing, suppress

import httpx
import pytest

from dots_gateway_client import Gateway, MemoryCursor, StepCompleted
from tests.clients.following import first, steps, steps_of, take
from tests.clients.script import Script, page


class NotingCursor(MemoryCursor):
    """A cursor that remembers every save."""

    def __init__(self, cursor: str | None = None) -> None:
        """Begin without any."""
        super().__init__(cursor)
        self.saved: list[str] = []

    async def save(self, cursor: str) -> None:
        """Note it too."""
        self.saved.append(cursor)
        await super().save(cursor)


async def test_cursor_is_saved_when_the_consumer_has_come_back() -> None:
    """Not when the page has come, nor when its last event is handed out: only when that one has been handled."""
    cursors, saved_at = NotingCursor(), list[tuple[str, list[str]]]()
    script = Script(answers=[page(1, 2, cursor="a"), page(3, cursor="b"), page(4, cursor="c")])

    async with script.gateway() as gateway, aclosing(gateway.events(cursors)) as feed:
        async for event in feed:
            assert isinstance(event, StepCompleted)
            saved_at.append((event.step, list(cursors.saved)))
            if event.step == "step-4":
                break

    assert saved_at == [("step-1", []), ("step-2", []), ("step-3", ["a"]), ("step-4", ["a", "b"])]
    assert cursors.saved == ["a", "b"], "the last event was not come back from"


async def test_consumer_that_broke_gets_its_event_again() -> None:
    """An event whose handling failed is behind no cursor."""

    async def break_at_second(gateway: Gateway) -> None:
        async with aclosing(gateway.events(cursors)) as feed:
            async for event in feed:
                1 // (2 - event.sequence)

    cursors = NotingCursor("0")
    script = Script(answers=[page(1, 2, cursor="a"), page(1, 2, cursor="a")])

    async with script.gateway() as gateway:
        with pytest.raises(ZeroDivisionError):
            await break_at_second(gateway)
        again = await take(gateway, 2, cursors)

    assert cursors.saved == []
    assert steps_of(again) == steps(1, 2)
    assert [request.url.params["after"] for request in script.requests] == ["0", "0"]


async def test_consumer_goes_on_from_the_stored_cursor() -> None:
    """Also when the store is all that is left of its earlier life."""
    script = Script(answers=[page(8, cursor="b")])

    async with script.gateway() as gateway:
        await take(gateway, 1, MemoryCursor("a"), types=("dots.flow.*", "dots.user.*"), page_size=7)

    assert dict(script.requests[0].url.params) == {
        "after": "a",
        "limit": "7",
        "wait": "25",
        "types": "dots.flow.*,dots.user.*",
    }


async def test_latest_is_a_place_before_it_is_waited_at() -> None:
    """A wait that breaks off is taken up from that place; another "latest" would be behind what came meanwhile."""
    cursors = NotingCursor()
    script = Script(answers=[page(cursor="a"), httpx.ReadError("cut"), page(1, cursor="b")])

    async with script.gateway() as gateway:
        await first(gateway.events(cursors, start="latest"), 1)

    asked = [(request.url.params["after"], request.url.params["wait"]) for request in script.requests]
    assert asked == [("latest", "0"), ("a", "25"), ("a", "25")]
    assert cursors.saved == ["a"]


async def test_nothing_new_is_not_saved_again() -> None:
    """A consumer of a silent feed does not write to its disk twice a minute."""
    cursors = NotingCursor("a")
    script = Script(
        answers=[page(cursor="a"), page(cursor="a"), page(cursor="b"), page(cursor="b"), page(1, cursor="c")]
    )

    async with script.gateway() as gateway:
        await take(gateway, 1, cursors)

    assert cursors.saved == ["b"]


async def test_store_that_fails_stops_the_consumer() -> None:
    """Going on without a place would look like success until the next restart."""

    class BrokenCursor(MemoryCursor):
        async def save(self, cursor: str) -> None:
            raise OSError(cursor)

    script = Script(answers=[page(1, cursor="a")])

    async with script.gateway() as gateway:
        with pytest.raises(OSError, match="a"):
            await take(gateway, 2, BrokenCursor())


async def test_consumer_may_be_cancelled_while_it_waits() -> None:
    """A service that ends while nothing happens leaves the place of what it has handled."""
    cursors, is_waiting = NotingCursor(), asyncio.Event()

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
