import asyncio
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from app.dots.app_ids import AppIds
from app.dots.signature import Attestation
from app.errors import OverloadedError
from app.server.gateway import Gateway
from app.webhooks import receive_webhook
from app.webhooks.endpoint import WebhookEndpoint
from app.webhooks.receive_webhook import WebhookReceiver
from tests.all_inputs import AllInputs, HandClock
from tests.dots.fake_dots import FLOW, NOW
from tests.dots.signed_webhooks import BODY
from tests.storage import stored
from tests.storage.locks import until_waiting
from tests.webhooks.sending import PATH, signed

SUBJECTS = "SELECT kind, subject_id, due_at, due_by, dirty_gen, clean_gen FROM sync_rows ORDER BY kind"
CUT_ALL_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
WAIT = "PERFORM pg_advisory_xact_lock(17);"


def at_commit(body: str) -> tuple[str, str]:
    """Return statements that make Postgres run this code in the COMMIT of a transaction that stores a webhook."""
    function = f"CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$"
    trigger = (
        "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON webhooks DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION at_commit()"
    )
    return function, trigger


async def send(client: httpx.AsyncClient, message_id: str, body: bytes = BODY) -> httpx.Response:
    """Send one webhook as Dots does."""
    return await client.post(PATH, headers=signed(message_id, body), content=body)


