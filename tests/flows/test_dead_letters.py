"""Refreshes that cannot succeed become dead letters, and are taken up again on request."""

from datetime import timedelta

import pytest

from app.flows import request_refreshes as request_refreshes_module
from app.flows.flow_search import FlowFilter
from app.flows.refresh_due import refresh_due
from app.flows.request_refreshes import RequestedRefreshes, request_refreshes
from app.flows.rules.flow_request import FlowRequest
from app.storage import database
from app.storage.subjects import Subject
from app.webhooks import replay_webhooks, webhook_rows
from app.webhooks.replay_webhooks import (
    Replay,
    list_webhooks,
    replay,
    replay_one,
)
from app.webhooks.webhook_rows import Webhook
from app.webhooks.webhook_search import WebhookFilter
from tests.all_inputs import AllInputs, HandClock
from tests.dots.memory_dots import MemoryDots, flow_id_of, refusal
from tests.flows.creating import create
from tests.storage import stored

STATE = "SELECT due_at IS NOT NULL AS is_due, dead_at IS NOT NULL AS is_dead, last_error FROM sync_rows"


async def announce(inputs: AllInputs, clock: HandClock, *, message_id: str = "msg_1", number: int = 1) -> None:
    """Store a webhook about a flow."""
    webhook = Webhook(
        app="default",
        message_id=message_id,
        received_at=clock.now,
        body=b"{}",
        event="flow.updated",
        subject=Subject(app="default", kind="flow", id=flow_id_of(number)),
    )
    async with database.transaction(inputs.engine) as connection:
        await webhook_rows.store(connection, [webhook])


async def go_on(inputs: AllInputs, clock: HandClock, *, hours: int) -> None:
    """Run a worker's pass every hour."""
    for _ in range(hours):
        clock.advance(timedelta(hours=1))
        await refresh_due(inputs, limit=10)


async def test_a_flow_dots_does_not_know_becomes_a_dead_letter_after_a_day(inputs: AllInputs, clock: HandClock) -> None:
    """After 404s for longer than `dead_after`, the row is dead, with its reason."""
    await announce(inputs, clock)

    await refresh_due(inputs, limit=10)
    await go_on(inputs, clock, hours=20)
    in_grace = await stored.row(inputs.engine, STATE)
    await go_on(inputs, clock, hours=12)

    assert in_grace == {"is_due": True, "is_dead": False, "last_error": "dots_not_found"}
    assert await stored.row(inputs.engine, STATE) == {"is_due": False, "is_dead": True, "last_error": "dots_not_found"}


