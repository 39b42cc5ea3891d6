"""The frequent statements and those over growing tables, and how many pages each may read."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from app.dots.snapshots import FlowSnapshot
from app.feed import event_rows
from app.flows import (
    flow_rows,
    flow_search,
    listing_rows,
    merge_rows,
    refresh_rows,
    sync_rows,
    user_rows,
)
from app.flows.flow_rows import FlowChange
from app.flows.flow_search import FlowFilter
from app.flows.sync_rows import Claim
from app.storage.subjects import Subject
from app.subscriptions import delivery_search, subscriber_health
from app.upkeep import delivery_stats, expired_rows, health_stats
from app.webhooks import webhook_rows, webhook_search
from app.webhooks.webhook_rows import Webhook
from app.webhooks.webhook_search import WebhookFilter
from tests.storage.plans import PlanCase

Run = Callable[[AsyncConnection], Awaitable[object]]

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
FLOW = Subject(app="default", kind="flow", id="flow-7001")
BUSY_USER = Subject(app="default", kind="user", id="user-1")
# For an index look-up or the update of one row and its indexes; for a page of flows with their steps; for one scan of
# webhooks.
LOOK_UP, PAGE, SCAN_LIMIT = 60, 2_000, 5_000
COMMON, RARE = (UUID(hashlib.md5(name).hexdigest()) for name in (b"subscription1", b"subscription3"))  # noqa: S324  # as in the rows


def _flows(**wanted: Any) -> Run:
    return lambda connection: flow_search.page(connection, FlowFilter(**wanted), before=None, limit=51)


def _webhooks(**wanted: Any) -> Run:
    return lambda connection: webhook_search.scan(connection, WebhookFilter(**wanted), before=None, limit=51)


def _purge(step: Callable[..., Awaitable[int]], *, days: int) -> Run:
    return lambda connection: step(connection, before=NOW - days * DAY, limit=50)


def _latest_failed(subscription_id: UUID, since: datetime | None) -> Run:
    return lambda connection: subscriber_health.latest_failed(connection, subscription_id, since=since, limit=20)


def _subjects() -> list[Subject]:
    return [Subject(app="default", kind="flow", id=f"flow-{number}") for number in range(7000, 7032)]


def _claim(subject: Subject) -> Claim:
    return Claim(
        subject=subject, token=COMMON, lease_until=NOW, seen_gen=1, due_by="sweep", attempts=0, failing_since=None
    )


async def _save_flows(connection: AsyncConnection) -> None:
    """Save locked flows as they are."""
    known = await flow_rows.lock_free(connection, _subjects())
    said = FlowSnapshot(
        id="",
        steps=(),
        completed_steps=(),
        user_id=None,
        link=None,
        metadata=None,
        client_ref=None,
        payout_link_id=None,
        created_at=None,
    )
    changes = [
        FlowChange(
            known=each,
            snapshot=replace(said, id=subject.id),
            progress=replace(each.progress, completed=each.progress.steps),
            discovered_by="sweep",
            events_added=0,
        )
        for subject, each in known.items()
    ]
    await flow_rows.save(connection, changes, now=NOW)


def _webhook(number: int) -> Webhook:
    subject = Subject(app="default", kind="flow", id=f"flow-{number}")
    return Webhook(
        app="default", message_id=f"new_{number}", received_at=NOW, body=b"{}", event="flow.updated", subject=subject
    )


def _merge(number: int) -> Webhook:
    """A webhook that merges a user into a new one: a user that was merged before, or one that other merges wait for."""
    subject = Subject(app="default", kind="user", id=f"new-{number}")
    return replace(_webhook(number), subject=subject, merged_user_id=f"{'old' if number % 2 else 'user'}-{number}")


_LOOK_UPS: dict[str, Run] = {
    "flow by id": lambda connection: flow_rows.find(connection, FLOW.id),
    "flow to merge into": lambda connection: flow_rows.lock(connection, "default", FLOW.id),
    "user by id": lambda connection: user_rows.find(connection, "user-77"),
    "flows that an event of a user names": lambda connection: flow_search.of_user(
        connection, "default", "user-77", step="payout", limit=100
    ),
    "flows of a user without the step": lambda connection: flow_search.of_user(
        connection, "default", "user-77", step="unknown", limit=100
    ),
    "users that were merged": lambda connection: user_rows.take_over(
        connection, "default", ["user-77"], "user-78", now=NOW
    ),
    "survivors of merges": lambda connection: merge_rows.survivors(connection, [BUSY_USER]),
    "merges that wait for a user": lambda connection: merge_rows.lock_waiting(connection, BUSY_USER, limit=20),
    "applied merges": lambda connection: merge_rows.settle(connection, "default", ["old-1"], now=NOW),
    "users that rest": lambda connection: sync_rows.rest(connection, [BUSY_USER]),
    "webhook by id": lambda connection: webhook_search.find(connection, "default", "msg_1"),
    "webhooks of a timeline": lambda connection: webhook_rows.about(connection, FLOW, 200),
    "timeline of a user with many webhooks": lambda connection: webhook_rows.about(connection, BUSY_USER, 50),
    "refreshes of a timeline": lambda connection: refresh_rows.about(connection, FLOW, limit=200),
    "events of a timeline": lambda connection: event_rows.about(connection, "default", str(FLOW), limit=200),
    "deliveries of a timeline": lambda connection: delivery_search.about(connection, FLOW, 200),
    "listed flows that are unknown": lambda connection: listing_rows.unknown(connection, "default", {"flow-1", "x"}),
    "creations without outcome": lambda connection: listing_rows.unsettled(connection, "default", before=NOW),
    "breaker of a common subscription": _latest_failed(COMMON, None),
    "breaker since a moment ago": _latest_failed(COMMON, NOW),
    "breaker of a rare subscription": _latest_failed(RARE, None),
}

_LISTS: dict[str, Run] = {
    "flows": _flows(),
    "flows by id": _flows(id=FLOW.id),
    "flows of a user": _flows(user_id="user-7"),
    "flows by reference": _flows(reference="payee-7"),
    "flows that failed": _flows(status="failed"),
    "flows that are open": _flows(status="open"),
    "flows of a common app": _flows(app="default"),
    "flows of a rare app": _flows(app="eu"),
    "flows of no app": _flows(app="us"),
    "open flows of a rare app": _flows(app="eu", status="open"),
    "failed flows of a common app": _flows(app="default", status="failed"),
    "flows before a common step": _flows(step="payout"),
    "flows before a rare step": _flows(step="rare-step"),
    "flows before an unknown step": _flows(step="unknown"),
    "dead flows": _flows(is_dead=True),
    "living flows": _flows(is_dead=False),
    "flows of a time": _flows(created_before=NOW - 10 * DAY, created_from=NOW - 12 * DAY),
    "failed flows of a time": _flows(status="failed", created_before=NOW - 5 * DAY),
    "flows to ask about": lambda connection: flow_search.subjects(
        connection, FlowFilter(status="open"), before=None, limit=100
    ),
    "webhooks": _webhooks(),
    "webhooks of a subject": _webhooks(subject_id=FLOW.id),
    "webhooks of a common event": _webhooks(event="flow.updated"),
    "webhooks of a rare event": _webhooks(event="rare.event"),
    "webhooks of no event": _webhooks(event="unknown"),
    "webhooks of a time": _webhooks(received_before=NOW - 10 * DAY, received_from=NOW - 12 * DAY),
    "handled webhooks": _webhooks(state="handled"),
    "dead webhooks": _webhooks(state="dead"),
    "pending webhooks": _webhooks(state="pending"),
    "failing webhooks": _webhooks(state="failing"),
    "dead webhooks of a rare app": _webhooks(state="dead", app="eu"),
}

_PASSES: dict[str, Run] = {
    "storing webhooks": lambda connection: webhook_rows.store(connection, [_webhook(number) for number in range(32)]),
    "flows to merge into": lambda connection: flow_rows.lock_free(connection, _subjects()),
    "sync rows to settle": lambda connection: sync_rows.lock(connection, _subjects()),
    "settling": lambda connection: sync_rows.settle_all(connection, [(_claim(each), NOW) for each in _subjects()]),
    "saving flows": _save_flows,
    "storing merges": lambda connection: webhook_rows.store(connection, [_merge(number) for number in range(32)]),
    "flows of a merged user": lambda connection: user_rows.move_flows(
        connection, "default", "user-77", "user-78", limit=500
    ),
    "purge of bodies": _purge(expired_rows.forget_bodies, days=12),
    "purge of webhooks": _purge(expired_rows.delete_webhooks, days=18),
    "purge of refreshes": _purge(expired_rows.delete_refreshes, days=18),
    "purge of answers": _purge(expired_rows.delete_answers, days=18),
    "purge of events": _purge(expired_rows.delete_events, days=18),
    "health stats": lambda connection: health_stats.take(connection, apps=["default"], now=NOW, overdue_before=NOW),
    "dead letters": lambda connection: health_stats.given_up(connection, apps=["default", "eu"], limit=5),
    "delivery stats": lambda connection: delivery_stats.take(connection, now=NOW),
}

# Webhooks of this age have no bodies any more.
_IDLE_PASSES: dict[str, Run] = {
    "purge of no bodies": _purge(expired_rows.forget_bodies, days=14),
    "purge of no webhooks": _purge(expired_rows.delete_webhooks, days=100),
    "purge of no refreshes": _purge(expired_rows.delete_refreshes, days=100),
    "purge of no answers": _purge(expired_rows.delete_answers, days=100),
    "purge of no events": _purge(expired_rows.delete_events, days=100),
}

CASES: list[PlanCase] = [
    *(PlanCase(name=name, run=run, most_pages=LOOK_UP) for name, run in _LOOK_UPS.items()),
    *(PlanCase(name=name, run=run, most_pages=PAGE) for name, run in _LISTS.items()),
    # Each stored webhook and each deleted row writes to every index of its table.
    *(PlanCase(name=name, run=run, most_pages=PAGE) for name, run in _PASSES.items()),
    *(PlanCase(name=name, run=run, most_pages=LOOK_UP) for name, run in _IDLE_PASSES.items()),
    PlanCase(name="webhooks of a rare app", run=_webhooks(app="eu"), most_pages=SCAN_LIMIT),
]
