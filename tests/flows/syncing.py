"""Steps for the tests of sync rows: make due, claim, end a claim."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.flows import due_rows, sync_rows
from app.flows.due_rows import AppScan
from app.flows.sync_rows import Claim, DueBy
from app.storage import database
from app.storage.subjects import Kind, Subject
from tests.dots.fake_dots import NOW
from tests.storage import stored

MINUTE = timedelta(minutes=1)
TOKEN = UUID("00000000-0000-4000-8000-000000000001")


def subject(number: int = 1, *, app: str = "default", kind: Kind = "flow") -> Subject:
    """Return the subject of this number."""
    return Subject(app=app, kind=kind, id=f"{kind}-{number}")


async def mark_due(
    engine: AsyncEngine, *subjects: Subject, at: datetime = NOW, by: DueBy = "webhook"
) -> Mapping[Subject, int]:
    """Make subjects due."""
    async with database.transaction(engine) as connection:
        return await sync_rows.mark_due(connection, subjects, due_at=at, due_by=by)


async def claim_due(
    engine: AsyncEngine,
    *,
    now: datetime = NOW,
    token: UUID = TOKEN,
    apps: Collection[str] = ("default",),
    limit: int = 10,
) -> list[Claim]:
    """Claim due rows for a minute, requested ones before sweeps."""
    async with database.transaction(engine) as connection:
        return await claim_in(connection, now=now, token=token, apps=apps, limit=limit)


async def claim_in(
    connection: AsyncConnection,
    *,
    now: datetime = NOW,
    token: UUID = TOKEN,
    apps: Collection[str] = ("default",),
    limit: int = 10,
    lease: timedelta = MINUTE,
) -> list[Claim]:
    """Claim due rows in the caller's transaction, up to `limit` of each app and kind."""
    scans = [AppScan(app=app, share=limit) for app in apps]
    open_apps = {due.app for due in await due_rows.count(connection, scans, now=now) if not due.is_paused}
    scans = [scan for scan in scans if scan.app in open_apps]
    claims: list[Claim] = []
    for kind in due_rows.KINDS:
        scans = [replace(scan, share=limit - len(claims)) for scan in scans]
        rows = await due_rows.claim(connection, scans, kind=kind, now=now, lease_until=now + lease, token=token)
        claims += [row.claim for row in rows]
    return claims


async def claim_one(engine: AsyncEngine, wanted: Subject, *, now: datetime = NOW) -> Claim | None:
    """Claim this subject for a minute."""
    async with database.transaction(engine) as connection:
        return await sync_rows.claim_one(connection, wanted, now=now, lease_until=now + MINUTE, token=TOKEN)


async def settle(engine: AsyncEngine, claim: Claim, *, next_due_at: datetime | None = None) -> bool:
    """Settle a claim."""
    async with database.transaction(engine) as connection:
        return await sync_rows.settle(connection, claim, next_due_at=next_due_at)


async def postpone(engine: AsyncEngine, claim: Claim, *, due_at: datetime = NOW + MINUTE) -> bool:
    """Postpone a claim."""
    async with database.transaction(engine) as connection:
        return await sync_rows.postpone(connection, claim, due_at=due_at, now=NOW, error="dots_failed")


async def dead_letter(engine: AsyncEngine, claim: Claim) -> bool:
    """Make the claimed row a dead letter."""
    async with database.transaction(engine) as connection:
        return await sync_rows.dead_letter(connection, claim, now=NOW, error="dots_refused")


async def defer(engine: AsyncEngine, claim: Claim, *, due_at: datetime = NOW) -> None:
    """Give a claim back without counting an attempt."""
    async with database.transaction(engine) as connection:
        await sync_rows.defer(connection, claim, due_at=due_at)


async def schedule(engine: AsyncEngine, wanted: Subject, *, due_at: datetime | None) -> None:
    """Set the first due time."""
    async with database.transaction(engine) as connection:
        await sync_rows.schedule(connection, wanted, due_at=due_at, due_by="sweep")


async def row_of(engine: AsyncEngine, wanted: Subject, *columns: str) -> dict[str, Any]:
    """Return the row of a subject, or some of its columns."""
    row = await stored.row(
        engine,
        "SELECT * FROM sync_rows WHERE app = :app AND kind = :kind AND subject_id = :id",
        app=wanted.app,
        kind=wanted.kind,
        id=wanted.id,
    )
    return {column: row[column] for column in columns} if columns else row
