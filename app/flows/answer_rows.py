"""Stored answers to flow creations, for repeats with the same Idempotency-Key."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.tables import answers

# Increase it when answers of earlier versions can no longer be sent. Their keys then get the flow as it is now.
VERSION = 1


async def add(connection: AsyncConnection, ref: UUID, answer: dict[str, Any], *, now: datetime) -> None:
    """Store the answer to the creation of a flow."""
    await connection.execute(insert(answers).values(flow_ref=ref, version=VERSION, answered_at=now, answer=answer))


async def find(connection: AsyncConnection, ref: UUID, *, since: datetime) -> dict[str, Any] | None:
    """Return the answer if the current version gave it after `since`."""
    query = select(answers.c.answer).where(
        answers.c.flow_ref == ref, answers.c.version == VERSION, answers.c.answered_at > since
    )
    answer: dict[str, Any] | None = await connection.scalar(query)
    return answer
