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
    """Create a flow under a key."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post("/v1/flows", json=BODY | changes, headers=headers)


async def test_same_key_gives_the_same_bytes(client: httpx.AsyncClient, dots: MemoryDots, clock: HandClock) -> None:
    """A repeat is answered as the first was, even when the flow has moved on since."""
    first = await create(client)
    clock.advance(timedelta(hours=1))
    dots.flows[first.json()["id"]]["completed_steps"] = ["compliance"]
    await client.post(f"/v1/flows/{first.json()['id']}/refresh")

    repeat = await create(client)

    assert (repeat.status_code, repeat.content) == (201, first.content)
    assert repeat.headers["idempotent-replayed"] == "true"
    assert len(dots.posts) == 1


async def test_same_request_in_other_words_is_the_same(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """The order of keys, and what is at its default anyway, make no other request."""
    first = await create(client)

    repeat = await create(client, metadata={"a": [1.5, None], "b": 1}, require_auth=False, user_id=None, app="default")

    assert repeat.content == first.content
    assert len(dots.posts) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"steps": ["payout"]},
        {"steps": ["compliance", "payout"]},
        {"steps": [{"name": "compliance", "hide_continue_button": True}]},
        {"reference": "payee-18"},
        {"reference": None},
        {"metadata": None},
        {"metadata": {"b": 2, "a": [1.5, None]}},
        {"user_id": "5f0c0a1e-7a52-4d0f-9d43-0a4f0c7b8e11"},
        {"require_auth": True},
        {"hide_go_to_dashboard_on_complete": True},
        {"app": "eu"},
    ],
    ids=str,
)
async def test_same_key_with_another_body_is_422(
    client: httpx.AsyncClient, dots: MemoryDots, change: dict[str, Any]
) -> None:
    """A key stands for one request."""
    await create(client)

    answer = await create(client, **change)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert len(dots.posts) == 1


async def test_keys_of_different_callers_do_not_meet(
    stranger: httpx.AsyncClient, dots: MemoryDots, key_with: KeyWith
) -> None:
    """Two services may use the same text as their key; two API keys of one service share theirs."""
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
    """Two equal requests may be meant as two."""
    await create(client, None)
    await create(client, None)

    assert len(dots.flows) == 2


async def test_running_creation_is_409(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """While Dots is being asked, the same key has to come back later; Dots is asked once."""
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
    """Of ten equal requests at one moment one is tried; the others hear its answer or "running"."""
    answers = await asyncio.gather(*(create(client) for _ in range(10)))

    assert len(dots.posts) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1


@pytest.mark.parametrize(
    ("fault", "status", "code", "dots_code"),
    [
        (refusal(400, "invalid-input"), 422, "dots_refused", "invalid-input"),
        (refusal(422, "user-info-missing"), 422, "dots_refused", "user-info-missing"),
    ],
    ids=str,
)
async def test_refusal_is_final_for_its_key(
    client: httpx.AsyncClient, dots: MemoryDots, *, fault: Fault, status: int, code: str, dots_code: str | None
) -> None:
    """Dots said no, and would again: the same key hears the same, and Dots is not asked twice."""
    dots.faults = [fault]

    first = await create(client)
    repeat = await create(client)

    assert (first.status_code, first.json()["code"]) == (status, code)
    assert first.json().get("dots_error_code") == dots_code
    assert "Ada" not in first.text
    assert (repeat.status_code, repeat.content) == (first.status_code, first.content)
    assert len(dots.posts) == 1


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (httpx.ConnectError("no"), 503, "dots_unreachable"),
        (httpx.ConnectTimeout("no"), 503, "dots_unreachable"),
        (refusal(400, "service-unavailable"), 503, "dots_busy"),
        (refusal(409, "resource-busy"), 503, "dots_busy"),
        (httpx.Response(400, json={"success": False, "message": "no"}), 422, "dots_refused"),
        (refusal(413, "too-large"), 422, "dots_refused"),
        (refusal(403, "forbidden"), 422, "dots_forbidden"),
        (httpx.Response(401), 422, "dots_forbidden"),
        (refusal(404, "not-found"), 404, "dots_not_found"),
        (httpx.Response(404, content=b"<html>Ada Lovelace</html>"), 502, "dots_misrouted"),
        (httpx.Response(400, content=b"<html>Ada Lovelace</html>"), 502, "dots_misrouted"),
    ],
    ids=str,
)
async def test_what_dots_did_not_carry_out_may_be_tried_again(
    client: httpx.AsyncClient, dots: MemoryDots, engine: AsyncEngine, *, fault: Fault, status: int, code: str
) -> None:
    """Dots made no flow, so the same key asks again; it is one flow of ours all along."""
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
    """Dots' own Retry-After is the caller's too."""
    dots.faults = [refusal(429, "slow-down", headers={"Retry-After": "17"})]

    answer = await create(client)

    assert answer.headers["retry-after"] == "17"


UNKNOWN_OUTCOMES: list[Fault] = [
    httpx.ReadTimeout("no answer"),
    httpx.ReadError("cut"),
    httpx.RemoteProtocolError("not HTTP"),
    refusal(500, "oops"),
    refusal(502, "bad-gateway"),
    refusal(503, "service-unavailable"),
    httpx.Response(200, content=b"junk"),
    httpx.Response(200, content=b""),
    httpx.Response(200, json={"steps": ["compliance"]}),
    httpx.Response(200, json=[]),
    httpx.Response(302, headers={"Location": "https://evil.example"}),
]


@pytest.mark.parametrize("fault", UNKNOWN_OUTCOMES, ids=str)
async def test_unknown_outcome_is_never_posted_again(
    client: httpx.AsyncClient, dots: MemoryDots, engine: AsyncEngine, fault: Fault
) -> None:
    """Dots may have made the flow: 504, and the same key is told to wait; nobody posts a second time."""
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
    """Once the outcome is known the caller's body is no longer kept."""
    dots.faults = [refusal(400, "invalid-input")]
    await create(client, "refused")
    await create(client, "good")

    assert await stored.rows(engine, "SELECT request FROM flows") == [{"request": None}] * 2


async def test_credentials_are_nowhere_in_answers_or_logs(
    client: httpx.AsyncClient, dots: MemoryDots, logs: Logs
) -> None:
    """When Dots refuses our key, the caller learns that, and neither the key nor Dots' message."""
    dots.fault = refusal(401, "unauthorized")

    answer = await create(client)

    assert answer.json()["code"] == "dots_credentials"
    reported = answer.text + str(logs)
    assert "sk_dev" not in reported
    assert "pk_dev" not in reported
    assert "Ada" not in reported
