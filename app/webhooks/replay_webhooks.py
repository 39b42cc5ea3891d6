"""Look again at what stored webhooks announced: one, or all that match, counted first."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import WebhookNotFoundError
from app.flows import sync_rows
from app.storage import database, notifications
from app.storage.inputs import StorageInputs
from app.storage.subjects import Subject
from app.webhooks import webhook_search
from app.webhooks.webhook_search import WebhookFilter, WebhookKey, WebhookSummary

# A page looks through so many stretches of webhooks at most, and may then be short although there are more.
SCANS_PER_PAGE = 5
# So many webhooks are found, and so many flows and users made due, in one transaction.
BATCH = 1000
# A dry run counts no further than this, and looks through no more than so many stretches.
COUNT_LIMIT = 10_000
SCANS_PER_COUNT = 10


@dataclass(frozen=True, kw_only=True)
class WebhookPage:
    """Webhooks, latest first; the next page begins `before` this key, None when this is the last."""

    webhooks: list[WebhookSummary]
    before: WebhookKey | None


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What a replay is about to do, or has done: so many webhooks, about so many flows and users.

    `is_at_least`: it was dry, and stopped counting before it had seen all webhooks.
    """

    webhooks: int
    subjects: int
    is_dry_run: bool
    is_at_least: bool = False


async def list_webhooks(
    engine: AsyncEngine, wanted: WebhookFilter, *, before: WebhookKey | None, limit: int
) -> WebhookPage:
    """The latest webhooks that match, older than the one `before`; at most `limit`."""
    found: list[WebhookSummary] = []
    for _ in range(SCANS_PER_PAGE):
        async with database.transaction(engine) as connection:
            # One more than is wanted tells whether there is another page.
            looked = await webhook_search.scan(connection, wanted, before=before, limit=limit + 1 - len(found))
        found += looked.webhooks
        before = looked.before
        if len(found) > limit:
            last = found[limit - 1]
            key = WebhookKey(last.received_at, last.app, last.message_id)
            return WebhookPage(webhooks=found[:limit], before=key)
        if before is None:
            break
    return WebhookPage(webhooks=found, before=before)


async def read_webhook(engine: AsyncEngine, app: str, message_id: str) -> tuple[WebhookSummary, bytes | None]:
    """One webhook and its body as it came, None once emptied. Raises WebhookNotFoundError."""
    if not message_id.isprintable():  # Postgres has no text for some of what a path may hold.
        raise WebhookNotFoundError
    async with database.transaction(engine) as connection:
        found = await webhook_search.find(connection, app, message_id)
    if found is None:
        raise WebhookNotFoundError
    return found


async def replay_one(inputs: StorageInputs, app: str, message_id: str) -> Replay:
    """Make due what one webhook is about. Raises WebhookNotFoundError."""
    summary, _body = await read_webhook(inputs.engine, app, message_id)
    subjects = webhook_search.subjects([summary])
    await _make_due(inputs, subjects)
    return Replay(webhooks=1, subjects=len(subjects), is_dry_run=False)


async def replay(inputs: StorageInputs, wanted: WebhookFilter, *, is_dry_run: bool) -> Replay:
    """Make due what all matching webhooks are about, dead or alive, a batch at a time; a dry run only counts."""
    # Nothing is made due before all are found: a webhook that was dead would not be found as a dead one any more.
    found = await _find_subjects(inputs.engine, wanted, is_bounded=is_dry_run)
    if not is_dry_run:
        await _make_due(inputs, found.subjects)
    return Replay(
        webhooks=found.webhooks,
        subjects=len(found.subjects),
        is_dry_run=is_dry_run,
        is_at_least=found.has_more,
    )


@dataclass(frozen=True, kw_only=True)
class _Found:
    """How many webhooks match, and what they are about; `has_more` when it stopped at a bound."""

    webhooks: int
    subjects: frozenset[Subject]
    has_more: bool


async def _find_subjects(engine: AsyncEngine, wanted: WebhookFilter, *, is_bounded: bool) -> _Found:
    count = short = 0
    subjects: set[Subject] = set()
    before: WebhookKey | None = None
    while True:
        async with database.transaction(engine) as connection:
            looked = await webhook_search.scan(connection, wanted, before=before, limit=BATCH)
        count += len(looked.webhooks)
        short += len(looked.webhooks) < BATCH
        subjects |= webhook_search.subjects(looked.webhooks)
        before = looked.before
        is_enough = is_bounded and (count >= COUNT_LIMIT or short >= SCANS_PER_COUNT)
        if before is None or is_enough:
            return _Found(webhooks=count, subjects=frozenset(subjects), has_more=before is not None)


async def _make_due(inputs: StorageInputs, subjects: Collection[Subject]) -> None:
    ordered = sorted(subjects)
    for start in range(0, len(ordered), BATCH):
        async with database.transaction(inputs.engine) as connection:
            batch = ordered[start : start + BATCH]
            await sync_rows.mark_due(connection, batch, due_at=inputs.clock(), due_by="refresh")
        inputs.notifications.send(notifications.DUE)
