import asyncio

import pytest

from app.dots.app_ids import AppIds
from app.dots.signature import Attestation
from app.storage import database
from app.storage.notifications import Notifications
from app.webhooks.receive_webhook import WebhookReceiver
from tests.all_inputs import AllInputs
from tests.dots.fake_dots import NOW
from tests.storage import stored

DEADLINE_SECONDS = 10
# Rows are locked slowly, so that another statement can lock rows in between.
SLOW_ROWS = (
    "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END $$",
    "CREATE TRIGGER slow BEFORE INSERT ON webhooks FOR EACH ROW EXECUTE FUNCTION slow()",
    "CREATE TRIGGER slow BEFORE INSERT ON sync_rows FOR EACH ROW EXECUTE FUNCTION slow()",
)


@pytest.mark.parametrize("subjects", [0, 7])
async def test_two_processes_store_the_same_webhooks(database_url: str, inputs: AllInputs, subjects: int) -> None:
    """Two receivers with separate pools get the same ids in opposite order. They do not deadlock, and count all."""
    await stored.execute(inputs.engine, *SLOW_ROWS)
    engines = [database.create_engine(database_url) for _ in range(2)]
    receivers = [WebhookReceiver(engine, Notifications(engine), inputs.telemetry, AppIds({})) for engine in engines]
    writers = [asyncio.create_task(receiver.run()) for receiver in receivers]
    bodies = [b'{"flow_id":"flow-%d"}' % (number % subjects) if subjects else b"{}" for number in range(20)]

    async def receive(receiver: WebhookReceiver, number: int) -> None:
        attestation = Attestation(message_id=f"msg_{number:02}", attempted_at=NOW)
        await receiver.receive("default", attestation, bodies[number], received_at=NOW)

    async with asyncio.timeout(DEADLINE_SECONDS):
        for _ in range(2):
            await asyncio.gather(
                *(receive(receivers[0], number) for number in range(20)),
                *(receive(receivers[1], number) for number in reversed(range(20))),
            )

    for writer in writers:
        writer.cancel()
    await asyncio.gather(*writers, return_exceptions=True)
    for engine in engines:
        await engine.dispose()
    counts = await stored.rows(inputs.engine, "SELECT received_count FROM webhooks")
    assert [row["received_count"] for row in counts] == [4] * 20
    assert await stored.count(inputs.engine, "sync_rows") == subjects
