import asyncio

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.dots import hostile_webhooks
from tests.dots.fake_dots import NOW
from tests.dots.hostile_webhooks import odd_but_signed_bodies
from tests.storage import stored
from tests.webhooks import sending
from tests.webhooks.sending import KEY, PATH, RawAnswer, signed

HOSTILE = hostile_webhooks.cases(KEY, NOW)
SURVIVING = [case for case in HOSTILE if case.survives_http]
# uvicorn may refuse these, because HTTP forbids such headers.
FORBIDDEN = [case for case in HOSTILE if not case.survives_http]
REFUSAL = (
    b'{"type":"urn:dots-gateway:problem:signature_refused","title":"Signature refused","status":401,'
    b'"code":"signature_refused","detail":"The webhook\'s signature is not valid."}'
)


async def test_hostile_webhooks_all_get_the_same_answer(app: FastAPI, engine: AsyncEngine) -> None:
    """The answer is always 401 with the same body, and nothing is stored."""
    async with sending.serving(app) as port:
        answers = {case.name: await sending.post(port, case.headers, case.body) for case in SURVIVING}

    assert len(SURVIVING) >= 100
    assert {name: answer.status for name, answer in answers.items() if answer.status != 401} == {}
    assert {answer.body for answer in answers.values()} == {REFUSAL}
    assert {answer.headers["content-type"] for answer in answers.values()} == {"application/problem+json"}
    assert await stored.count(engine, "webhooks") == 0
    assert await stored.count(engine, "sync_rows") == 0


async def test_forbidden_headers_are_refused(app: FastAPI, engine: AsyncEngine) -> None:
    """Control characters and white space in headers lead to 400 or 401, and nothing is stored."""
    async with sending.serving(app) as port:
        answers = {case.name: await _post_or_cut(port, case) for case in FORBIDDEN}

    assert {answer.status for answer in answers.values() if answer is not None} <= {400, 401}
    assert await stored.count(engine, "webhooks") == 0


async def _post_or_cut(port: int, case: hostile_webhooks.HostileWebhook) -> RawAnswer | None:
    """Return the answer, or None if the server closed the connection without one."""
    try:
        return await sending.post(port, case.headers, case.body)
    except asyncio.IncompleteReadError:
        return None


async def test_only_the_log_has_the_reason_of_a_refusal(app: FastAPI, logs: list[dict[str, object]]) -> None:
    """The sender does not get the reason."""
    case = next(case for case in SURVIVING if case.name == "signed, a day old")

    async with sending.serving(app) as port:
        answer = await sending.post(port, case.headers, case.body)

    assert b"old" not in answer.body
    assert [line["reason"] for line in logs if line["event"] == "webhook not taken"] == ["timestamp too old"]


async def test_odd_bodies_are_stored_byte_for_byte(app: FastAPI, engine: AsyncEngine) -> None:
    """A valid signature is enough for a 204. The body is stored once, exactly as signed."""
    bodies = {f"msg_{index}": body for index, body in enumerate(odd_but_signed_bodies().values())}

    async with sending.serving(app) as port:
        answers = {
            message_id: await sending.post(port, signed(message_id, body), body) for message_id, body in bodies.items()
        }

    assert {message_id: answer.status for message_id, answer in answers.items() if answer.status != 204} == {}
    kept = await stored.rows(engine, "SELECT message_id, body, received_count FROM webhooks")
    assert {row["message_id"]: row["body"] for row in kept} == bodies
    assert {row["received_count"] for row in kept} == {1}


@pytest.mark.parametrize("family", [b"svix", b"webhook"])
async def test_both_header_families_are_accepted(
    stranger: httpx.AsyncClient, engine: AsyncEngine, family: bytes
) -> None:
    """White-label senders use other names for the same headers."""
    headers = [(name.replace(b"svix", family), value) for name, value in signed("msg_1", b"{}")]

    answer = await stranger.post(PATH, headers=headers, content=b"{}")

    assert answer.status_code == 204
    assert answer.content == b""
    assert await stored.count(engine, "webhooks") == 1


async def test_each_app_has_its_own_webhooks(stranger: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """Each app has its own path and secret. The same message id in two apps is two webhooks."""
    own = await stranger.post(PATH, headers=signed("msg_1", b"{}"), content=b"{}")
    other = await stranger.post(f"{PATH}/eu", headers=signed("msg_1", b"{}", key=sending.OTHER_KEY), content=b"{}")
    crossed = await stranger.post(f"{PATH}/eu", headers=signed("msg_1", b"{}"), content=b"{}")

    assert [own.status_code, other.status_code, crossed.status_code] == [204, 204, 401]
    kept = await stored.rows(engine, "SELECT app, message_id, received_count FROM webhooks ORDER BY app")
    assert [tuple(row.values()) for row in kept] == [("default", "msg_1", 1), ("eu", "msg_1", 1)]
