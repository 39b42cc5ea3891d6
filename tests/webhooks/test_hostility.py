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
from tests.webhooks.sending import (
    KEY,
    PATH,
    RawAnswer,
    signed,
)

HOSTILE = hostile_webhooks.cases(KEY, NOW)
SURVIVING = [case for case in HOSTILE if case.survives_http]
# What HTTP itself forbids in a header never gets as far as us.
FORBIDDEN = [case for case in HOSTILE if not case.survives_http]
REFUSAL = (
    b'{"type":"urn:dots-gateway:problem:signature_refused","title":"Signature refused","status":401,'
    b'"code":"signature_refused","detail":"The webhook\'s signature is not valid."}'
)


def test_table_is_no_short_one() -> None:
    """A hundred hostile webhooks at least reach the receiver."""
    assert len(SURVIVING) >= 100


async def test_hostile_webhooks_all_get_one_and_the_same_answer(app: FastAPI, engine: AsyncEngine) -> None:
    """Whatever is wrong: 401 with the same bytes, never a 5xx, and nothing is stored."""
    async with sending.serving(app) as port:
        answers = {case.name: await sending.post(port, case.headers, case.body) for case in SURVIVING}

    assert {name: answer.status for name, answer in answers.items() if answer.status != 401} == {}
    assert {answer.body for answer in answers.values()} == {REFUSAL}
    assert {answer.headers["content-type"] for answer in answers.values()} == {"application/problem+json"}
    assert await stored.count(engine, "webhooks") == 0
    assert await stored.count(engine, "sync_rows") == 0


async def test_what_http_forbids_is_refused(app: FastAPI, engine: AsyncEngine) -> None:
    """Controls and white space in headers end in 400 or 401, and nothing is stored."""
    async with sending.serving(app) as port:
        answers = {case.name: await _post_or_cut(port, case) for case in FORBIDDEN}

    assert {answer.status for answer in answers.values() if answer is not None} <= {400, 401}
    assert await stored.count(engine, "webhooks") == 0


async def _post_or_cut(port: int, case: hostile_webhooks.HostileWebhook) -> RawAnswer | None:
    """The answer, or None when the server cut the connection without one."""
    try:
        return await sending.post(port, case.headers, case.body)
    except asyncio.IncompleteReadError:
        return None


async def test_refusals_say_why_in_the_log_only(app: FastAPI, logs: list[dict[str, object]]) -> None:
    """The log has the reason that the sender is not told."""
    case = next(case for case in SURVIVING if case.name == "signed, a day old")

    async with sending.serving(app) as port:
        answer = await sending.post(port, case.headers, case.body)

    assert b"old" not in answer.body
    assert [line["reason"] for line in logs if line["event"] == "webhook not taken"] == ["timestamp too old"]


async def test_odd_bodies_are_stored_byte_for_byte(app: FastAPI, engine: AsyncEngine) -> None:
    """A right signature is enough: 204, and the body is kept exactly as signed, once."""
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
async def test_both_header_families_are_taken(stranger: httpx.AsyncClient, engine: AsyncEngine, family: bytes) -> None:
    """White-labelled senders use other names for the same headers."""
    headers = [(name.replace(b"svix", family), value) for name, value in signed("msg_1", b"{}")]

    answer = await stranger.post(PATH, headers=headers, content=b"{}")

    assert answer.status_code == 204
    assert answer.content == b""
    assert await stored.count(engine, "webhooks") == 1


async def test_webhook_of_another_app_is_kept_apart(stranger: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """Each app has its own path and secret; the same message id in two apps is two webhooks."""
    own = await stranger.post(PATH, headers=signed("msg_1", b"{}"), content=b"{}")
    other = await stranger.post(f"{PATH}/eu", headers=signed("msg_1", b"{}", key=sending.OTHER_KEY), content=b"{}")
    crossed = await stranger.post(f"{PATH}/eu", headers=signed("msg_1", b"{}"), content=b"{}")

    assert [own.status_code, other.status_code, crossed.status_code] == [204, 204, 401]
    kept = await stored.rows(engine, "SELECT app, message_id, received_count FROM webhooks ORDER BY app")
    assert [tuple(row.values()) for row in kept] == [("default", "msg_1", 1), ("eu", "msg_1", 1)]


@pytest.mark.parametrize("name", ["nobody", "DEFAULT", "%00", "../v1", "a/b", "eu%20"])
async def test_unknown_app_is_404(stranger: httpx.AsyncClient, engine: AsyncEngine, name: str) -> None:
    """A webhook for an app that is not set up is not taken, whoever signed it."""
    answer = await stranger.post(f"{PATH}/{name}", headers=signed("msg_1", b"{}"), content=b"{}")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert await stored.count(engine, "webhooks") == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_only_post_is_a_webhook(stranger: httpx.AsyncClient, method: str) -> None:
    """Another method is 405 as a problem document, with the one that is allowed."""
    answer = await stranger.request(method, PATH)

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json()["code"] == "method_not_allowed"
