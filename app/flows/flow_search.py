"""Finds flows by their properties, newest first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows import flow_rows
from app.flows.flow_rows import FlowRecord
from app.flows.rules.events import FlowName
from app.flows.tables import flow_steps, flows, sync_rows
from app.storage import planning
from app.storage.subjects import Subject

# More than a payee has who is paid several times a day for years. Each flow costs one index lookup.
FLOWS_LOOKED_AT = 10_000


@dataclass(frozen=True, kw_only=True)
class FlowFilter:
    """The conditions of a search; None sets no condition. `step` is a pending step of an open flow.

    `is_dead`: whether refreshing the flow was given up after too long a time of failures.
    """

    id: str | None = None
    app: str | None = None
    reference: str | None = None
    user_id: str | None = None
    status: str | None = None
    step: str | None = None
    is_dead: bool | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class FlowSubjects:
    """A batch of matching flows. The next batch begins `before` this flow. None: this was the last batch."""

    subjects: list[Subject]
    before: tuple[datetime, UUID] | None


async def page(
    connection: AsyncConnection, wanted: FlowFilter, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[FlowRecord]:
    """Return the newest matching flows that are older than `before` (a flow's creation time and ref)."""
    await planning.plan_for_values(connection)
    query = _newest(select(*flow_rows.FIELDS), wanted, before).limit(limit)
    return [flow_rows.record(row) for row in await connection.execute(query)]


async def subjects(
    connection: AsyncConnection, wanted: FlowFilter, *, before: tuple[datetime, UUID] | None, limit: int
) -> FlowSubjects:
    """Return the next batch of matching flows that Dots knows, newest first, at most `limit`."""
    await planning.plan_for_values(connection)
    query = select(flows.c.app, flows.c.id, flows.c.created_at, flows.c.ref).where(flows.c.id.is_not(None))
    rows = (await connection.execute(_newest(query, wanted, before).limit(limit))).all()
    return FlowSubjects(
        subjects=[Subject(app=row.app, kind="flow", id=row.id) for row in rows],
        before=(rows[-1].created_at, rows[-1].ref) if len(rows) == limit else None,
    )


async def of_user(connection: AsyncConnection, app: str, user_id: str, *, step: str, limit: int) -> list[FlowName]:
    """Return the user's newest flows that have this step, at most `limit`. If none has it, return the newest flows.

    Only the user's `FLOWS_LOOKED_AT` newest flows are searched for the step.
    """
    of_them = select(flows.c.ref, flows.c.id, flows.c.reference, flows.c.created_at).where(
        flows.c.app == app, flows.c.user_id == user_id, flows.c.id.is_not(None)
    )
    newest = of_them.order_by(flows.c.created_at.desc(), flows.c.ref.desc())
    recent = newest.limit(FLOWS_LOOKED_AT).subquery()
    has_step = select(flow_steps.c.name).where(flow_steps.c.flow_ref == recent.c.ref, flow_steps.c.name == step)
    concerned = select(recent).where(has_step.exists()).order_by(recent.c.created_at.desc(), recent.c.ref.desc())
    rows = (await connection.execute(concerned.limit(limit))).all()
    rows = rows or (await connection.execute(newest.limit(limit))).all()
    return [FlowName(flow_id=row.id, reference=row.reference) for row in rows]


def _newest(query: Select[Any], wanted: FlowFilter, before: tuple[datetime, UUID] | None) -> Select[Any]:
    query = _matching(query, wanted).order_by(flows.c.created_at.desc(), flows.c.ref.desc())
    return query if before is None else query.where(tuple_(flows.c.created_at, flows.c.ref) < tuple_(*before))


def _matching(query: Select[Any], wanted: FlowFilter) -> Select[Any]:
    for name in ("id", "app", "reference", "user_id", "status"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(flows.c[name] == value)
    if wanted.step is not None:
        pending = (flow_steps.c.flow_ref == flows.c.ref) & (flow_steps.c.name == wanted.step)
        query = query.where(
            select(flow_steps.c.name).where(pending, flow_steps.c.completed_at.is_(None)).exists(),
            flows.c.status == "open",
        )
    if wanted.is_dead is not None:
        given_up = select(sync_rows.c.app).where(
            and_(sync_rows.c.app == flows.c.app, sync_rows.c.kind == "flow", sync_rows.c.subject_id == flows.c.id),
            sync_rows.c.dead_at.is_not(None),
        )
        query = query.where(given_up.exists() if wanted.is_dead else ~given_up.exists())
    if wanted.created_from is not None:
        query = query.where(flows.c.created_at >= wanted.created_from)
    if wanted.created_before is not None:
        query = query.where(flows.c.created_at < wanted.created_before)
    return query
