"""Finding stored webhooks for operators: by what they are, and by what became of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, and_, case, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.subjects import Subject
from app.storage.tables import sync_rows, webhooks

# handled: a refresh has seen what it announced, or it announced nothing we act on; dead: given up.
WebhookState = Literal["handled", "pending", "failing", "dead"]


@dataclass(frozen=True, kw_only=True)
class WebhookFilter:
    """What to look for; every field that is not None narrows."""

    app: str | None = None
    event: str | None = None
    subject_id: str | None = None
    state: WebhookState | None = None
    received_from: datetime | None = None
    received_before: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class WebhookSummary:
    """A stored webhook without its body; its subject is None when it is about nothing that is followed."""

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


_STATE = case(
    (sync_rows.c.dead_at.is_not(None), "dead"),
    (webhooks.c.raised_gen.is_(None), "handled"),
    (sync_rows.c.clean_gen >= webhooks.c.raised_gen, "handled"),
    (sync_rows.c.attempts > 0, "failing"),
    else_="pending",
)
_JOINED = webhooks.outerjoin(
    sync_rows,
    and_(
        sync_rows.c.app == webhooks.c.app,
        sync_rows.c.kind == webhooks.c.kind,
        sync_rows.c.subject_id == webhooks.c.subject_id,
    ),
)
_FIELDS = (
    webhooks.c.app,
    webhooks.c.message_id,
    webhooks.c.event,
    webhooks.c.kind.label("subject_kind"),
    webhooks.c.subject_id,
    webhooks.c.received_at,
    webhooks.c.last_received_at,
    webhooks.c.received_count,
    _STATE.label("state"),
    sync_rows.c.last_error,
)


async def page(
    connection: AsyncConnection,
    wanted: WebhookFilter,
    *,
    before: tuple[datetime, str, str] | None,
    limit: int,
) -> list[WebhookSummary]:
    """The latest webhooks that match, older than the one `before` (received_at, app, message id)."""
    order = (webhooks.c.received_at, webhooks.c.app, webhooks.c.message_id)
    query = _matching(select(*_FIELDS), wanted).order_by(*(column.desc() for column in order)).limit(limit)
    if before is not None:
        query = query.where(tuple_(*order) < tuple_(*before))
    return [_summary(row) for row in await connection.execute(query)]


async def find(connection: AsyncConnection, app: str, message_id: str) -> tuple[WebhookSummary, bytes | None] | None:
    """One webhook and its body (None once emptied); None when unknown."""
    query = select(*_FIELDS, webhooks.c.body).select_from(_JOINED)
    query = query.where(webhooks.c.app == app, webhooks.c.message_id == message_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else (_summary(row), row.body)


async def subjects(connection: AsyncConnection, wanted: WebhookFilter, *, limit: int) -> list[Subject]:
    """What the matching webhooks are about, each once, in key order; at most `limit`."""
    columns = (webhooks.c.app, webhooks.c.kind, webhooks.c.subject_id)
    query = _matching(select(*columns), wanted).where(webhooks.c.kind.is_not(None)).distinct()
    rows = await connection.execute(query.order_by(*columns).limit(limit))
    return [Subject(app=row.app, kind=row.kind, id=row.subject_id) for row in rows]


async def count(connection: AsyncConnection, wanted: WebhookFilter) -> int:
    """How many webhooks match."""
    found: int = (await connection.execute(_matching(select(func.count()), wanted))).scalar_one()
    return found


def _matching(query: Select[Any], wanted: WebhookFilter) -> Select[Any]:
    query = query.select_from(_JOINED)
    for name in ("app", "event", "subject_id"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(webhooks.c[name] == value)
    if wanted.state is not None:
        query = query.where(_STATE.in_([wanted.state]))
    if wanted.received_from is not None:
        query = query.where(webhooks.c.received_at >= wanted.received_from)
    if wanted.received_before is not None:
        query = query.where(webhooks.c.received_at < wanted.received_before)
    return query


def _summary(row: Any) -> WebhookSummary:
    fields = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's documented name
    fields.pop("body", None)
    return WebhookSummary(**fields)
