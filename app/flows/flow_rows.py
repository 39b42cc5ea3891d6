"""Finds, locks and saves flows, together with their steps. `flow_search` finds lists of flows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, Uuid, cast, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.dots.snapshots import FlowSnapshot
from app.flows.rules.decide import KnownFlow
from app.flows.rules.flow_request import is_storable
from app.flows.rules.progress import Progress
from app.flows.sync_rows import DueBy
from app.flows.tables import flow_steps, flows
from app.storage.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """A step of a flow. The last two fields are None while it is pending."""

    name: str
    completed_at: datetime | None
    discovered_by: DueBy | None


@dataclass(frozen=True, kw_only=True)
class FlowRecord:
    """A stored flow. `id` and `link` are None until Dots has answered its creation.

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
        """The flow's progress, for the merge rules."""
        return Progress(
            steps=tuple(step.name for step in self.steps),
            completed=tuple(step.name for step in self.steps if step.completed_at),
            user_id=self.user_id,
            is_complete=self.status == "completed",
        )

    @property
    def known(self) -> KnownFlow:
        """The facts that a decision about the flow depends on."""
        return KnownFlow(
            app=self.app,
            reference=self.reference,
            progress=self.progress,
            created_at=self.created_at,
            last_sequence=self.last_sequence,
        )


@dataclass(frozen=True, kw_only=True)
class FlowChange:
    """What a snapshot changed of a locked flow."""

    known: FlowRecord
    snapshot: FlowSnapshot
    progress: Progress
    discovered_by: DueBy
    events_added: int

    @property
    def step_names(self) -> tuple[str, ...]:
        """The names of the steps in the order in which they are stored."""
        # Unlisted steps come first. At the end, a completed one would make the steps before it look passed over.
        unlisted = tuple(name for name in self.progress.completed if name not in self.progress.steps)
        return unlisted + self.progress.steps

    @property
    def has_other_steps(self) -> bool:
        """Whether the steps, or which of them are completed, differ from what is stored."""
        stored = [(step.name, step.completed_at is not None) for step in self.known.steps]
        return stored != [(name, name in self.progress.completed) for name in self.step_names]


