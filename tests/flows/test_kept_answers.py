"""What a key answers with, and for how long."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.upkeep.purge_expired import Retention, purge_expired
from tests.all_inputs import AllInputs, HandClock
from tests.dots.memory_dots import MemoryDots, refusal
from tests.storage import stored

DAY = timedelta(days=1)
RETENTION = Retention(bodies=30 * DAY, webhooks=120 * DAY, refreshes=30 * DAY, answers=DAY, events=90 * DAY)


async def create(client: httpx.AsyncClient, key: str | None = "key-1") -> httpx.Response:
    """Create a flow under a key."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post("/v1/flows", json={"steps": ["compliance"]}, headers=headers)


async def complete(client: httpx.AsyncClient, dots: MemoryDots, flow: dict[str, Any]) -> None:
    """Have the payee complete the flow, and the gateway see it."""
    dots.flows[flow["id"]]["completed_steps"] = ["compliance"]
    await client.post(f"/v1/flows/{flow['id']}/refresh")


async def test_after_a_day_a_key_answers_with_the_flow_as_it_is(
    client: httpx.AsyncClient, dots: MemoryDots, clock: HandClock
) -> None:
    """It is still the one flow of this key; only what was answered is no longer kept."""
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


async def test_secret_link_of_an_answer_is_not_kept(
    client: httpx.AsyncClient, engine: AsyncEngine, inputs: AllInputs, clock: HandClock
) -> None:
    """The purge deletes answers that are no longer given."""
    await create(client)
    clock.advance(DAY)
    await create(client, "key-2")
    clock.advance(timedelta(seconds=1))

    purged = await purge_expired(inputs, RETENTION)

    assert (purged, await stored.count(engine, "answers")) == (1, 1)


async def test_without_a_key_no_answer_is_kept(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """Nobody can come back for it."""
    await create(client, key=None)

    assert await stored.count(engine, "answers") == 0


async def test_answer_is_repeated_whatever_fields_this_version_has(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """An answer that an earlier version gave has fewer fields, or others: it is given as it was."""
    await create(client)
    was = {"id": "f1", "status": "open", "of_old": [1.0, None]}
    await stored.execute(engine, "UPDATE answers SET answer = CAST(:was AS json)", was=json.dumps(was))

    again = await create(client)

    assert (again.status_code, again.json()) == (201, was)


async def test_answer_of_another_version_gives_way_to_the_flow(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """Where older answers can no longer be given, the key answers with the flow as it is."""
    first = await create(client)
    await stored.execute(engine, "UPDATE answers SET version = 0, answer = '{}'")

    again = await create(client)

    assert again.json() == first.json()


@pytest.mark.parametrize("error_code", ["invalid-input", "user-info-missing"])
async def test_refusal_stays_final_when_no_answer_is_kept(
    client: httpx.AsyncClient, dots: MemoryDots, clock: HandClock, error_code: str
) -> None:
    """Why a creation failed is known for as long as its flow: the same request is not sent again."""
    dots.faults = [refusal(422, error_code)]
    first = await create(client)
    clock.advance(30 * DAY)

    again = await create(client)

    assert (again.status_code, again.content) == (422, first.content)
    assert len(dots.posts) == 1
