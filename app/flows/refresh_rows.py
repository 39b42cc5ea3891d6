"""The log of refreshes for the timeline: when, why and with what outcome."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.sync_rows import DueBy
from app.flows.tables import refreshes
from app.storage.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class RefreshRecord:
    """One refresh. `outcome` is `changed`, `unchanged`, or the code of an error."""

    ended_at: datetime
    due_by: DueBy
    outcome: str


async def add(connection: AsyncConnection, ended: Sequence[tuple[Subject, RefreshRecord]]) -> None:
    """Record refreshes that have ended."""
    values = {
        "apps": [subject.app for subject, _ in ended],
        "kinds": [subject.kind for subject, _ in ended],
        "ids": [subject.id for subject, _ in ended],
        "moments": [record.ended_at for _, record in ended],
        "due_by": [record.due_by for _, record in ended],
        "outcomes": [record.outcome for _, record in ended],
    }
    await connection.execute(_ADD, values)


async def about(connection: AsyncConnection, subject: Subject, *, limit: int) -> list[RefreshRecord]:
    """Return the latest refreshes of a subject, at most `limit`, oldest first."""
    columns = [refreshes.c[name] for name in RefreshRecord.__dataclass_fields__]
    is_about = (
        (refreshes.c.app == subject.app) & (refreshes.c.kind == subject.kind) & (refreshes.c.subject_id == subject.id)
    )
    query = select(*columns).where(is_about).order_by(refreshes.c.id.desc()).limit(limit)
    return [RefreshRecord(**row._mapping) for row in await connection.execute(query)][::-1]  # noqa: SLF001  # SQLAlchemy's documented name


_ADD = text("""
    INSERT INTO refreshes (app, kind, subject_id, ended_at, due_by, outcome)
    SELECT * FROM unnest(
        CAST(:apps AS text[]), CAST(:kinds AS text[]), CAST(:ids AS text[]), CAST(:moments AS timestamptz[]),
        CAST(:due_by AS text[]), CAST(:outcomes AS text[])
    )
""")
