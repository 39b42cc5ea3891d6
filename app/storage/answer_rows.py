"""What callers were told when they created a flow, kept for a repeat with the same Idempotency-Key."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.tables import answers

# Raise it when older answers can no longer be given as they are: the key then answers with the flow as it is.
VERSION = 1


async def add(connection: AsyncConnection, ref: UUID, answer: dict[str, Any], *, now: datetime) -> None:
    """Keep the answer to the creation of a flow, which has none yet."""
    await connection.execute(insert(answers).values(flow_ref=ref, version=VERSION, answered_at=now, answer=answer))


async def find(connection: AsyncConnection, ref: UUID, *, since: datetime) -> dict[str, Any] | None:
    """The answer given since then; None without one, or when it is of another version."""
    query = select(answers.c.answer).where(
        answers.c.flow_ref == ref, answers.c.version == VERSION, answers.c.answered_at > since
    )
    answer: dict[str, Any] | None = await connection.scalar(query)
    return answer
