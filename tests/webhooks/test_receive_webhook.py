"""The receiver's own connections work with a busy pool and with a transaction pooler."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.dots.app_ids import AppIds
from app.dots.signature import Attestation
from app.errors import DatabaseUnavailableError
from app.storage import database
from app.storage.database import Pooler
from app.webhooks import webhook_rows
from app.webhooks.receive_webhook import WebhookReceiver
from tests.all_inputs import AllInputs
from tests.dots.fake_dots import NOW
from tests.flows.merging import MERGE
from tests.storage import stored

DEADLINE_SECONDS = 10


@contextlib.asynccontextmanager
async def receiving(engine: AsyncEngine, inputs: AllInputs) -> AsyncIterator[WebhookReceiver]:
    """Run a receiver on this engine."""
    receiver = WebhookReceiver(engine, inputs.notifications, inputs.telemetry, AppIds({}))
    writer = asyncio.create_task(receiver.run())
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield receiver
    finally:
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)


async def receive(receiver: WebhookReceiver, message_id: str, **body: str) -> None:
    """Receive one webhook of the app `default`."""
    attestation = Attestation(message_id=message_id, attempted_at=NOW)
    await receiver.receive("default", attestation, json.dumps(body).encode(), received_at=NOW)


async def test_a_busy_pool_does_not_delay_webhooks(inputs: AllInputs, database_url: str) -> None:
    """While requests hold every connection of the pool, webhooks and merges are stored."""
    busy = database.create_engine(database_url, pool_size=1)
    async with busy.connect(), receiving(busy, inputs) as receiver:
        await receive(receiver, "msg_1", flow_id="flow-1")
        await receive(receiver, "msg_2", **MERGE)

    await busy.dispose()
    assert await stored.count(inputs.engine, "webhooks") == 2
    assert await stored.count(inputs.engine, "user_merges") == 1


@pytest.mark.parametrize("pooler", ["none", "transaction"])
async def test_receiver_closes_its_connections(inputs: AllInputs, database_url: str, pooler: Pooler) -> None:
    """It stores webhooks and merges with and without a transaction pooler, and then closes its connections."""
    engine = database.create_engine(f"{database_url}?application_name=receiver", pooler=pooler)
    async with receiving(engine, inputs) as receiver:
        await receive(receiver, "msg_1", flow_id="flow-1")
        await receive(receiver, "msg_2", **MERGE)
        await receive(receiver, "msg_1", flow_id="flow-1")

    counts = await stored.rows(inputs.engine, "SELECT received_count FROM webhooks ORDER BY message_id")
    assert [row["received_count"] for row in counts] == [2, 1]
    left = "SELECT count(*) AS count FROM pg_stat_activity WHERE application_name = 'receiver' AND state <> 'idle'"
    assert await stored.row(inputs.engine, left) == {"count": 0}


async def test_a_merge_is_not_recorded_without_its_webhook(inputs: AllInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """They share one transaction. If the webhook cannot be stored, the merge is not recorded either."""
    monkeypatch.setattr(webhook_rows, "_STORE", f"{webhook_rows._STORE} RETURNING 1 / 0")
    async with receiving(inputs.engine, inputs) as receiver:
        with pytest.raises(DatabaseUnavailableError):
            await receive(receiver, "msg_1", **MERGE)

    assert await stored.count(inputs.engine, "user_merges") == 0
