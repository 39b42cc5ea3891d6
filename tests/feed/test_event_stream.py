import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from app.feed import event_stream
from app.flows.rules.verdict import Verdict
from app.server.gateway import Gateway
from tests.feed import feeding
from tests.feed.feeding import step_events, verdict_events
from tests.storage import stored
from tests.surroundings import KeyWith
from tests.webhooks import sending

DEADLINE_SECONDS = 10
STREAM = "/v1/events/stream"


@dataclass(frozen=True, kw_only=True)
class Message:
    """One server-sent event. Without data it only updates the last id."""

    id: str | None
    event: str | None
    data: str | None


@pytest.fixture
async def client(app: FastAPI, key_with: KeyWith) -> AsyncIterator[httpx.AsyncClient]:
    """A client over a real socket, with an ordinary reader's key."""
    headers = await key_with("events:read")
    async with (
        sending.serving(app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=DEADLINE_SECONDS) as client,
    ):
        yield client


@contextlib.asynccontextmanager
async def streaming(
    client: httpx.AsyncClient, headers: dict[str, str] | None = None, **query: str
) -> AsyncIterator[AsyncIterator[Message]]:
    """Open a stream. It is disconnected at the end of the block."""
    async with client.stream("GET", STREAM, params=query, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _messages(answer.aiter_lines())


async def _messages(lines: AsyncIterator[str]) -> AsyncIterator[Message]:
    fields: dict[str, str] = {}
    async for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif not line and fields:
            yield Message(id=fields.get("id"), event=fields.get("event"), data=fields.get("data"))
            fields = {}


async def take(messages: AsyncIterator[Message], number: int) -> list[Message]:
    """The next `number` messages with data."""
    taken: list[Message] = []
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(taken) < number:
            message = await anext(messages)
            if message.data is not None:
                taken.append(message)
    return taken


def steps_of(messages: list[Message]) -> list[str]:
    """The steps of the messages' events."""
    return [json.loads(message.data or "")["data"]["step"] for message in messages]


async def test_stream_begins_with_its_cursor(client: httpx.AsyncClient) -> None:
    """The first message has an id, so a reader that disconnects before the first event loses nothing."""
    async with streaming(client) as messages:
        first = await asyncio.wait_for(anext(messages), DEADLINE_SECONDS)

    page = (await client.get("/v1/events")).json()
    assert first == Message(id=page["next_cursor"], event=None, data=None)


async def test_stream_and_pages_have_the_same_events(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """Each message has the CloudEvent as data, its type as name and the cursor after it as id."""
    await feeding.feed(engine, step_events(2))
    page = (await client.get("/v1/events")).json()

    async with streaming(client) as messages:
        taken = await take(messages, 2)

    assert [json.loads(message.data or "") for message in taken] == page["events"]
    assert {message.event for message in taken} == {"dots.flow.step_completed"}
    assert taken[-1].id == page["next_cursor"]


async def test_new_events_arrive_while_streaming(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """A reader of `latest` gets later events as they are numbered."""
    await feeding.feed(engine, step_events(1))
    async with streaming(client, after="latest") as messages:
        await anext(messages)
        await feeding.feed(engine, step_events(3)[1:], after_sequence=1)
        taken = await take(messages, 2)

    assert steps_of(taken) == ["step-2", "step-3"]


async def test_stream_resumes_after_its_last_event_id(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """A reader that reconnects with Last-Event-ID gets the events after it."""
    await feeding.feed(engine, step_events(4))
    async with streaming(client) as messages:
        taken = await take(messages, 2)

    async with streaming(client, {"Last-Event-ID": taken[-1].id or ""}) as messages:
        rest = await take(messages, 2)

    assert steps_of(taken) + steps_of(rest) == ["step-1", "step-2", "step-3", "step-4"]


async def test_id_moves_past_filtered_events(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """A reader of rare events gets new cursors, so its cursor does not expire."""
    await feeding.feed(engine, step_events(3))
    latest = (await client.get("/v1/events", params={"after": "latest"})).json()["next_cursor"]

    async with streaming(client, types="dots.flow.completed") as messages:
        async with asyncio.timeout(DEADLINE_SECONDS):
            seen = [await anext(messages), await anext(messages)]

    assert [message.data for message in seen] == [None, None]
    assert seen[-1].id == latest


async def test_stream_hides_verdicts_or_audits_them(
    client: httpx.AsyncClient, engine: AsyncEngine, key_with: KeyWith
) -> None:
    """An ordinary reader gets no verdict. An entitled reader gets it and leaves an audit row."""
    await feeding.feed(engine, verdict_events(Verdict.FLAGGED))
    await feeding.feed(engine, step_events(1))

    async with streaming(client) as messages:
        (ordinary,) = await take(messages, 1)
    async with streaming(client, await key_with("events:read", "compliance:read", name="officer")) as messages:
        (entitled,) = await take(messages, 1)

    assert ordinary.event == "dots.flow.step_completed"
    assert entitled.event == "dots.background_check.flagged"
    assert await stored.rows(engine, "SELECT caller FROM compliance_reads") == [{"caller": "officer"}]


async def test_stream_ends_when_the_process_does(client: httpx.AsyncClient, gateway: Gateway) -> None:
    """Streams end, so a process can drain. Readers reconnect elsewhere with their last id."""
    async with streaming(client) as messages:
        await anext(messages)
        gateway.watch.close()
        async with asyncio.timeout(DEADLINE_SECONDS):
            rest = [message async for message in messages]

    assert rest == []


async def test_stream_ends_when_its_cursor_expires(
    client: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A purge past the cursor ends the stream, and a reconnect gets 410."""
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.05)
    async with streaming(client) as messages:
        opening = await anext(messages)
        await stored.execute(engine, "UPDATE feed SET expired_position = 9")
        async with asyncio.timeout(DEADLINE_SECONDS):
            rest = [message async for message in messages]
    again = await client.get(STREAM, headers={"Last-Event-ID": opening.id or ""})

    assert rest == []
    assert again.status_code == 410


async def test_stream_of_a_revoked_key_ends(
    client: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream checks its key at each heartbeat, and ends if the key was revoked."""
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.05)
    async with streaming(client) as messages:
        await anext(messages)
        await stored.execute(engine, "UPDATE api_keys SET revoked_at = now()")
        async with asyncio.timeout(DEADLINE_SECONDS):
            rest = [message async for message in messages]
    again = await client.get(STREAM)

    assert rest == []
    assert again.status_code == 401
