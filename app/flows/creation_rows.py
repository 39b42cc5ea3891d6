"""Creations of flows until Dots has answered: the intent row, and why Dots created no flow."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.tables import flow_steps, flows


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A creation to try: the caller, the request and our reference."""

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
class CreationError:
    """Why Dots created no flow. `is_final`: Dots said that the request is wrong, so the key is not tried again."""

    code: str
    dots_status: int | None = None
    dots_error_code: str | None = None
    is_final: bool = False


@dataclass(frozen=True, kw_only=True)
class Creation:
    """An earlier creation with the same key. `error` is None unless it has failed."""

    ref: UUID
    status: str
    fingerprint: bytes
    error: CreationError | None


async def begin(connection: AsyncConnection, intent: Intent) -> bool:
    """Write the intent row. Returns False if the caller has used this key before."""
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
    """Return the creation with this key. There is one if `begin` returned False."""
    query = select(flows.c.ref, flows.c.status, flows.c.fingerprint, flows.c.error).where(
        flows.c.caller == caller, flows.c.idempotency_key == idempotency_key
    )
    row = (await connection.execute(query)).one()
    error = None if row.error is None else CreationError(**row.error)
    return Creation(ref=row.ref, status=row.status, fingerprint=row.fingerprint, error=error)


async def begin_again(connection: AsyncConnection, ref: UUID, request: dict[str, Any], *, now: datetime) -> bool:
    """Take up a creation that failed temporarily. Returns False if another process has done so."""
    is_final = flows.c.error["is_final"].as_boolean()
    result = await connection.execute(
        update(flows)
        .where(flows.c.ref == ref, flows.c.status == "failed", is_final.is_not(True))
        .values(status="creating", attempted_at=now, request=request, error=None)
    )
    return result.rowcount == 1


async def fail(connection: AsyncConnection, ref: UUID, error: CreationError) -> None:
    """Record why Dots created no flow. The same key may try again unless the error is final."""
    await connection.execute(
        update(flows)
        .where(flows.c.ref == ref, flows.c.status == "creating")
        .values(status="failed", error=asdict(error), request=None)
    )
