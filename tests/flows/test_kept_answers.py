"""Stored answers for repeats with a key, and how long they are kept."""

import json
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from app.upkeep.purge_expired import Retention, purge_expired
from tests.all_inputs import AllInputs, HandClock
from tests.dots.memory_dots import MemoryDots, refusal
from tests.storage import stored

DAY = timedelta(days=1)
RETENTION = Retention(bodies=30 * DAY, webhooks=120 * DAY, refreshes=30 * DAY, answers=DAY, events=90 * DAY)


async def create(client: httpx.AsyncClient, key: str | None = "key-1") -> httpx.Response:
    """Create a flow with a key."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post("/v1/flows", json={"steps": ["compliance"]}, headers=headers)


async def complete(client: httpx.AsyncClient, dots: MemoryDots, flow: dict[str, Any]) -> None:
    """Complete the flow at Dots, and refresh it."""
    dots.flows[flow["id"]]["completed_steps"] = ["compliance"]
    await client.post(f"/v1/flows/{flow['id']}/refresh")


async def test_after_a_day_a_repeat_gets_the_flow_as_it_is(
    client: httpx.AsyncClient, dots: MemoryDots, clock: HandClock
) -> None:
    """The key still identifies its flow, but the first answer is no longer used."""
    first = await create(client)
    await complete(client, dots, first.json())
    clock.advance(DAY - timedelta(seconds=1))
    within = await create(client)
    clock.advance(timedelta(seconds=1))
    after = await create(client)

    assert within.content == first.content
    assert (after.status_code, after.json()["id"], after.json()["status"]) == (201, first.json()["id"], "completed")
    assert after.headers["idempotent-replayed"] == "true"
    assert len(dots.posts) == 1


async def test_old_answers_are_purged(
    client: httpx.AsyncClient, engine: AsyncEngine, inputs: AllInputs, clock: HandClock
) -> None:
    """Answers hold the secret link, so they are deleted once they are no longer used."""
    await create(client)
    clock.advance(DAY)
    await create(client, "key-2")
    clock.advance(timedelta(seconds=1))

    purged = await purge_expired(inputs, RETENTION)

    assert (purged, await stored.count(engine, "answers")) == (1, 1)


async def test_without_a_key_no_answer_is_stored(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """A request without a key cannot be repeated."""
    await create(client, key=None)

    assert await stored.count(engine, "answers") == 0


async def test_answer_with_other_fields_is_repeated(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """An answer of an earlier release is repeated unchanged."""
    await create(client)
    was = {"id": "f1", "status": "open", "of_old": [1.0, None]}
    await stored.execute(engine, "UPDATE answers SET answer = CAST(:was AS json)", was=json.dumps(was))

    again = await create(client)

    assert (again.status_code, again.json()) == (201, was)


async def test_answer_of_another_version_is_not_used(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """If answers of an earlier version cannot be sent, a repeat gets the flow as it is."""
    first = await create(client)
    await stored.execute(engine, "UPDATE answers SET version = 0, answer = '{}'")

    again = await create(client)

    assert again.json() == first.json()


async def test_refusal_stays_final_without_a_stored_answer(
    client: httpx.AsyncClient, dots: MemoryDots, clock: HandClock
) -> None:
    """The reason of the failure stays with the flow, so the request is not sent again."""
    dots.faults = [refusal(422, "user-info-missing")]
    first = await create(client)
    clock.advance(30 * DAY)

    again = await create(client)

    assert (again.status_code, again.content) == (422, first.content)
    assert len(dots.posts) == 1
