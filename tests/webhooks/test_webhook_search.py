"""Lists of stored webhooks that are long, and of which few match."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage import database
from app.webhooks import replay_webhooks, webhook_rows, webhook_search
from app.webhooks.webhook_rows import Webhook
from app.webhooks.webhook_search import WebhookFilter, WebhookKey
from tests.dots.fake_dots import NOW
from tests.flows import syncing
from tests.flows.syncing import subject


async def receive(engine: AsyncEngine, number: int, *, app: str = "default", about: int = 1) -> None:
    """The webhook of this number, each a second after the one before."""
    webhook = Webhook(
        app=app,
        message_id=f"msg_{number}",
        received_at=NOW + number * timedelta(seconds=1),
        body=b"{}",
        event="flow.updated",
        subject=subject(about, app=app),
    )
    async with database.transaction(engine) as connection:
        await webhook_rows.store(connection, [webhook])


async def stretches(engine: AsyncEngine, wanted: WebhookFilter, *, limit: int = 10) -> list[list[str]]:
    """The ids that each step finds, to the end."""
    found = []
    before: WebhookKey | None = None
    while True:
        async with database.transaction(engine) as connection:
            step = await webhook_search.scan(connection, wanted, before=before, limit=limit)
        found.append([webhook.message_id for webhook in step.webhooks])
        if step.before is None:
            return found
        before = step.before


async def test_a_step_looks_at_a_stretch_of_webhooks(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may find none and not be the last; all steps together find every webhook once."""
    monkeypatch.setattr(webhook_search, "SCAN_LIMIT", 2)
    await receive(engine, 0, app="eu")
    for number in range(1, 6):
        await receive(engine, number)

    assert await stretches(engine, WebhookFilter(app="eu")) == [[], [], ["msg_0"], []]
    assert await stretches(engine, WebhookFilter(app="default")) == [
        ["msg_5", "msg_4"],
        ["msg_3", "msg_2"],
        ["msg_1"],
        [],
    ]


@pytest.mark.parametrize("waiting_limit", [0, 100])
async def test_states_are_found_whether_few_or_many_wait(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, waiting_limit: int
) -> None:
    """By way of the flows that wait when they are few, else by looking through the webhooks: the same are found."""
    monkeypatch.setattr(webhook_search, "WAITING_LIMIT", waiting_limit)
    for number in range(4):
        await receive(engine, number, about=number)
    first, second, third, _ = await syncing.claim_due(engine, now=NOW + timedelta(minutes=1))
    await syncing.dead_letter(engine, first)
    await syncing.postpone(engine, second)
    await syncing.settle(engine, third)
    await receive(engine, 4, about=2)
    await receive(engine, 5, about=3)

    found = {
        state: [each for step in await stretches(engine, WebhookFilter(state=state), limit=2) for each in step]
        for state in ("dead", "failing", "pending", "handled")
    }

    assert found == {
        "dead": ["msg_0"],
        "failing": ["msg_1"],
        "pending": ["msg_5", "msg_4", "msg_3"],
        "handled": ["msg_2"],
    }


async def test_listing_leaves_what_a_webhook_asked_for_among_the_asked_for(engine: AsyncEngine) -> None:
    """A page of Dots' list that names the flow too does not make its webhook wait as long as a sweep."""
    await receive(engine, 1)
    await syncing.mark_due(engine, subject(), by="sweep")
    waiting = await stretches(engine, WebhookFilter(state="pending"))
    (claim,) = await syncing.claim_due(engine, now=NOW + timedelta(minutes=1))
    await syncing.settle(engine, claim)
    await syncing.mark_due(engine, subject(), by="sweep")

    assert waiting == [["msg_1"]]
    assert claim.due_by == "webhook"
    assert await syncing.row_of(engine, subject(), "due_by") == {"due_by": "sweep"}


async def test_page_goes_on_through_stretches_without_a_match(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page looks through some stretches; when it ends without enough, it still says where the next one begins."""
    monkeypatch.setattr(webhook_search, "SCAN_LIMIT", 1)
    monkeypatch.setattr(replay_webhooks, "SCANS_PER_PAGE", 3)
    await receive(engine, 0, app="eu")
    for number in range(1, 5):
        await receive(engine, number)

    first = await replay_webhooks.list_webhooks(engine, WebhookFilter(app="eu"), before=None, limit=10)
    second = await replay_webhooks.list_webhooks(engine, WebhookFilter(app="eu"), before=first.before, limit=10)

    assert (first.webhooks, first.before) == ([], WebhookKey(NOW + timedelta(seconds=2), "default", "msg_2"))
    assert [webhook.message_id for webhook in second.webhooks] == ["msg_0"]
