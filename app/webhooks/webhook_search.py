"""Finds stored webhooks by their properties and their state.

Each statement reads a bounded number of rows, however many webhooks there are and however few match.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, func, literal_column, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.selectable import LateralFromClause

from app.flows.tables import sync_rows
from app.storage import planning
from app.storage.subjects import Subject
from app.webhooks.tables import webhooks

# handled: a refresh that began after its arrival has succeeded, or it is about nothing that is followed.
# dead: its refresh was given up.
WebhookState = Literal["handled", "pending", "failing", "dead"]

# The most webhooks that one scan reads.
SCAN_LIMIT = 10_000
# Up to this many waiting flows and users, a search for their webhooks starts from them. With more of them, it scans
# the webhooks, most of which are then about one of them.
WAITING_LIMIT = 1_000


@dataclass(frozen=True, kw_only=True)
class WebhookFilter:
    """The conditions of a search. None means any value."""

    app: str | None = None
    event: str | None = None
    subject_id: str | None = None
    state: WebhookState | None = None
    received_from: datetime | None = None
    received_before: datetime | None = None


class WebhookKey(NamedTuple):
    """The key that orders webhooks in lists, latest first."""

    received_at: datetime
    app: str
    message_id: str


@dataclass(frozen=True, kw_only=True)
class WebhookSummary:
    """A stored webhook without its body. Its subject is None if it is about nothing that is followed."""

    app: str
    message_id: str
    event: str | None
    subject_kind: str | None
    subject_id: str | None
    received_at: datetime
    last_received_at: datetime
    received_count: int
    state: WebhookState
    last_error: str | None


@dataclass(frozen=True, kw_only=True)
class WebhookScan:
    """The webhooks that a scan found, latest first. The next scan begins `before` this key. None: this was the last."""

    webhooks: list[WebhookSummary]
    before: WebhookKey | None


_ORDER = (webhooks.c.received_at, webhooks.c.app, webhooks.c.message_id)


async def scan(
    connection: AsyncConnection, wanted: WebhookFilter, *, before: WebhookKey | None, limit: int
) -> WebhookScan:
    """Find the latest webhooks that match and are older than `before`, at most `limit`. Reads at most SCAN_LIMIT.

    A scan may find none although older webhooks match.
    """
    await planning.plan_for_values(connection)
    if wanted.state in ("dead", "pending", "failing") and await _are_few(connection, wanted):
        found = await _waiting(connection, wanted, before, limit)
        return WebhookScan(webhooks=found, before=_key(found[-1]) if len(found) == limit else None)
    scanned = _next(wanted, before).limit(SCAN_LIMIT).subquery("scanned")
    sync = _sync_row_of(scanned.c)
    query = _described(scanned.c, sync.c).select_from(scanned.outerjoin(sync, true()))
    if wanted.app is not None:
        query = query.where(scanned.c.app == wanted.app)
    if wanted.state is not None:
        query = query.where(_state(scanned.c, sync.c) == wanted.state)
    order = (scanned.c.received_at.desc(), scanned.c.app.desc(), scanned.c.message_id.desc())
    found = [_summary(row) for row in await connection.execute(query.order_by(*order).limit(limit))]
    if len(found) == limit:
        return WebhookScan(webhooks=found, before=_key(found[-1]))
    last = _next(wanted, before).with_only_columns(*_ORDER).offset(SCAN_LIMIT - 1).limit(1)
    key = (await connection.execute(last)).one_or_none()
    return WebhookScan(webhooks=found, before=key and WebhookKey(*key))


async def find(connection: AsyncConnection, app: str, message_id: str) -> tuple[WebhookSummary, bytes | None] | None:
    """Return one webhook and its body, which is None after it has expired. None if the webhook is unknown."""
    sync = _sync_row_of(webhooks.c)
    query = _described(webhooks.c, sync.c).add_columns(webhooks.c.body).select_from(webhooks.outerjoin(sync, true()))
    query = query.where(webhooks.c.app == app, webhooks.c.message_id == message_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else (_summary(row), row.body)


def subjects(found: list[WebhookSummary]) -> frozenset[Subject]:
    """Return the flows and users that the webhooks are about."""
    return frozenset(
        Subject(app=each.app, kind="flow" if each.subject_kind == "flow" else "user", id=each.subject_id)
        for each in found
        if each.subject_id is not None
    )


async def _are_few(connection: AsyncConnection, wanted: WebhookFilter) -> bool:
    some = select(sync_rows.c.app).where(_is_waiting(wanted)).limit(WAITING_LIMIT + 1).subquery()
    count = await connection.scalar(select(func.count()).select_from(some))
    return (count or 0) <= WAITING_LIMIT


async def _waiting(
    connection: AsyncConnection, wanted: WebhookFilter, before: WebhookKey | None, limit: int
) -> list[WebhookSummary]:
    """Find the latest webhooks of all waiting flows and users."""
    # BETWEEN and the first column of the order make Postgres use the index by subject. With an equality alone it may
    # read all webhooks by time instead, for each waiting flow.
    by_subject = webhooks.c.subject_id.desc(), *(column.desc() for column in _ORDER)
    about_one = _next(wanted, before).order_by(None).order_by(*by_subject)
    about_one = about_one.where(
        webhooks.c.subject_id.between(sync_rows.c.subject_id, sync_rows.c.subject_id),
        webhooks.c.app == sync_rows.c.app,
        webhooks.c.kind == sync_rows.c.kind,
        _state(webhooks.c, sync_rows.c) == wanted.state,
    )
    latest = about_one.correlate(sync_rows).limit(limit).lateral("latest")
    query = _described(latest.c, sync_rows.c).select_from(sync_rows.join(latest, true())).where(_is_waiting(wanted))
    order = (latest.c.received_at.desc(), latest.c.app.desc(), latest.c.message_id.desc())
    return [_summary(row) for row in await connection.execute(query.order_by(*order).limit(limit))]


def _is_waiting(wanted: WebhookFilter) -> ColumnElement[bool]:
    """Whether a sync row's webhooks may be in the wanted state. Each state has an index."""
    # These are the conditions of the two indexes. No webhook causes a sweep.
    is_requested = and_(sync_rows.c.due_at.is_not(None), sync_rows.c.due_by != literal_column("'sweep'"))
    is_waiting: ColumnElement[bool] = and_(is_requested, sync_rows.c.clean_gen < sync_rows.c.dirty_gen)
    if wanted.state == "dead":
        is_waiting = sync_rows.c.dead_at.is_not(None)
    return is_waiting if wanted.app is None else and_(is_waiting, sync_rows.c.app == wanted.app)


