"""A line a refresh: when, why, and what came of it; for the timeline."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.sync_rows import DueBy
from app.flows.tables import refreshes
from app.storage.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class RefreshRecord:
    """One refresh; `outcome` is `changed`, `unchanged`, or the code of an error."""

    ended_at: datetime
    due_by: DueBy
    outcome: str


async def add(connection: AsyncConnection, subject: Subject, record: RefreshRecord) -> None:
    """Note that a refresh has ended."""
    await connection.execute(
        insert(refreshes).values(
            app=subject.app,
            kind=subject.kind,
            subject_id=subject.id,
            ended_at=record.ended_at,
            due_by=record.due_by,
            outcome=record.outcome,
        )
    )


async def about(connection: AsyncConnection, subject: Subject, *, limit: int) -> list[RefreshRecord]:
    """The latest refreshes of a subject, oldest of them first."""
    columns = [refreshes.c[name] for name in RefreshRecord.__dataclass_fields__]
    is_about = (
        (refreshes.c.app == subject.app) & (refreshes.c.kind == subject.kind) & (refreshes.c.subject_id == subject.id)
    )
    query = select(*columns).where(is_about).order_by(refreshes.c.id.desc()).limit(limit)
    return [RefreshRecord(**row._mapping) for row in await connection.execute(query)][::-1]  # noqa: SLF001  # SQLAlchemy's documented name
