import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.feed import read_feed
from app.server.gateway import Gateway
from tests.dots.fake_dots import NOW
from tests.feed import feeding
from tests.feed.feeding import step_events

DEADLINE_SECONDS = 10


async def page(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    """One page of the feed."""
    answer = await client.get("/v1/events", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def steps_of(found: dict[str, Any]) -> list[str]:
    """The steps that a page's events are about."""
    return [event["data"]["step"] for event in found["events"]]


async def test_event_is_a_cloudevent(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """The envelope is CloudEvents 1.0, the payload is thin."""
    await feeding.feed(engine, step_events(1))

    (event,) = (await page(client))["events"]

    assert event == {
        "specversion": "1.0",
        "id": "77429a64-d9ac-557a-98ef-8454bb13adac",
        "source": "/dots-gateway/default",
        "type": "dots.flow.step_completed",
        "subject": "flow/flow-1",
        "time": NOW.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "dataschema": "urn:dots-gateway:schemas/flow.step_completed/v1.json",
        "sequence": "1",
        "data": {"flow_id": "flow-1", "reference": "payee-17", "user_id": None, "step": "step-1"},
    }


async def test_empty_feed_gives_a_cursor(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """A reader who comes too early gets a place to go on from."""
    empty = await page(client)
    await feeding.feed(engine, step_events(1))

    assert (empty["events"], empty["has_more"]) == ([], False)
    assert steps_of(await page(client, after=empty["next_cursor"])) == ["step-1"]


async def test_pages_together_are_the_feed(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """Followed page by page every event comes once, in order, and `has_more` says when to go on at once."""
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
    """The steps on each page, the cursor followed while there is more."""
    pages: list[list[str]] = []
    query: dict[str, Any] = {"limit": limit}
    while True:
        found = await page(client, **query)
        pages.append(steps_of(found))
        query["after"] = found["next_cursor"]
        if not found["has_more"]:
            return pages


async def test_latest_is_only_what_comes(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """`after=latest` starts behind everything there is."""
    await feeding.feed(engine, step_events(2))
    start = await page(client, after="latest")
    await feeding.feed(engine, step_events(3)[2:], after_sequence=2)

    assert start["events"] == []
    assert steps_of(await page(client, after=start["next_cursor"])) == ["step-3"]


async def test_unsequenced_events_are_not_shown(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """What has no place yet might still come before something else."""
    await feeding.append(engine, step_events(2))

    assert (await page(client))["events"] == []


TYPES: list[tuple[Any, int]] = [
    ("dots.flow.step_completed", 3),
    ("dots.flow.*", 3),
    ("*", 3),
    ("dots.flow.created", 0),
    ("dots.flow.created,dots.flow.step_completed", 3),
    (["dots.user.*", "dots.flow.step_completed"], 3),
    (" dots.flow.created , dots.flow.completed", 0),
]


async def test_types_narrow(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """Types are given by commas or repeated, and a star stands for the rest."""
    await feeding.feed(engine, step_events(3))

    found = [(types, len((await page(client, types=types))["events"])) for types, _ in TYPES]

    assert found == TYPES


async def test_unknown_types_are_422(client: httpx.AsyncClient) -> None:
    """A type that cannot exist is a mistake worth telling."""
    unknown = ("dots", "dots.flow.complete", "DOTS.FLOW.CREATED", "*.created", "x*", ",")
    answers = [await client.get("/v1/events", params={"types": types}) for types in unknown]

    assert [answer.status_code for answer in answers] == [422] * len(unknown)
    assert {problem["field"] for answer in answers for problem in answer.json()["errors"]} == {"types"}


async def test_cursor_advances_past_what_is_filtered_out(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """A reader of rare events does not look through the same others again and again."""
    await feeding.feed(engine, step_events(5))

    found = await page(client, types="dots.flow.completed")

    assert (found["events"], found["has_more"]) == ([], False)
    assert found["next_cursor"] == (await page(client, after="latest"))["next_cursor"]


async def test_long_stretch_without_a_match_is_read_in_parts(
    client: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request looks through a bounded stretch, says that there is more, and the next goes on behind it."""
    monkeypatch.setattr(read_feed, "SCAN_LIMIT", 2)
    await feeding.feed(engine, step_events(5))

    first = await page(client, types="dots.flow.completed")
    second = await page(client, types="dots.flow.completed", after=first["next_cursor"])
    third = await page(client, types="dots.flow.completed", after=second["next_cursor"])

    assert [found["has_more"] for found in (first, second, third)] == [True, True, False]


async def test_long_poll_wakes_on_a_new_event(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """A waiting reader is answered when something comes, long before its time is over."""
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


async def test_long_poll_does_not_wake_for_others_events(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """An event of another type wakes nobody, but the cursor has moved past it at the end."""
    waiting = asyncio.create_task(page(client, wait=0.4, types="dots.flow.completed"))
    await asyncio.wait([waiting], timeout=0.1)
    await feeding.feed(engine, step_events(2))

    found = await asyncio.wait_for(waiting, DEADLINE_SECONDS)

    assert found["events"] == []
    assert found["next_cursor"] == (await page(client, after="latest"))["next_cursor"]


async def test_long_poll_ends_when_time_is_over(client: httpx.AsyncClient) -> None:
    """Nothing came: an empty page, and the cursor to come again with."""
    found = await asyncio.wait_for(page(client, wait=0.05), DEADLINE_SECONDS)

    assert (found["events"], found["has_more"]) == ([], False)


async def test_long_poll_does_not_wait_when_there_is_something(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """Events that are there are given at once."""
    await feeding.feed(engine, step_events(1))

    found = await asyncio.wait_for(page(client, wait=30), DEADLINE_SECONDS)

    assert steps_of(found) == ["step-1"]


async def test_long_poll_is_sent_home_at_the_end(client: httpx.AsyncClient, gateway: Gateway) -> None:
    """A process that ends answers those who wait, and says in /readyz that it is leaving."""
    waiting = asyncio.create_task(page(client, wait=30))
    await asyncio.wait([waiting], timeout=0.1)
    gateway.watch.close()

    found = await asyncio.wait_for(waiting, DEADLINE_SECONDS)
    ready = await client.get("/readyz")

    assert found["events"] == []
    assert (ready.status_code, ready.json()["code"]) == (503, "draining")
