"""Flows as we know them: found, listed, locked and saved, always together with their steps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.flow_request import is_storable
from app.flows.progress import Progress
from app.flows.snapshots import FlowSnapshot
from app.storage.sync_rows import DueBy
from app.storage.tables import flow_steps, flows


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """A step of a flow; the two last fields are None while it is pending."""

    name: str
    completed_at: datetime | None = None
    discovered_by: DueBy | None = None


@dataclass(frozen=True, kw_only=True)
class FlowRecord:
    """A flow as stored; `id` and `link` are None until Dots has answered its creation."""

    ref: UUID
    app: str
    id: str | None
    status: str
    caller: str | None
    reference: str | None
    user_id: str | None
    link: str | None
    metadata: dict[str, Any] | str | None
    payout_link_id: str | None
    created_at: datetime
    completed_at: datetime | None
    refreshed_at: datetime | None
    last_sequence: int
    steps: tuple[StepRecord, ...]

    @property
    def progress(self) -> Progress:
        """What is known of the flow, in the words of the merge rules."""
        return Progress(
            steps=tuple(step.name for step in self.steps),
            completed=tuple(step.name for step in self.steps if step.completed_at),
            user_id=self.user_id,
            is_complete=self.status == "completed",
        )


@dataclass(frozen=True, kw_only=True)
class FlowFilter:
    """What to list; every field that is not None narrows. `step` names a step that is still pending."""

    app: str | None = None
    reference: str | None = None
    user_id: str | None = None
    status: str | None = None
    step: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None


_FIELDS = [flows.c[name] for name in FlowRecord.__dataclass_fields__ if name != "steps"]


async def find(connection: AsyncConnection, flow_id: str) -> FlowRecord | None:
    """The flow with this id of Dots, in whichever app; None when unknown."""
    return await _one(connection, select(*_FIELDS).where(flows.c.id == flow_id).limit(1))


async def page(
    connection: AsyncConnection, wanted: FlowFilter, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[FlowRecord]:
    """The newest flows that match, older than the row `before` (its creation time and ref)."""
    query = select(*_FIELDS).order_by(flows.c.created_at.desc(), flows.c.ref.desc()).limit(limit)
    for name in ("app", "reference", "user_id", "status"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(flows.c[name] == value)
    if wanted.step is not None:
        pending = (flow_steps.c.flow_ref == flows.c.ref) & (flow_steps.c.name == wanted.step)
        query = query.where(
            select(flow_steps.c.name).where(pending, flow_steps.c.completed_at.is_(None)).exists(),
            flows.c.status == "open",
        )
    if wanted.created_from is not None:
        query = query.where(flows.c.created_at >= wanted.created_from)
    if wanted.created_before is not None:
        query = query.where(flows.c.created_at < wanted.created_before)
    if before is not None:
        query = query.where(tuple_(flows.c.created_at, flows.c.ref) < tuple_(*before))
    return await _with_steps(connection, (await connection.execute(query)).all())


async def lock(connection: AsyncConnection, app: str, flow_id: str) -> FlowRecord | None:
    """The flow with this id, locked until the transaction ends; None when unknown."""
    query = select(*_FIELDS).where(flows.c.app == app, flows.c.id == flow_id).with_for_update()
    return await _one(connection, query)


async def lock_ref(connection: AsyncConnection, app: str, ref: UUID) -> FlowRecord | None:
    """The flow with this ref of ours, whether Dots' id is known or not, locked; None when unknown."""
    query = select(*_FIELDS).where(flows.c.app == app, flows.c.ref == ref).with_for_update()
    return await _one(connection, query)


async def add_foreign(
    connection: AsyncConnection, app: str, snapshot: FlowSnapshot, *, ref: UUID, now: datetime
) -> None:
    """Add a flow that was made elsewhere, unless it is there by now; lock it afterwards."""
    await connection.execute(
        insert(flows)
        .values(
            ref=ref,
            app=app,
            id=snapshot.id,
            status="open",
            user_id=snapshot.user_id,
            # Somebody else's metadata may hold what Postgres cannot; the flow matters more than its label.
            metadata=snapshot.metadata if is_storable(snapshot.metadata) else None,
            created_at=snapshot.created_at or now,
        )
        .on_conflict_do_nothing(index_elements=["app", "id"])
    )


async def save(
    connection: AsyncConnection,
    known: FlowRecord,
    snapshot: FlowSnapshot,
    progress: Progress,
    *,
    now: datetime,
    discovered_by: DueBy,
    events_added: int,
) -> None:
    """Save what a snapshot made of a locked flow. What was known of a step is never overwritten."""
    await connection.execute(
        update(flows)
        .where(flows.c.ref == known.ref)
        .values(
            id=snapshot.id,
            status="completed" if progress.is_complete else "open",
            user_id=progress.user_id,
            link=snapshot.link or known.link,
            payout_link_id=snapshot.payout_link_id or known.payout_link_id,
            completed_at=(known.completed_at or now) if progress.is_complete else None,
            refreshed_at=now,
            last_sequence=known.last_sequence + events_added,
            request=None,
        )
    )
    names = list(dict.fromkeys(progress.steps + progress.completed))
    if not names:
        return
    statement = insert(flow_steps).values(
        [
            {
                "flow_ref": known.ref,
                "name": name,
                "position": position,
                "completed_at": now if name in progress.completed else None,
                "discovered_by": discovered_by if name in progress.completed else None,
            }
            for position, name in enumerate(names)
        ]
    )
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["flow_ref", "name"],
            set_={
                "position": statement.excluded.position,
                "completed_at": func.coalesce(flow_steps.c.completed_at, statement.excluded.completed_at),
                "discovered_by": func.coalesce(flow_steps.c.discovered_by, statement.excluded.discovered_by),
            },
        )
    )


async def _one(connection: AsyncConnection, query: Select[Any]) -> FlowRecord | None:
    found = await _with_steps(connection, (await connection.execute(query)).all())
    return found[0] if found else None


async def _with_steps(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[FlowRecord]:
    steps = await _steps(connection, [row.ref for row in rows])
    return [FlowRecord(**row._mapping, steps=tuple(steps.get(row.ref, ()))) for row in rows]  # noqa: SLF001  # SQLAlchemy's documented name


async def _steps(connection: AsyncConnection, refs: Iterable[UUID]) -> dict[UUID, list[StepRecord]]:
    columns = (flow_steps.c.flow_ref, flow_steps.c.name, flow_steps.c.completed_at, flow_steps.c.discovered_by)
    query = select(*columns).where(flow_steps.c.flow_ref.in_(list(refs))).order_by(flow_steps.c.position)
    found: dict[UUID, list[StepRecord]] = {}
    for ref, name, completed_at, discovered_by in await connection.execute(query):
        step = StepRecord(name=name, completed_at=completed_at, discovered_by=discovered_by)
        found.setdefault(ref, []).append(step)
    return found
