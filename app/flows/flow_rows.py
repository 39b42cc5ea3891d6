"""Flows as we know them: found, locked and saved, always together with their steps. Lists of them: `flow_search`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.dots.snapshots import FlowSnapshot
from app.flows.decide import KnownFlow
from app.flows.rules.flow_request import is_storable
from app.flows.rules.progress import Progress
from app.flows.sync_rows import DueBy
from app.flows.tables import flow_steps, flows


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """A step of a flow; the two last fields are None while it is pending."""

    name: str
    completed_at: datetime | None
    discovered_by: DueBy | None


@dataclass(frozen=True, kw_only=True)
class FlowRecord:
    """A flow as stored; `id` and `link` are None until Dots has answered its creation.

    `error` has the fields of a `CreationError` once the creation has failed.
    """

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
    error: dict[str, Any] | None
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

    @property
    def known(self) -> KnownFlow:
        """What a decision about the flow depends on."""
        return KnownFlow(
            app=self.app,
            reference=self.reference,
            progress=self.progress,
            created_at=self.created_at,
            last_sequence=self.last_sequence,
        )


def _in_order(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column of a flow's steps as an array, so that a flow and its steps are one row and one statement."""
    steps = select(column).where(flow_steps.c.flow_ref == flows.c.ref).order_by(flow_steps.c.position)
    return func.array(steps.scalar_subquery(), type_=ARRAY(column.type))


_STEP_FIELDS = tuple(StepRecord.__dataclass_fields__)
# A flow and its steps, for a SELECT from `flows`; `record` reads the rows.
FIELDS = [
    *(flows.c[name] for name in FlowRecord.__dataclass_fields__ if name != "steps"),
    *(_in_order(flow_steps.c[name]).label(f"step_{name}") for name in _STEP_FIELDS),
]


def record(row: Row[Any]) -> FlowRecord:
    """What a row of `FIELDS` tells."""
    fields = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's documented name
    columns = [fields.pop(f"step_{name}") for name in _STEP_FIELDS]
    steps = tuple(StepRecord(**dict(zip(_STEP_FIELDS, step, strict=True))) for step in zip(*columns, strict=True))
    return FlowRecord(**fields, steps=steps)


async def find(connection: AsyncConnection, flow_id: str) -> FlowRecord | None:
    """The flow with this id of Dots, in whichever app; None when unknown."""
    return await _one(connection, select(*FIELDS).where(flows.c.id == flow_id).limit(1))


async def lock(connection: AsyncConnection, app: str, flow_id: str) -> FlowRecord | None:
    """The flow with this id, locked until the transaction ends; None when unknown."""
    return await _locked(connection, (flows.c.app == app) & (flows.c.id == flow_id))


async def lock_ref(connection: AsyncConnection, app: str, ref: UUID) -> FlowRecord | None:
    """The flow with this ref of ours, whether Dots' id is known or not, locked; None when unknown."""
    return await _locked(connection, (flows.c.app == app) & (flows.c.ref == ref))


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
            error=None,
            waits_for_passed_over=progress.waits_for_passed_over,
        )
    )
    # What Dots never listed it has put in front by itself; behind, it would seem to pass over the steps before it.
    unlisted = tuple(name for name in progress.completed if name not in progress.steps)
    names = list(unlisted + progress.steps)
    await connection.execute(
        _SAVE_STEPS,
        {
            "ref": known.ref,
            "names": names,
            "are_completed": [name in progress.completed for name in names],
            "now": now,
            "discovered_by": discovered_by,
        },
    )


async def _locked(connection: AsyncConnection, is_it: ColumnElement[bool]) -> FlowRecord | None:
    # The lock is a statement of its own. One that waits for a lock is shown the row as its last holder left it, but
    # still the steps as they were when it began to wait: completions would be found, and told, a second time.
    await connection.execute(select(flows.c.ref).where(is_it).with_for_update())
    return await _one(connection, select(*FIELDS).where(is_it))


async def _one(connection: AsyncConnection, query: Select[Any]) -> FlowRecord | None:
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else record(row)


_SAVE_STEPS = text("""
    INSERT INTO flow_steps AS s (flow_ref, name, position, completed_at, discovered_by)
    SELECT :ref, name, place - 1, CASE WHEN is_completed THEN CAST(:now AS timestamptz) END,
        CASE WHEN is_completed THEN CAST(:discovered_by AS text) END
    FROM unnest(CAST(:names AS text[]), CAST(:are_completed AS bool[]))
        WITH ORDINALITY AS step (name, is_completed, place)
    ON CONFLICT (flow_ref, name) DO UPDATE
    SET position = excluded.position,
        completed_at = COALESCE(s.completed_at, excluded.completed_at),
        discovered_by = COALESCE(s.discovered_by, excluded.discovered_by)
    WHERE s.position <> excluded.position OR (s.completed_at IS NULL AND excluded.completed_at IS NOT NULL)
""")
