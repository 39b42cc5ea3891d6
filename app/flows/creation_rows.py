"""A flow before Dots has answered: the intent row, who may try, and why there is no flow."""

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
class CreationError:
    """Why Dots made no flow. `is_final`: Dots said that the request is wrong, so the same key never tries again."""

    code: str
    dots_status: int | None = None
    dots_error_code: str | None = None
    is_final: bool = False


@dataclass(frozen=True, kw_only=True)
class Creation:
    """A creation that was begun before under the same key; `error` is there once it has failed."""

    ref: UUID
    status: str
    fingerprint: bytes
    error: CreationError | None


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
    query = select(flows.c.ref, flows.c.status, flows.c.fingerprint, flows.c.error).where(
        flows.c.caller == caller, flows.c.idempotency_key == idempotency_key
    )
    row = (await connection.execute(query)).one()
    error = None if row.error is None else CreationError(**row.error)
    return Creation(ref=row.ref, status=row.status, fingerprint=row.fingerprint, error=error)


async def begin_again(connection: AsyncConnection, ref: UUID, request: dict[str, Any], *, now: datetime) -> bool:
    """Take up a creation that failed in a way that may pass; False when somebody else was quicker."""
    is_final = flows.c.error["is_final"].as_boolean()
    result = await connection.execute(
        update(flows)
        .where(flows.c.ref == ref, flows.c.status == "failed", is_final.is_not(True))
        .values(status="creating", attempted_at=now, request=request, error=None)
    )
    return result.rowcount == 1


async def fail(connection: AsyncConnection, ref: UUID, error: CreationError) -> None:
    """Note that Dots made no flow, and why; unless the error is final, the same key may try again."""
    await connection.execute(
        update(flows)
        .where(flows.c.ref == ref, flows.c.status == "creating")
        .values(status="failed", error=asdict(error), request=None)
    )