async def test_webhook_makes_its_flow_due(stranger: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """A webhook only says "look again". The flow is then due for a refresh."""
    await send(stranger, "msg_1")

    assert await stored.row(engine, "SELECT * FROM webhooks") == {
        "app": "default",
        "message_id": "msg_1",
        "received_at": NOW,
        "last_received_at": NOW,
        "received_count": 1,
        "body": BODY,
        "event": "flow.updated",
        "kind": "flow",
        "subject_id": FLOW,
        "raised_gen": 1,
    }
    assert await stored.row(engine, SUBJECTS) == {
        "kind": "flow",
        "subject_id": FLOW,
        "due_at": NOW,
        "due_by": "webhook",
        "dirty_gen": 1,
        "clean_gen": 0,
    }


async def test_repeat_is_counted_and_makes_due_again(
    stranger: httpx.AsyncClient, engine: AsyncEngine, clock: HandClock
) -> None:
    """Svix repeats with the same id. There is one row, and the flow is due again although it was refreshed."""
    await send(stranger, "msg_1")
    await stored.execute(engine, "UPDATE sync_rows SET clean_gen = dirty_gen, due_at = NULL")
    clock.advance(timedelta(seconds=5))
    answer = await send(stranger, "msg_1")

    assert answer.status_code == 204
    kept = await stored.row(engine, "SELECT received_count, received_at, last_received_at FROM webhooks")
    assert kept == {"received_count": 2, "received_at": NOW, "last_received_at": NOW + timedelta(seconds=5)}
    due = await stored.row(engine, SUBJECTS)
    assert (due["dirty_gen"], due["clean_gen"], due["due_at"]) == (2, 1, NOW + timedelta(seconds=5))


async def test_copies_at_the_same_time_are_one_row(stranger: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """All copies are acknowledged and counted."""
    answers = await asyncio.gather(*(send(stranger, "msg_1") for _ in range(20)))

    assert {answer.status_code for answer in answers} == {204}
    assert await stored.row(engine, "SELECT received_count FROM webhooks") == {"received_count": 20}


@pytest.mark.parametrize("state", ["P0001", "53100", "40001"])
async def test_commit_that_fails_is_503_and_no_row(
    stranger: httpx.AsyncClient, engine: AsyncEngine, state: str
) -> None:
    """A webhook is acknowledged only after its commit. After a failure Dots' repeat is stored."""
    await stored.execute(engine, *at_commit(f"RAISE EXCEPTION 'the disk is full' USING ERRCODE = '{state}';"))

    answer = await send(stranger, "msg_1")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["code"] == "database_unavailable"
    assert "disk" not in answer.text
    assert await stored.count(engine, "webhooks") == 0

    await stored.execute(engine, "DROP TRIGGER at_commit ON webhooks")

    assert (await send(stranger, "msg_1")).status_code == 204
    assert await stored.row(engine, "SELECT received_count FROM webhooks") == {"received_count": 1}


async def test_no_answer_before_the_commit(stranger: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """The 204 is sent after COMMIT has ended."""
    await stored.execute(engine, *at_commit(WAIT))
    async with engine.connect() as holder:
        await holder.exec_driver_sql("SELECT pg_advisory_lock(17)")
        sending = asyncio.create_task(send(stranger, "msg_1"))
        await until_waiting(engine)
        was_answered = sending.done()
        visible = await stored.count(engine, "webhooks")
        await holder.exec_driver_sql("SELECT pg_advisory_unlock(17)")
        answer = await sending

    assert not was_answered
    assert visible == 0
    assert answer.status_code == 204


async def test_connection_lost_in_the_commit_is_503(stranger: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """If Postgres closes the connection during COMMIT, the answer is 503. The repeat uses a new connection."""
    await stored.execute(engine, *at_commit(WAIT))
    async with engine.connect() as holder:
        await holder.exec_driver_sql("SELECT pg_advisory_lock(17)")
        sending = asyncio.create_task(send(stranger, "msg_1"))
        (pid,) = await until_waiting(engine)
        await stored.execute(engine, f"SELECT pg_terminate_backend({pid})")
        answer = await sending
        await holder.exec_driver_sql("SELECT pg_advisory_unlock(17)")
    rows_after_the_cut = await stored.count(engine, "webhooks")
    repeated = await send(stranger, "msg_1")

    assert answer.status_code == 503
    assert rows_after_the_cut == 0
    assert repeated.status_code == 204


async def test_lost_idle_connections_are_replaced(stranger: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """After a restart of Postgres, webhooks may get 503 and soon get 204 again. They never get 500."""
    await asyncio.gather(*(stored.count(engine, "webhooks") for _ in range(5)))
    await stored.execute(engine, CUT_ALL_OTHERS)

    statuses = [(await send(stranger, "msg_1")).status_code for _ in range(5)]

    assert set(statuses) <= {503, 204}
    assert statuses[-1] == 204


@pytest.fixture
def short_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the receiver's queue hold three webhooks."""
    monkeypatch.setattr(receive_webhook, "WAITING_LIMIT", 3)


@pytest.mark.usefixtures("short_queue")
async def test_overload_is_503_immediately(stranger: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """A full queue refuses new webhooks. Those in it still get their 204."""
    await stored.execute(engine, *at_commit(WAIT))
    async with engine.connect() as holder:
        await holder.exec_driver_sql("SELECT pg_advisory_lock(17)")
        first = asyncio.create_task(send(stranger, "msg_0"))
        await until_waiting(engine)
        waiting = [asyncio.create_task(send(stranger, f"msg_{number}")) for number in range(1, 4)]
        await asyncio.wait(waiting, timeout=0.2)
        refused = await send(stranger, "msg_4")
        await holder.exec_driver_sql("SELECT pg_advisory_unlock(17)")
        answers = await asyncio.gather(first, *waiting)

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "5"
    assert refused.json()["code"] == "overloaded"
    assert {answer.status_code for answer in answers} == {204}
    assert await stored.count(engine, "webhooks") == 4


async def test_queue_is_bounded_in_bytes_too(inputs: AllInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few large webhooks cannot fill the memory."""
    monkeypatch.setattr(receive_webhook, "WAITING_LIMIT_BYTES", 100)
    receiver = WebhookReceiver(inputs.engine, inputs.notifications, inputs.telemetry, AppIds({}))
    attestation = Attestation(message_id="msg_1", attempted_at=NOW)
    waiting = asyncio.create_task(receiver.receive("default", attestation, b"x" * 60, received_at=NOW))
    await asyncio.sleep(0)

    with pytest.raises(OverloadedError):
        await receiver.receive("default", attestation, b"x" * 60, received_at=NOW)

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_slow_database_is_503_before_svix_gives_up(
    stranger: httpx.AsyncClient, app: FastAPI, gateway: Gateway, engine: AsyncEngine
) -> None:
    """Svix waits 15 s, and the 503 comes earlier. The webhook may be stored later, which does no harm."""
    app.state.webhook_endpoint = WebhookEndpoint(gateway.webhooks, answer_seconds=0.05)
    await stored.execute(engine, *at_commit(WAIT))
    async with engine.connect() as holder:
        await holder.exec_driver_sql("SELECT pg_advisory_lock(17)")
        answer = await send(stranger, "msg_1")
        await holder.exec_driver_sql("SELECT pg_advisory_unlock(17)")

    assert answer.status_code == 503


async def test_webhooks_at_the_same_time_share_commits(stranger: httpx.AsyncClient, inputs: AllInputs) -> None:
    """A hundred concurrent webhooks are stored once each, in at most 20 commits."""
    answers = await asyncio.gather(*(send(stranger, f"msg_{number}") for number in range(100)))

    commits = inputs.telemetry.registry.get_sample_value("dots_gateway_webhook_batch_size_count")
    webhooks = inputs.telemetry.registry.get_sample_value("dots_gateway_webhook_batch_size_sum")
    assert {answer.status_code for answer in answers} == {204}
    assert await stored.count(inputs.engine, "webhooks") == 100
    assert webhooks == 100
    assert commits is not None
    assert commits <= 20