async def test_server_errors_never_make_a_dead_letter(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """A flow is retried however long Dots has server errors."""
    dots.fault = refusal(503, "service-unavailable")
    await announce(inputs, clock)

    await refresh_due(inputs, limit=10)
    await go_on(inputs, clock, hours=48)

    assert (await stored.row(inputs.engine, STATE))["is_dead"] is False


async def test_another_webhook_revives_the_dead(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """A dead letter is refreshed after the next webhook."""
    await announce(inputs, clock)
    await refresh_due(inputs, limit=10)
    await go_on(inputs, clock, hours=32)
    dots.add_flow(1)

    await announce(inputs, clock, message_id="msg_2")
    await refresh_due(inputs, limit=10)

    assert await stored.count(inputs.engine, "flows") == 1
    assert (await stored.row(inputs.engine, STATE))["is_dead"] is False


async def test_dead_webhooks_are_counted_and_replayed(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """A dry run changes nothing. The replay makes only the subjects of dead webhooks due."""
    await announce(inputs, clock)
    await refresh_due(inputs, limit=10)
    await go_on(inputs, clock, hours=32)
    dots.add_flow(1)
    dots.add_flow(2)
    await announce(inputs, clock, message_id="msg_2", number=2)
    await refresh_due(inputs, limit=10)
    dead = WebhookFilter(state="dead")

    dry = await replay(inputs, dead, is_dry_run=True)
    after_dry = await list_webhooks(inputs.engine, dead, before=None, limit=10)
    wet = await replay(inputs, dead, is_dry_run=False)
    await refresh_due(inputs, limit=10)

    assert dry == Replay(webhooks=1, subjects=1, is_dry_run=True)
    assert [webhook.message_id for webhook in after_dry.webhooks] == ["msg_1"]
    assert wet == Replay(webhooks=1, subjects=1, is_dry_run=False)
    listed = (await list_webhooks(inputs.engine, WebhookFilter(), before=None, limit=10)).webhooks
    assert [(webhook.message_id, webhook.state) for webhook in listed] == [
        ("msg_2", "handled"),
        ("msg_1", "handled"),
    ]


async def test_replay_works_in_batches(inputs: AllInputs, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run stops at its limit and says so. The replay includes every match."""
    monkeypatch.setattr(replay_webhooks, "BATCH", 2)
    monkeypatch.setattr(replay_webhooks, "COUNT_LIMIT", 4)
    for number in range(7):
        await announce(inputs, clock, message_id=f"msg_{number}", number=number)

    dry = await replay(inputs, WebhookFilter(state="pending"), is_dry_run=True)
    wet = await replay(inputs, WebhookFilter(state="pending"), is_dry_run=False)

    generations = await stored.rows(inputs.engine, "SELECT DISTINCT dirty_gen, due_by FROM sync_rows")
    assert dry == Replay(webhooks=4, subjects=4, is_dry_run=True, is_at_least=True)
    assert wet == Replay(webhooks=7, subjects=7, is_dry_run=False)
    assert generations == [{"dirty_gen": 2, "due_by": "refresh"}]


async def test_requested_refreshes_work_in_batches(inputs: AllInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run stops at its limit and says so. The request includes every match."""
    monkeypatch.setattr(request_refreshes_module, "BATCH", 2)
    monkeypatch.setattr(request_refreshes_module, "COUNT_LIMIT", 4)
    for _ in range(7):
        request = FlowRequest(app="default", steps=["compliance"])
        await create(inputs, request)

    dry = await request_refreshes(inputs, FlowFilter(status="open"), is_dry_run=True)
    wet = await request_refreshes(inputs, FlowFilter(status="open"), is_dry_run=False)

    assert (dry, wet) == (RequestedRefreshes(flows=4, is_at_least=True), RequestedRefreshes(flows=7))
    assert await stored.rows(inputs.engine, "SELECT DISTINCT due_by FROM sync_rows") == [{"due_by": "refresh"}]


async def test_dead_flows_without_a_webhook_are_refreshed_on_request(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """A dry run counts our own dead flow and changes nothing. The request refreshes it."""
    request = FlowRequest(app="default", steps=["compliance"])
    made = await create(inputs, request)
    gone = dots.flows.pop(made.answer["id"] or "")
    await go_on(inputs, clock, hours=48)
    dead = FlowFilter(is_dead=True)

    counts = [
        await request_refreshes(inputs, dead, is_dry_run=True),
        await request_refreshes(inputs, dead, is_dry_run=True),
    ]
    still_dead = await stored.row(inputs.engine, STATE)
    asked = await request_refreshes(inputs, dead, is_dry_run=False)
    dots.flows[gone["id"]] = gone
    await refresh_due(inputs, limit=10)

    assert counts == [RequestedRefreshes(flows=1), RequestedRefreshes(flows=1)]
    assert still_dead == {"is_due": False, "is_dead": True, "last_error": "dots_not_found"}
    assert asked == RequestedRefreshes(flows=1)
    assert await stored.row(inputs.engine, STATE) == {"is_due": True, "is_dead": False, "last_error": None}


async def test_one_webhook_is_replayed_by_its_id(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """Dots is asked again about the webhook's subject, although it was handled."""
    dots.add_flow(1)
    await announce(inputs, clock)
    await refresh_due(inputs, limit=10)
    dots.requests.clear()

    done = await replay_one(inputs, "default", "msg_1")
    await refresh_due(inputs, limit=10)

    assert done == Replay(webhooks=1, subjects=1, is_dry_run=False)
    assert len(dots.requests) == 1


async def test_a_webhook_during_the_last_try_keeps_the_flow_alive(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """A webhook that arrives during the last 404 gets another try."""
    await announce(inputs, clock)
    await refresh_due(inputs, limit=10)
    await go_on(inputs, clock, hours=23)

    async def webhook_comes() -> None:
        await announce(inputs, clock, message_id="msg_2")

    dots.on_request = webhook_comes
    await go_on(inputs, clock, hours=9)

    assert await stored.row(inputs.engine, STATE) == {"is_due": True, "is_dead": False, "last_error": "dots_not_found"}
