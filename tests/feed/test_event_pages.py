import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.feed import read_feed
from app.server.gateway import Gateway
from tests.feed import feeding
from tests.feed.feeding import step_events

DEADLINE_SECONDS = 10


async def page(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    """One page of the feed."""
    answer = await client.get("/v1/events", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def steps_of(found: dict[str, Any]) -> list[str]:
    """The steps of a page's events."""
    return [event["data"]["step"] for event in found["events"]]


async def test_empty_feed_gives_a_cursor(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """A reader of an empty feed gets a cursor to continue from."""
    empty = await page(client)
    await feeding.feed(engine, step_events(1))

    assert (empty["events"], empty["has_more"]) == ([], False)
    assert steps_of(await page(client, after=empty["next_cursor"])) == ["step-1"]


async def test_pages_together_are_the_feed(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """Pages of any size return each event once, in order, and `has_more` is true until the last page."""
    await feeding.feed(engine, step_events(5))
    pages = {limit: await follow(client, limit) for limit in (1, 2, 3, 5, 100)}

    assert pages == {
        1: [["step-1"], ["step-2"], ["step-3"], ["step-4"], ["step-5"]],
        2: [["step-1", "step-2"], ["step-3", "step-4"], ["step-5"]],
        3: [["step-1", "step-2", "step-3"], ["step-4", "step-5"]],
        5: [["step-1", "step-2", "step-3", "step-4", "step-5"]],
        100: [["step-1", "step-2", "step-3", "step-4", "step-5"]],
    }


async def follow(client: httpx.AsyncClient, limit: int) -> list[list[str]]:
    """The steps on each page, read until `has_more` is false."""
    pages: list[list[str]] = []
    query: dict[str, Any] = {"limit": limit}
    while True:
        found = await page(client, **query)
        pages.append(steps_of(found))
        query["after"] = found["next_cursor"]
        if not found["has_more"]:
            return pages


async def test_latest_returns_only_later_events(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """`after=latest` starts after the last event."""
    await feeding.feed(engine, step_events(2))
    start = await page(client, after="latest")
    await feeding.feed(engine, step_events(3)[2:], after_sequence=2)

    assert start["events"] == []
    assert steps_of(await page(client, after=start["next_cursor"])) == ["step-3"]


TYPES: list[tuple[Any, int]] = [
    ("dots.flow.step_completed", 3),
    ("dots.flow.*", 3),
    ("*", 3),
    ("dots.flow.created", 0),
    ("dots.flow.created,dots.flow.step_completed", 3),
    (["dots.user.*", "dots.flow.step_completed"], 3),
    (" dots.flow.created , dots.flow.completed", 0),
]


async def test_types_filter_events(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """Types are separated by commas or repeated, and a star at the end matches any rest."""
    await feeding.feed(engine, step_events(3))

    found = [(types, len((await page(client, types=types))["events"])) for types, _ in TYPES]

    assert found == TYPES


async def test_unknown_types_are_422(client: httpx.AsyncClient) -> None:
    """A pattern that matches no type is an error."""
    unknown = ("dots", "dots.flow.complete", "DOTS.FLOW.CREATED", "*.created", "x*", ",")
    answers = [await client.get("/v1/events", params={"types": types}) for types in unknown]

    assert [answer.status_code for answer in answers] == [422] * len(unknown)
    assert {problem["field"] for answer in answers for problem in answer.json()["errors"]} == {"types"}


async def test_cursor_advances_past_filtered_events(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """A reader of rare events does not search the same events again."""
    await feeding.feed(engine, step_events(5))

    found = await page(client, types="dots.flow.completed")

    assert (found["events"], found["has_more"]) == ([], False)
    assert found["next_cursor"] == (await page(client, after="latest"))["next_cursor"]


async def test_long_search_is_split_into_pages(
    client: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request searches a bounded number of positions, and the next continues after them."""
    monkeypatch.setattr(read_feed, "SCAN_LIMIT", 2)
    await feeding.feed(engine, step_events(5))

    first = await page(client, types="dots.flow.completed")
    second = await page(client, types="dots.flow.completed", after=first["next_cursor"])
    third = await page(client, types="dots.flow.completed", after=second["next_cursor"])

    assert [found["has_more"] for found in (first, second, third)] == [True, True, False]


async def test_long_poll_wakes_on_a_new_event(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """A waiting reader gets a new event long before its wait ends."""
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(page(client, wait=30))
    await asyncio.wait([waiting], timeout=0.2)
    was_waiting = not waiting.done()
    began = loop.time()
    await feeding.feed(engine, step_events(1))

    found = await asyncio.wait_for(waiting, DEADLINE_SECONDS)

    assert was_waiting
    assert steps_of(found) == ["step-1"]
    assert loop.time() - began < 5


async def test_long_poll_ignores_filtered_events(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """An event of another type does not end the wait. The empty page's cursor has moved past it."""
    waiting = asyncio.create_task(page(client, wait=0.2, types="dots.flow.completed"))
    await asyncio.wait([waiting], timeout=0.05)
    await feeding.feed(engine, step_events(2))

    found = await asyncio.wait_for(waiting, DEADLINE_SECONDS)

    assert (found["events"], found["has_more"]) == ([], False)
    assert found["next_cursor"] == (await page(client, after="latest"))["next_cursor"]


async def test_long_poll_returns_stored_events_immediately(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """A reader does not wait if there are events."""
    await feeding.feed(engine, step_events(1))

    found = await asyncio.wait_for(page(client, wait=30), DEADLINE_SECONDS)

    assert steps_of(found) == ["step-1"]


async def test_long_poll_ends_when_the_process_drains(client: httpx.AsyncClient, gateway: Gateway) -> None:
    """A draining process answers waiting readers, and /readyz reports that it drains."""
    waiting = asyncio.create_task(page(client, wait=30))
    await asyncio.wait([waiting], timeout=0.1)
    gateway.watch.close()

    found = await asyncio.wait_for(waiting, DEADLINE_SECONDS)
    ready = await client.get("/readyz")

    assert found["events"] == []
    assert (ready.status_code, ready.json()["code"]) == (503, "draining")
