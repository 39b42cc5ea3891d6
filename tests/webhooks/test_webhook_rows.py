"""The rows of webhooks: each webhook is stored once, byte for byte, and makes its subject due."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.flows import sync_rows
from app.flows.read_timeline import WebhookSeen
from app.storage import database
from app.storage.dedicated_session import DedicatedSession
from app.storage.subjects import Subject
from app.webhooks import webhook_rows
from app.webhooks.webhook_rows import Webhook
from tests.dots.fake_dots import NOW
from tests.flows import syncing
from tests.storage import stored
from tests.storage.locks import until_waiting

MINUTE = timedelta(minutes=1)
FLOW = Subject(app="default", kind="flow", id="flow-1")
OTHER_FLOW = Subject(app="default", kind="flow", id="flow-2")
USER = Subject(app="default", kind="user", id="user-1")
BODIES = {"every byte": bytes(range(256)) * 4096, "looks hexadecimal": b"\\x00"}


def webhook(
    message_id: str = "msg_1",
    *,
    about: Subject | None = FLOW,
    app: str = "default",
    at: datetime = NOW,
    body: bytes = b"{}",
    event: str | None = "flow.updated",
) -> Webhook:
    """Build a webhook."""
    return Webhook(app=app, message_id=message_id, received_at=at, body=body, event=event, subject=about)


async def store(engine: AsyncEngine, *webhooks: Webhook) -> None:
    """Store one batch as the receiver does."""
    session = DedicatedSession(database.sessions_of(engine))
    try:
        await webhook_rows.store_and_commit(session, webhooks)
    finally:
        session.close()


async def about(engine: AsyncEngine, subject: Subject, *, limit: int = 100) -> list[WebhookSeen]:
    """Return the webhooks about the subject."""
    async with database.transaction(engine) as connection:
        return await webhook_rows.about(connection, subject, limit)


async def generations(engine: AsyncEngine) -> Mapping[str, int]:
    """Return the generation of every subject that was made due."""
    rows = await stored.rows(engine, "SELECT subject_id, dirty_gen FROM sync_rows")
    return {row["subject_id"]: row["dirty_gen"] for row in rows}


async def columns_of(engine: AsyncEngine, *columns: str) -> list[tuple[Any, ...]]:
    """Return these columns of every webhook, in the order of their ids."""
    rows = await stored.rows(engine, "SELECT * FROM webhooks ORDER BY app, message_id")
    return [tuple(row[column] for column in columns) for row in rows]


async def test_bodies_are_stored_as_bytes(engine: AsyncEngine) -> None:
    """The signature covers bytes, so the body must not change."""
    await store(engine, *(webhook(name, body=body) for name, body in BODIES.items()))

    assert dict(await columns_of(engine, "message_id", "body")) == BODIES


async def test_batch_is_stored_and_makes_due(engine: AsyncEngine) -> None:
    """One batch has every kind of webhook. A webhook about nothing that is followed makes nothing due."""
    await store(
        engine,
        webhook("msg_3", about=USER, event="user.updated", at=NOW + MINUTE),
        webhook("msg_2", about=None, event="transfer.completed"),
        webhook("msg_1", event=None),
        webhook("msg_1", app="eu", about=None),
    )

    assert await columns_of(engine, "app", "message_id", "event", "kind", "subject_id", "raised_gen") == [
        ("default", "msg_1", None, "flow", "flow-1", 1),
        ("default", "msg_2", "transfer.completed", None, None, None),
        ("default", "msg_3", "user.updated", "user", "user-1", 1),
        ("eu", "msg_1", "flow.updated", None, None, None),
    ]
    due = await stored.rows(engine, "SELECT kind, subject_id, due_at, due_by FROM sync_rows ORDER BY kind")
    assert due == [
        {"kind": "flow", "subject_id": "flow-1", "due_at": NOW, "due_by": "webhook"},
        {"kind": "user", "subject_id": "user-1", "due_at": NOW + MINUTE, "due_by": "webhook"},
    ]


async def test_duplicates_inside_a_batch_are_one(engine: AsyncEngine) -> None:
    """The same id three times is one webhook with a count of 3 and the first body."""
    await store(engine, webhook(body=b"first"), webhook(body=b"second"), webhook("msg_2"), webhook(body=b"third"))

    assert await columns_of(engine, "message_id", "received_count", "body") == [
        ("msg_1", 3, b"first"),
        ("msg_2", 1, b"{}"),
    ]


async def test_batch_about_one_flow_raises_it_once(engine: AsyncEngine) -> None:
    """A storm of webhooks about one flow costs one refresh, which handles all of them."""
    await store(engine, *(webhook(f"msg_{number}", at=NOW - number * MINUTE) for number in range(3)))

    assert await generations(engine) == {"flow-1": 1}
    assert await columns_of(engine, "raised_gen") == [(1,), (1,), (1,)]
    assert await stored.rows(engine, "SELECT due_at FROM sync_rows") == [{"due_at": NOW - 2 * MINUTE}]


async def test_repeat_is_counted_and_makes_due_again(engine: AsyncEngine) -> None:
    """The first body, time and generation stay."""
    await store(engine, webhook(body=b"first"))
    await store(engine, webhook(body=b"again", about=OTHER_FLOW, event="user.updated", at=NOW + MINUTE))
    await store(engine, webhook(body=b"again", at=NOW - MINUTE))

    assert await columns_of(
        engine, "body", "event", "subject_id", "received_at", "last_received_at", "received_count", "raised_gen"
    ) == [(b"first", "flow.updated", "flow-1", NOW, NOW + MINUTE, 3, 1)]
    assert await generations(engine) == {"flow-1": 2, "flow-2": 1}


async def test_new_webhook_resets_the_backoff(engine: AsyncEngine) -> None:
    """A failing flow is due immediately when a new webhook about it arrives."""
    await store(engine, webhook())
    async with database.transaction(engine) as connection:
        (claim,) = await syncing.claim_in(connection, limit=1)
        await sync_rows.postpone(connection, claim, due_at=NOW + 60 * MINUTE, now=NOW, error="dots_failed")

    await store(engine, webhook("msg_2", at=NOW + MINUTE))

    row = await stored.row(engine, "SELECT due_at, attempts FROM sync_rows")
    assert row == {"due_at": NOW + MINUTE, "attempts": 0}


async def test_webhook_is_handled_once_a_refresh_has_seen_it(engine: AsyncEngine) -> None:
    """A refresh that began before its arrival does not count."""
    await store(engine, webhook("msg_1"))
    async with database.transaction(engine) as connection:
        (claim,) = await syncing.claim_in(connection, limit=1)
    await store(engine, webhook("msg_2", at=NOW + MINUTE))
    before = [record.is_handled for record in await about(engine, FLOW)]

    async with database.transaction(engine) as connection:
        await sync_rows.settle(connection, claim, next_due_at=None)

    assert before == [False, False]
    assert [record.is_handled for record in await about(engine, FLOW)] == [True, False]


async def test_latest_webhooks_about_a_subject_are_in_order_of_arrival(engine: AsyncEngine) -> None:
    """Webhooks about other subjects are left out."""
    await store(
        engine,
        webhook("msg_1", at=NOW),
        webhook("msg_2", at=NOW + 2 * MINUTE),
        webhook("msg_3", at=NOW + MINUTE),
        webhook("msg_4", about=OTHER_FLOW),
        webhook("msg_5", about=USER),
    )

    found = await about(engine, FLOW, limit=2)

    assert found == [
        WebhookSeen(
            message_id=message_id,
            event="flow.updated",
            received_at=at,
            last_received_at=at,
            received_count=1,
            is_handled=False,
        )
        for message_id, at in [("msg_3", NOW + MINUTE), ("msg_2", NOW + 2 * MINUTE)]
    ]


@pytest.mark.parametrize(
    ("held", "free"),
    [
        ("UPDATE sync_rows SET due_at = due_at WHERE subject_id = 'flow-1'", "sync_rows WHERE subject_id = 'flow-2'"),
        ("UPDATE webhooks SET event = event WHERE message_id = 'msg_1'", "webhooks WHERE message_id = 'msg_2'"),
    ],
    ids=["sync rows", "webhooks"],
)
async def test_rows_are_locked_in_order(engine: AsyncEngine, held: str, free: str) -> None:
    """While a batch waits for the first row it locks no later row, even if its webhooks are in another order."""
    batch = [webhook("msg_1"), webhook("msg_2", about=OTHER_FLOW)]
    await store(engine, *batch)

    async with engine.connect() as holder:
        await holder.exec_driver_sql(held)
        waiting = asyncio.create_task(store(engine, *reversed(batch)))
        await until_waiting(engine)
        found = await stored.rows(engine, f"SELECT 1 FROM {free} FOR UPDATE SKIP LOCKED")  # noqa: S608  # a test's own literal
        await holder.commit()
        await waiting

    assert len(found) == 1
    assert await columns_of(engine, "received_count") == [(2,), (2,)]


async def test_repeat_waits_for_the_first(engine: AsyncEngine) -> None:
    """A repeat waits while the first copy is not committed. If that is rolled back, the repeat is stored instead."""
    async with engine.connect() as first:
        await webhook_rows.store(first, [webhook(body=b"first")])
        waiting = asyncio.create_task(store(engine, webhook(body=b"second")))
        await until_waiting(engine)
        await first.rollback()
        await waiting

    assert await columns_of(engine, "body", "received_count") == [(b"second", 1)]
