"""Lists stored webhooks, and makes the flows and users that they are about due for a refresh."""

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

# The most scans for one page. After them a page may be short although older webhooks match.
SCANS_PER_PAGE = 5
# The most webhooks that one transaction finds, and the most flows and users that one makes due.
BATCH = 1000
# The bounds of a dry run: webhooks that it counts, and scans that find less than a batch.
COUNT_LIMIT = 10_000
SCANS_PER_COUNT = 10


@dataclass(frozen=True, kw_only=True)
class WebhookPage:
    """Webhooks, latest first. The next page begins `before` this key. None: this is the last page."""

    webhooks: list[WebhookSummary]
    before: WebhookKey | None


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The numbers of webhooks that match, and of the flows and users that they are about.

    `is_at_least`: a dry run stopped before it had counted all webhooks.
    """

    webhooks: int
    subjects: int
    is_dry_run: bool
    is_at_least: bool = False


async def list_webhooks(
    engine: AsyncEngine, wanted: WebhookFilter, *, before: WebhookKey | None, limit: int
) -> WebhookPage:
    """Return the latest webhooks that match and are older than `before`, at most `limit`."""
    found: list[WebhookSummary] = []
    for _ in range(SCANS_PER_PAGE):
        async with database.transaction(engine) as connection:
            # One more than the limit shows whether there is another page.
            scanned = await webhook_search.scan(connection, wanted, before=before, limit=limit + 1 - len(found))
        found += scanned.webhooks
        before = scanned.before
        if len(found) > limit:
            last = found[limit - 1]
            key = WebhookKey(last.received_at, last.app, last.message_id)
            return WebhookPage(webhooks=found[:limit], before=key)
        if before is None:
            break
    return WebhookPage(webhooks=found, before=before)


async def read_webhook(engine: AsyncEngine, app: str, message_id: str) -> tuple[WebhookSummary, bytes | None]:
    """Return one webhook and its body, which is None after it has expired. Raises WebhookNotFoundError."""
    if not message_id.isprintable():  # Postgres' text cannot hold a NUL, which a path may contain.
        raise WebhookNotFoundError
    async with database.transaction(engine) as connection:
        found = await webhook_search.find(connection, app, message_id)
    if found is None:
        raise WebhookNotFoundError
    return found


async def replay_one(inputs: StorageInputs, app: str, message_id: str) -> Replay:
    """Make the flow or user of one webhook due. Raises WebhookNotFoundError."""
    summary, _body = await read_webhook(inputs.engine, app, message_id)
    subjects = webhook_search.subjects([summary])
    await _make_due(inputs, subjects)
    return Replay(webhooks=1, subjects=len(subjects), is_dry_run=False)


async def replay(inputs: StorageInputs, wanted: WebhookFilter, *, is_dry_run: bool) -> Replay:
    """Make the flows and users of all matching webhooks due, dead letters included. A dry run only counts."""
    # Find all webhooks first: once its flow is due, a dead webhook no longer matches the state `dead`.
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
    """The number of webhooks that match, and their flows and users. `has_more`: the search stopped at a bound."""

    webhooks: int
    subjects: frozenset[Subject]
    has_more: bool


async def _find_subjects(engine: AsyncEngine, wanted: WebhookFilter, *, is_bounded: bool) -> _Found:
    count = short_scans = 0
    subjects: set[Subject] = set()
    before: WebhookKey | None = None
    while True:
        async with database.transaction(engine) as connection:
            scanned = await webhook_search.scan(connection, wanted, before=before, limit=BATCH)
        count += len(scanned.webhooks)
        short_scans += len(scanned.webhooks) < BATCH
        subjects |= webhook_search.subjects(scanned.webhooks)
        before = scanned.before
        has_reached_bound = is_bounded and (count >= COUNT_LIMIT or short_scans >= SCANS_PER_COUNT)
        if before is None or has_reached_bound:
            return _Found(webhooks=count, subjects=frozenset(subjects), has_more=before is not None)


async def _make_due(inputs: StorageInputs, subjects: Collection[Subject]) -> None:
    ordered = sorted(subjects)
    for start in range(0, len(ordered), BATCH):
        async with database.transaction(inputs.engine) as connection:
            batch = ordered[start : start + BATCH]
            await sync_rows.mark_due(connection, batch, due_at=inputs.clock(), due_by="refresh")
        inputs.notifications.send(notifications.DUE)
