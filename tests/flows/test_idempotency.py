import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.all_inputs import HandClock
from tests.dots.memory_dots import Fault, MemoryDots, refusal
from tests.storage import stored
from tests.surroundings import KeyWith, Logs

BODY: dict[str, Any] = {"steps": ["compliance"], "reference": "payee-17", "metadata": {"b": 1, "a": [1.5, None]}}
DEADLINE_SECONDS = 10


async def create(client: httpx.AsyncClient, key: str | None = "key-1", **changes: Any) -> httpx.Response:
    """Create a flow with a key."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post("/v1/flows", json=BODY | changes, headers=headers)


async def test_same_key_gives_the_same_bytes(client: httpx.AsyncClient, dots: MemoryDots, clock: HandClock) -> None:
    """A repeat gets the first answer, even if the flow has changed since."""
    first = await create(client)
    clock.advance(timedelta(hours=1))
    dots.flows[first.json()["id"]]["completed_steps"] = ["compliance"]
    await client.post(f"/v1/flows/{first.json()['id']}/refresh")

    repeat = await create(client)

    assert (repeat.status_code, repeat.content) == (201, first.content)
    assert repeat.headers["idempotent-replayed"] == "true"
    assert len(dots.posts) == 1


async def test_equal_request_is_a_repeat(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """The order of keys and explicit defaults do not make another request."""
    first = await create(client)

    repeat = await create(client, metadata={"a": [1.5, None], "b": 1}, require_auth=False, user_id=None, app="default")

    assert repeat.content == first.content
    assert len(dots.posts) == 1


async def test_same_key_with_another_body_is_422(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """A key stands for one request."""
    await create(client)
    changes: list[dict[str, Any]] = [{"steps": ["payout"]}, {"reference": None}, {"metadata": None}, {"app": "eu"}]

    answers = [await create(client, **change) for change in changes]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(422, "idempotency_key_reused")}
    assert len(dots.posts) == 1


async def test_callers_have_separate_keys(stranger: httpx.AsyncClient, dots: MemoryDots, key_with: KeyWith) -> None:
    """Two callers may use the same key. API keys with one name share theirs."""
    shop, shop_again = await key_with("flows:write", name="shop"), await key_with("flows:write", name="shop")
    office = await key_with("flows:write", name="office")

    answers = [
        await stranger.post("/v1/flows", json=BODY, headers={**key, "Idempotency-Key": "key-1"})
        for key in (shop, office, shop_again)
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert answers[0].content == answers[2].content
    assert answers[0].json()["id"] != answers[1].json()["id"]
    assert len(dots.posts) == 2


async def test_without_a_key_every_request_makes_a_flow(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """Without a key, two equal requests create two flows."""
    await create(client, None)
    await create(client, None)

    assert len(dots.flows) == 2


async def test_running_creation_is_409(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """During the call to Dots, a repeat with the same key gets 409. Dots is called once."""
    dots.gate.clear()
    first = asyncio.create_task(create(client))
    async with asyncio.timeout(DEADLINE_SECONDS):
        await dots.is_asked.wait()

    meanwhile = await create(client)
    other = await create(client, reference="payee-18")
    dots.gate.set()

    assert (meanwhile.status_code, meanwhile.json()["code"]) == (409, "creation_running")
    assert meanwhile.headers["retry-after"] == "2"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (await first).status_code == 201
    assert len(dots.posts) == 1


async def test_many_at_once_make_one_flow(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """Of ten concurrent requests, one creates the flow. The others get its answer or 409."""
    answers = await asyncio.gather(*(create(client) for _ in range(10)))

    assert len(dots.posts) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1


async def test_refusal_is_final_for_its_key(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """After a final refusal, a repeat gets the same answer without a second call to Dots."""
    dots.faults = [refusal(422, "user-info-missing")]

    first = await create(client)
    repeat = await create(client)

    assert (first.status_code, first.json()["code"]) == (422, "dots_refused")
    assert first.json()["dots_error_code"] == "user-info-missing"
    assert "Ada" not in first.text
    assert (repeat.status_code, repeat.content) == (first.status_code, first.content)
    assert len(dots.posts) == 1


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (httpx.ConnectError("no"), 503, "dots_unreachable"),
        (refusal(400, "service-unavailable"), 503, "dots_busy"),
        (httpx.Response(400, json={"success": False, "message": "no"}), 422, "dots_refused"),
        (refusal(403, "forbidden"), 422, "dots_forbidden"),
        (refusal(404, "not-found"), 404, "dots_not_found"),
        (httpx.Response(400, content=b"<html>Ada Lovelace</html>"), 502, "dots_misrouted"),
    ],
    ids=str,
)
async def test_request_that_dots_did_not_carry_out_is_tried_again(
    client: httpx.AsyncClient, dots: MemoryDots, engine: AsyncEngine, *, fault: Fault, status: int, code: str
) -> None:
    """If Dots created no flow, a repeat calls Dots again, for the same stored flow."""
    posts = 0

    async def fail_twice() -> None:
        nonlocal posts
        posts += dots.requests[-1].method == "POST"
        dots.faults = [fault] if dots.requests[-1].method == "POST" and posts <= 2 else []

    dots.on_request = fail_twice
    first, second = await create(client), await create(client)
    third, repeat = await create(client), await create(client)

    assert (first.status_code, first.json()["code"]) == (status, code)
    assert second.content == first.content
    assert (third.status_code, repeat.content) == (201, third.content)
    assert len(dots.posts) == 3
    assert len({body["metadata"]["dots_gateway_ref"] for body in dots.posts}) == 1
    assert await stored.count(engine, "flows") == 1


async def test_throttled_creation_passes_on_the_wait(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """The caller gets Dots' Retry-After."""
    dots.faults = [refusal(429, "slow-down", headers={"Retry-After": "17"})]

    answer = await create(client)

    assert answer.headers["retry-after"] == "17"


