"""Finding stored webhooks in long lists of which few match."""

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
    """Store the webhook of this number. Each arrives a second after the one before."""
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


async def scans(engine: AsyncEngine, wanted: WebhookFilter, *, limit: int = 10) -> list[list[str]]:
    """Return the ids that each scan finds, up to the last scan."""
    found = []
    before: WebhookKey | None = None
    while True:
        async with database.transaction(engine) as connection:
            scan = await webhook_search.scan(connection, wanted, before=before, limit=limit)
        found.append([webhook.message_id for webhook in scan.webhooks])
        if scan.before is None:
            return found
        before = scan.before


async def test_a_scan_reads_a_bounded_number_of_webhooks(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan may find none without being the last. All scans together find every webhook once."""
    monkeypatch.setattr(webhook_search, "SCAN_LIMIT", 2)
    await receive(engine, 0, app="eu")
    for number in range(1, 6):
        await receive(engine, number)

    assert await scans(engine, WebhookFilter(app="eu")) == [[], [], ["msg_0"], []]
    assert await scans(engine, WebhookFilter(app="default")) == [
        ["msg_5", "msg_4"],
        ["msg_3", "msg_2"],
        ["msg_1"],
        [],
    ]


@pytest.mark.parametrize("waiting_limit", [0, 100])
async def test_states_are_found_whether_few_or_many_wait(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, waiting_limit: int
) -> None:
    """If few flows wait, the search starts from them, else it scans the webhooks. Both find the same."""
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
        state: [each for scan in await scans(engine, WebhookFilter(state=state), limit=2) for each in scan]
        for state in ("dead", "failing", "pending", "handled")
    }

    assert found == {
        "dead": ["msg_0"],
        "failing": ["msg_1"],
        "pending": ["msg_5", "msg_4", "msg_3"],
        "handled": ["msg_2"],
    }


async def test_a_sweep_does_not_delay_a_webhook(engine: AsyncEngine) -> None:
    """If a flow is due by a webhook and Dots' list names it too, it stays due by the webhook."""
    await receive(engine, 1)
    await syncing.mark_due(engine, subject(), by="sweep")
    waiting = await scans(engine, WebhookFilter(state="pending"))
    (claim,) = await syncing.claim_due(engine, now=NOW + timedelta(minutes=1))
    await syncing.settle(engine, claim)
    await syncing.mark_due(engine, subject(), by="sweep")

    assert waiting == [["msg_1"]]
    assert claim.due_by == "webhook"
    assert await syncing.row_of(engine, subject(), "due_by") == {"due_by": "sweep"}


async def test_a_page_without_a_match_may_have_a_next_page(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page ends after some scans, and says where the next page begins."""
    monkeypatch.setattr(webhook_search, "SCAN_LIMIT", 1)
    monkeypatch.setattr(replay_webhooks, "SCANS_PER_PAGE", 3)
    await receive(engine, 0, app="eu")
    for number in range(1, 5):
        await receive(engine, number)

    first = await replay_webhooks.list_webhooks(engine, WebhookFilter(app="eu"), before=None, limit=10)
    second = await replay_webhooks.list_webhooks(engine, WebhookFilter(app="eu"), before=first.before, limit=10)

    assert (first.webhooks, first.before) == ([], WebhookKey(NOW + timedelta(seconds=2), "default", "msg_2"))
    assert [webhook.message_id for webhook in second.webhooks] == ["msg_0"]
