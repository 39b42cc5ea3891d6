"""Look again at what stored webhooks announced: one, or all that match, counted first."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from app.actions import ask_again
from app.actions.tools import Tools
from app.errors import WebhookNotFoundError
from app.storage import database, hints, sync_rows, webhook_search
from app.storage.webhook_search import WebhookFilter, WebhookSummary


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What a replay is about to do, or has done: so many webhooks, about so many flows and users."""

    webhooks: int
    subjects: int
    is_dry_run: bool


async def list_webhooks(
    engine: AsyncEngine, wanted: WebhookFilter, *, before: tuple[datetime, str, str] | None, limit: int
) -> list[WebhookSummary]:
    """The latest webhooks that match, from after the one `before` (received_at, app, message id)."""
    async with database.transaction(engine) as connection:
        return await webhook_search.page(connection, wanted, before=before, limit=limit)


async def read_webhook(engine: AsyncEngine, app: str, message_id: str) -> tuple[WebhookSummary, bytes | None]:
    """One webhook and its body as it came, None once emptied. Raises WebhookNotFoundError."""
    if not message_id.isprintable():  # Postgres has no text for some of what a path may hold.
        raise WebhookNotFoundError
    async with database.transaction(engine) as connection:
        found = await webhook_search.find(connection, app, message_id)
    if found is None:
        raise WebhookNotFoundError
    return found


async def replay_one(tools: Tools, app: str, message_id: str) -> Replay:
    """Make due what one webhook is about. Raises WebhookNotFoundError."""
    summary, _body = await read_webhook(tools.engine, app, message_id)
    wanted = WebhookFilter(app=app, subject_id=summary.subject_id)
    if summary.subject_id is None:
        return Replay(webhooks=1, subjects=0, is_dry_run=False)
    done = await replay(tools, wanted, is_dry_run=False)
    return Replay(webhooks=1, subjects=done.subjects, is_dry_run=False)


async def replay(tools: Tools, wanted: WebhookFilter, *, is_dry_run: bool) -> Replay:
    """Make due what all matching webhooks are about, dead or alive; a dry run only counts."""
    async with database.transaction(tools.engine) as connection:
        count = await webhook_search.count(connection, wanted)
        subjects = await webhook_search.subjects(connection, wanted, limit=ask_again.ASK_LIMIT)
        if not is_dry_run and subjects:
            await sync_rows.mark_due(connection, subjects, due_at=tools.clock(), due_by="refresh")
    if not is_dry_run:
        tools.hints.give(hints.DUE)
    return Replay(webhooks=count, subjects=len(subjects), is_dry_run=is_dry_run)
