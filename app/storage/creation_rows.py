"""A flow before Dots has answered: the intent row, who may try, and what the first caller was told."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.tables import flow_steps, flows


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A creation about to be tried: who wants what, under which of our references."""

    ref: UUID
    app: str
    caller: str
    reference: str | None
    user_id: str | None
    metadata: dict[str, Any] | str | None
    step_names: tuple[str, ...]
    idempotency_key: str | None
    fingerprint: bytes
    request: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Creation:
    """A creation that was begun before under the same key; `answer` is what its caller was told, if anything."""

    ref: UUID
    status: str
    fingerprint: bytes
    answer: dict[str, Any] | None


async def begin(connection: AsyncConnection, intent: Intent) -> bool:
    """Write the intent row; False when the caller has used this key before."""
    inserted = await connection.scalar(
        insert(flows)
        .values(
            ref=intent.ref,
            app=intent.app,
            status="creating",
            caller=intent.caller,
            reference=intent.reference,
            user_id=intent.user_id,
            metadata=intent.metadata,
            created_at=intent.created_at,
            attempted_at=intent.created_at,
            idempotency_key=intent.idempotency_key,
            fingerprint=intent.fingerprint,
            request=intent.request,
        )
        .on_conflict_do_nothing(index_elements=["caller", "idempotency_key"])
        .returning(flows.c.ref)
    )
    if inserted is None:
        return False
    await connection.execute(
        insert(flow_steps),
        [
            {"flow_ref": intent.ref, "name": name, "position": position}
            for position, name in enumerate(intent.step_names)
        ],
    )
    return True


async def find(connection: AsyncConnection, *, caller: str, idempotency_key: str) -> Creation:
    """The creation that was begun under this key; there is one when `begin` has said False."""
    query = select(flows.c.ref, flows.c.status, flows.c.fingerprint, flows.c.answer).where(
        flows.c.caller == caller, flows.c.idempotency_key == idempotency_key
    )
    row = (await connection.execute(query)).one()
    return Creation(ref=row.ref, status=row.status, fingerprint=row.fingerprint, answer=row.answer)


async def begin_again(connection: AsyncConnection, ref: UUID, request: dict[str, Any], *, now: datetime) -> bool:
    """Take up a creation that failed in a way that may pass; False when somebody else was quicker."""
    result = await connection.execute(
        update(flows)
        .where(flows.c.ref == ref, flows.c.status == "failed", flows.c.answer.is_(None))
        .values(status="creating", attempted_at=now, request=request)
    )
    return result.rowcount == 1


async def fail(connection: AsyncConnection, ref: UUID, *, answer: dict[str, Any] | None) -> None:
    """Note that Dots made no flow: for good with an `answer`, or so that the same key may try again without one."""
    await connection.execute(
        update(flows)
        .where(flows.c.ref == ref, flows.c.status == "creating")
        .values(status="failed", answer=answer, request=None)
    )


async def remember_answer(connection: AsyncConnection, ref: UUID, answer: dict[str, Any]) -> None:
    """Keep what the first caller is told, for a repeat with the same key."""
    await connection.execute(
        update(flows).where(flows.c.ref == ref, flows.c.idempotency_key.is_not(None)).values(answer=answer)
    )