def _next(wanted: WebhookFilter, before: WebhookKey | None) -> Select[Any]:
    """Select the webhooks older than the key, latest first, with the conditions that have an index."""
    query = select(webhooks).order_by(*(column.desc() for column in _ORDER))
    if wanted.subject_id is not None:
        query = query.where(webhooks.c.subject_id == wanted.subject_id)
    if wanted.event is not None:
        query = query.where(webhooks.c.event == wanted.event)
    if wanted.received_from is not None:
        query = query.where(webhooks.c.received_at >= wanted.received_from)
    if wanted.received_before is not None:
        query = query.where(webhooks.c.received_at < wanted.received_before)
    return query if before is None else query.where(tuple_(*_ORDER) < tuple_(*before))


def _is_about(webhook: Any, sync: Any) -> ColumnElement[bool]:
    return and_(sync.app == webhook.app, sync.kind == webhook.kind, sync.subject_id == webhook.subject_id)


def _sync_row_of(webhook: Any) -> LateralFromClause:
    """Select the sync row of a webhook's subject. The limit makes Postgres look it up instead of reading all rows."""
    return select(sync_rows).where(_is_about(webhook, sync_rows.c)).limit(1).lateral("sync")


def _state(webhook: Any, sync: Any) -> ColumnElement[str]:
    return case(
        (sync.dead_at.is_not(None), "dead"),
        (webhook.raised_gen.is_(None), "handled"),
        (sync.clean_gen >= webhook.raised_gen, "handled"),
        (sync.attempts > 0, "failing"),
        else_="pending",
    )


def _described(webhook: Any, sync: Any) -> Select[Any]:
    return select(
        webhook.app,
        webhook.message_id,
        webhook.event,
        webhook.kind.label("subject_kind"),
        webhook.subject_id,
        webhook.received_at,
        webhook.last_received_at,
        webhook.received_count,
        _state(webhook, sync).label("state"),
        sync.last_error,
    )


def _key(webhook: WebhookSummary) -> WebhookKey:
    return WebhookKey(webhook.received_at, webhook.app, webhook.message_id)


def _summary(row: Any) -> WebhookSummary:
    fields = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's documented name
    fields.pop("body", None)
    return WebhookSummary(**fields)