UNKNOWN_OUTCOMES: list[Fault] = [
    httpx.ReadTimeout("no answer"),
    httpx.RemoteProtocolError("not HTTP"),
    refusal(503, "service-unavailable"),
    httpx.Response(200, content=b"junk"),
    httpx.Response(200, json={"steps": ["compliance"]}),
    httpx.Response(302, headers={"Location": "https://evil.example"}),
]


@pytest.mark.parametrize("fault", UNKNOWN_OUTCOMES, ids=str)
async def test_unknown_outcome_is_never_posted_again(
    client: httpx.AsyncClient, dots: MemoryDots, engine: AsyncEngine, fault: Fault
) -> None:
    """If Dots may have created the flow, the caller gets 504, repeats get 409, and there is no second POST."""
    dots.faults = [fault]

    first = await create(client)
    repeat = await create(client)

    assert (first.status_code, first.json()["code"]) == (504, "creation_outcome_unknown")
    assert first.headers["retry-after"] == "30"
    assert (repeat.status_code, repeat.json()["code"]) == (409, "creation_running")
    assert len(dots.posts) == 1
    assert (await stored.row(engine, "SELECT status FROM flows"))["status"] == "creating"


async def test_request_is_kept_only_while_creating(
    client: httpx.AsyncClient, dots: MemoryDots, engine: AsyncEngine
) -> None:
    """The request is deleted once the outcome is known."""
    dots.faults = [refusal(400, "invalid-input")]
    await create(client, "refused")
    await create(client, "good")

    assert await stored.rows(engine, "SELECT request FROM flows") == [{"request": None}] * 2


async def test_answers_and_logs_hold_no_credentials(client: httpx.AsyncClient, dots: MemoryDots, logs: Logs) -> None:
    """If Dots refuses our key, the answer and the logs hold neither the key nor Dots' message."""
    dots.fault = refusal(401, "unauthorized")

    answer = await create(client)

    assert answer.json()["code"] == "dots_credentials"
    reported = answer.text + str(logs)
    assert "sk_dev" not in reported
    assert "pk_dev" not in reported
    assert "Ada" not in reported