def _in_order(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column of a flow's steps as an array, so that one row holds a flow and its steps."""
    steps = select(column).where(flow_steps.c.flow_ref == flows.c.ref).order_by(flow_steps.c.position)
    return func.array(steps.scalar_subquery(), type_=ARRAY(column.type))


_STEP_FIELDS = tuple(StepRecord.__dataclass_fields__)
# A flow and its steps, for a SELECT from `flows`; `record` reads the rows.
FIELDS = [
    *(flows.c[name] for name in FlowRecord.__dataclass_fields__ if name != "steps"),
    *(_in_order(flow_steps.c[name]).label(f"step_{name}") for name in _STEP_FIELDS),
]


def record(row: Row[Any]) -> FlowRecord:
    """Build the record from a row of `FIELDS`."""
    fields = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's documented name
    columns = [fields.pop(f"step_{name}") for name in _STEP_FIELDS]
    steps = tuple(StepRecord(**dict(zip(_STEP_FIELDS, step, strict=True))) for step in zip(*columns, strict=True))
    return FlowRecord(**fields, steps=steps)


async def find(connection: AsyncConnection, flow_id: str) -> FlowRecord | None:
    """Return the flow with this id of Dots in any app, or None."""
    return await _one(connection, select(*FIELDS).where(flows.c.id == flow_id).limit(1))


async def lock_free(connection: AsyncConnection, wanted: Collection[Subject]) -> dict[Subject, FlowRecord]:
    """Lock those of the flows that no other transaction has locked, without waiting, and return them.

    Uses the order in which the merge of a user locks its flows, so that the two cannot deadlock.
    """
    keys = {"apps": [each.app for each in wanted], "ids": [each.id for each in wanted]}
    refs = (await connection.scalars(_LOCK_FREE, keys)).all()
    rows = await connection.execute(select(*FIELDS).where(flows.c.ref == func.any(cast(refs, ARRAY(Uuid)))))
    records = [record(row) for row in rows]
    return {Subject(app=each.app, kind="flow", id=each.id): each for each in records if each.id is not None}


async def lock(connection: AsyncConnection, app: str, flow_id: str) -> FlowRecord | None:
    """Return the flow with this id, locked until the transaction ends, or None."""
    return await _locked(connection, (flows.c.app == app) & (flows.c.id == flow_id))


async def lock_ref(connection: AsyncConnection, app: str, ref: UUID) -> FlowRecord | None:
    """Return the flow with this ref of ours, locked until the transaction ends, or None. Dots' id may be unknown."""
    return await _locked(connection, (flows.c.app == app) & (flows.c.ref == ref))


async def add_foreign(
    connection: AsyncConnection, app: str, snapshot: FlowSnapshot, *, ref: UUID, now: datetime
) -> None:
    """Add a flow that was created elsewhere, unless it is there by now. Lock it afterwards."""
    await connection.execute(
        insert(flows)
        .values(
            ref=ref,
            app=app,
            id=snapshot.id,
            status="open",
            user_id=snapshot.user_id,
            # Metadata from elsewhere may be something that Postgres refuses. The flow is more important.
            metadata=snapshot.metadata if is_storable(snapshot.metadata) else None,
            created_at=snapshot.created_at or now,
        )
        .on_conflict_do_nothing(index_elements=["app", "id"])
    )


async def save(connection: AsyncConnection, changes: Sequence[FlowChange], *, now: datetime) -> None:
    """Save the changes of locked flows. Never overwrites when and how a step was completed."""
    after = [change.progress for change in changes]
    await connection.execute(
        _SAVE,
        {
            "now": now,
            "refs": [change.known.ref for change in changes],
            "ids": [change.snapshot.id for change in changes],
            "are_complete": [each.is_complete for each in after],
            "user_ids": [each.user_id for each in after],
            "links": [change.snapshot.link for change in changes],
            "payout_link_ids": [change.snapshot.payout_link_id for change in changes],
            "last_sequences": [change.known.last_sequence + change.events_added for change in changes],
            "are_waiting": [each.waits_for_passed_over for each in after],
        },
    )
    steps = [(change, *step) for change in changes if change.has_other_steps for step in enumerate(change.step_names)]
    if not steps:
        return
    await connection.execute(
        _SAVE_STEPS,
        {
            "now": now,
            "refs": [change.known.ref for change, _, _ in steps],
            "names": [name for _, _, name in steps],
            "positions": [position for _, position, _ in steps],
            "discovered_by": [
                change.discovered_by if name in change.progress.completed else None for change, _, name in steps
            ],
        },
    )


async def _locked(connection: AsyncConnection, is_it: ColumnElement[bool]) -> FlowRecord | None:
    # The lock is a statement of its own. A statement that waits for a lock sees the latest version of the row, but the
    # steps as they were before the wait: completions would be found and reported a second time.
    await connection.execute(select(flows.c.ref).where(is_it).with_for_update())
    return await _one(connection, select(*FIELDS).where(is_it))


async def _one(connection: AsyncConnection, query: Select[Any]) -> FlowRecord | None:
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else record(row)


# FOR UPDATE is a statement of its own for the reason given in `_locked`.
_LOCK_FREE = text("""
    SELECT f.ref
    FROM unnest(CAST(:apps AS text[]), CAST(:ids AS text[])) AS i (app, id)
    JOIN flows f ON f.app = i.app AND f.id = i.id
    ORDER BY f.created_at, f.ref
    FOR UPDATE OF f SKIP LOCKED
""")

_SAVE = text("""
    UPDATE flows f
    SET id = i.id,
        status = CASE WHEN i.is_complete THEN 'completed' ELSE 'open' END,
        user_id = i.user_id,
        link = COALESCE(NULLIF(i.link, ''), f.link),
        payout_link_id = COALESCE(NULLIF(i.payout_link_id, ''), f.payout_link_id),
        completed_at = CASE WHEN i.is_complete THEN COALESCE(f.completed_at, CAST(:now AS timestamptz)) END,
        refreshed_at = :now,
        last_sequence = i.last_sequence,
        request = NULL,
        error = NULL,
        waits_for_passed_over = i.is_waiting
    FROM unnest(
        CAST(:refs AS uuid[]), CAST(:ids AS text[]), CAST(:are_complete AS bool[]), CAST(:user_ids AS text[]),
        CAST(:links AS text[]), CAST(:payout_link_ids AS text[]), CAST(:last_sequences AS int[]),
        CAST(:are_waiting AS bool[])
    ) AS i (ref, id, is_complete, user_id, link, payout_link_id, last_sequence, is_waiting)
    WHERE f.ref = i.ref
""")

_SAVE_STEPS = text("""
    INSERT INTO flow_steps AS s (flow_ref, name, position, completed_at, discovered_by)
    SELECT ref, name, position, CASE WHEN discovered_by IS NOT NULL THEN CAST(:now AS timestamptz) END, discovered_by
    FROM unnest(
        CAST(:refs AS uuid[]), CAST(:names AS text[]), CAST(:positions AS int[]), CAST(:discovered_by AS text[])
    ) AS step (ref, name, position, discovered_by)
    ON CONFLICT (flow_ref, name) DO UPDATE
    SET position = excluded.position,
        completed_at = COALESCE(s.completed_at, excluded.completed_at),
        discovered_by = COALESCE(s.discovered_by, excluded.discovered_by)
    WHERE s.position <> excluded.position OR (s.completed_at IS NULL AND excluded.completed_at IS NOT NULL)
""")
