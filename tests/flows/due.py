"""Makes subjects due, and reads their sync rows and events."""

from datetime import datetime
from typing import Any

from app.flows import sync_rows
from app.flows.sync_rows import DueBy
from app.storage import database
from app.storage.subjects import Subject
from tests.all_inputs import AllInputs
from tests.dots.fake_dots import USER
from tests.storage import stored


def flow(flow_id: str, app: str = "default") -> Subject:
    """A flow."""
    return Subject(app=app, kind="flow", id=flow_id)


def user(user_id: str = USER) -> Subject:
    """A user of the default app."""
    return Subject(app="default", kind="user", id=user_id)


async def make_due(
    inputs: AllInputs, *subjects: Subject, due_at: datetime | None = None, due_by: DueBy = "webhook"
) -> None:
    """Make subjects due now or at this time."""
    async with database.transaction(inputs.engine) as connection:
        await sync_rows.mark_due(connection, subjects, due_at=due_at or inputs.clock(), due_by=due_by)


async def sync_row(inputs: AllInputs, subject: Subject) -> dict[str, Any]:
    """Return the sync row of a subject."""
    return await stored.row(
        inputs.engine,
        "SELECT due_at, due_by, dirty_gen, clean_gen, lease_token, lease_until, attempts, last_error "
        "FROM sync_rows WHERE app = :app AND kind = :kind AND subject_id = :id",
        app=subject.app,
        kind=subject.kind,
        id=subject.id,
    )


async def event_types(inputs: AllInputs) -> list[str]:
    """Return the types of all events, in the order in which they were appended."""
    return [row["type"] for row in await stored.rows(inputs.engine, "SELECT type FROM events ORDER BY row_id")]
