"""What cannot succeed is given up, seen, and taken up again when somebody asks for it."""

from datetime import timedelta

import pytest

from app.flows import request_refreshes as ask_again_module
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
    """A webhook about a flow has come."""
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
    """Let the time pass, with a worker looking every hour."""
    for _ in range(hours):
        clock.advance(timedelta(hours=1))
        await refresh_due(inputs, limit=10)


async def test_a_flow_dots_does_not_know_is_given_up_after_a_day(inputs: AllInputs, clock: HandClock) -> None:
    """404 for longer than the grace time: dead, with its reason, and no more calls."""
    await announce(inputs, clock)

    await refresh_due(inputs, limit=10)
    await go_on(inputs, clock, hours=20)
    in_grace = await stored.row(inputs.engine, STATE)
    await go_on(inputs, clock, hours=12)

    assert in_grace == {"is_due": True, "is_dead": False, "last_error": "dots_not_found"}
    assert await stored.row(inputs.engine, STATE) == {"is_due": False, "is_dead": True, "last_error": "dots_not_found"}


async def test_what_dots_fails_at_is_never_given_up(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """A server error is Dots' own trouble, however long it lasts."""
    dots.fault = refusal(503, "service-unavailable")
    await announce(inputs, clock)

    await refresh_due(inputs, limit=10)
    await go_on(inputs, clock, hours=72)

    assert (await stored.row(inputs.engine, STATE))["is_dead"] is False


async def test_another_webhook_revives_the_dead(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """Dots knows the flow after all: its next webhook is enough."""
    await announce(inputs, clock)
    await refresh_due(inputs, limit=10)
    await go_on(inputs, clock, hours=32)
    dots.add_flow(1)

    await announce(inputs, clock, message_id="msg_2")
    await refresh_due(inputs, limit=10)

    assert await stored.count(inputs.engine, "flows") == 1
    assert (await stored.row(inputs.engine, STATE))["is_dead"] is False


async def test_the_dead_are_counted_first_and_replayed_then(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """A dry run changes nothing; the replay makes due what the dead webhooks were about, and only that."""
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


async def test_replay_makes_due_all_that_match_a_batch_at_a_time(
    inputs: AllInputs, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many match: a dry run stops counting and says so, the replay leaves none out."""
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


async def test_all_flows_that_match_are_asked_about_a_batch_at_a_time(
    inputs: AllInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count of a dry run has a bound, and says so; what is asked about has none."""
    monkeypatch.setattr(ask_again_module, "BATCH", 2)
    monkeypatch.setattr(ask_again_module, "COUNT_LIMIT", 4)
    for _ in range(7):
        request = FlowRequest(app="default", steps=["compliance"])
        await create(inputs, request)

    dry = await request_refreshes(inputs, FlowFilter(status="open"), is_dry_run=True)
    wet = await request_refreshes(inputs, FlowFilter(status="open"), is_dry_run=False)

    assert (dry, wet) == (RequestedRefreshes(flows=4, is_at_least=True), RequestedRefreshes(flows=7))
    assert await stored.rows(inputs.engine, "SELECT DISTINCT due_by FROM sync_rows") == [{"due_by": "refresh"}]


async def test_flows_without_a_webhook_are_taken_up_again_too(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """A flow of our own that Dots stops knowing, and never sent a word about: counted first, asked about then."""
    request = FlowRequest(app="default", steps=["compliance"])
    made = await create(inputs, request)
    gone = dots.flows.pop(made.answer["id"] or "")
    await go_on(inputs, clock, hours=72)
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
    """Replaying asks Dots once more, although everything was handled."""
    dots.add_flow(1)
    await announce(inputs, clock)
    await refresh_due(inputs, limit=10)
    dots.requests.clear()

    done = await replay_one(inputs, "default", "msg_1")
    await refresh_due(inputs, limit=10)

    assert done == Replay(webhooks=1, subjects=1, is_dry_run=False)
    assert len(dots.requests) == 1


async def test_a_wake_up_during_the_last_try_is_not_dead(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """A webhook comes while Dots is saying 404 for the last time: it gets a try of its own."""
    await announce(inputs, clock)
    await refresh_due(inputs, limit=10)
    await go_on(inputs, clock, hours=23)

    async def webhook_comes() -> None:
        await announce(inputs, clock, message_id="msg_2")

    dots.on_request = webhook_comes
    await go_on(inputs, clock, hours=9)

    assert await stored.row(inputs.engine, STATE) == {"is_due": True, "is_dead": False, "last_error": "dots_not_found"}
