import asyncio
import contextlib

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from app.server.gateway import Gateway
from app.webhooks.endpoint import WebhookEndpoint
from tests.storage import stored
from tests.webhooks import sending
from tests.webhooks.sending import PATH, signed

MIB = 1024 * 1024


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize(("size", "status"), [(MIB, 204), (MIB + 1, 413)])
async def test_body_of_one_mebibyte_is_the_largest(
    app: FastAPI, engine: AsyncEngine, size: int, status: int, *, is_chunked: bool
) -> None:
    """Svix sends up to 1 MiB. One byte more is refused, with and without a Content-Length."""
    body = b"x" * size

    async with sending.serving(app) as port:
        if is_chunked:
            chunks = [body[start : start + 65_536] for start in range(0, size, 65_536)]
            answer = await sending.post_chunked(port, signed("msg_1", body), chunks)
        else:
            answer = await sending.post(port, signed("msg_1", body), body)

    assert answer.status == status
    assert await stored.count(engine, "webhooks") == (1 if status == 204 else 0)
    if status == 413:
        assert answer.headers["content-type"] == "application/problem+json"
        assert b'"code":"body_too_large"' in answer.body


async def test_endless_body_is_cut_off(app: FastAPI, engine: AsyncEngine) -> None:
    """An unsigned chunked body without an end is refused at the limit."""
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    head = b"POST /webhooks/dots HTTP/1.1\r\nhost: gateway\r\ntransfer-encoding: chunked\r\n\r\n"

    async with sending.serving(app) as port:
        answer = await sending.exchange(port, head + chunk * 40)

    assert answer.status == 413
    assert await stored.count(engine, "webhooks") == 0


async def test_slow_body_is_408(app: FastAPI, gateway: Gateway, engine: AsyncEngine) -> None:
    """The gateway stops waiting for the rest of a body. uvicorn alone would wait forever."""
    app.state.webhook_endpoint = WebhookEndpoint(gateway.webhooks, answer_seconds=0.05)
    head = b"POST /webhooks/dots HTTP/1.1\r\nhost: gateway\r\ncontent-length: 100\r\n\r\nhalf of"

    async with sending.serving(app) as port:
        answer = await sending.exchange(port, head)

    assert answer.status == 408
    assert answer.headers["content-type"] == "application/problem+json"
    assert await stored.count(engine, "webhooks") == 0


async def test_incomplete_body_is_not_stored(app: FastAPI, engine: AsyncEngine) -> None:
    """After a sender has closed the connection, the next webhook is accepted."""
    head = b"POST /webhooks/dots HTTP/1.1\r\nhost: gateway\r\ncontent-length: 100\r\n\r\nhalf of"

    async with sending.serving(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        answer = await sending.post(port, signed("msg_1", b"{}"), b"{}")

    assert answer.status == 204
    assert await stored.count(engine, "webhooks") == 1


async def test_body_limit_holds_for_callers_too(client: httpx.AsyncClient) -> None:
    """No route reads more than 1 MiB. The answer is a problem document."""
    answer = await client.post("/v1/flows", content=b'{"steps":["' + b"x" * MIB + b'"]}')

    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "body_too_large"


async def test_compressed_body_is_stored_compressed(stranger: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """The signature covers the bytes on the wire."""
    headers = [*signed("msg_1", b"\x1f\x8bnot really"), (b"content-encoding", b"gzip")]

    answer = await stranger.post(PATH, headers=headers, content=b"\x1f\x8bnot really")

    assert answer.status_code == 204
    assert (await stored.row(engine, "SELECT body FROM webhooks"))["body"] == b"\x1f\x8bnot really"
