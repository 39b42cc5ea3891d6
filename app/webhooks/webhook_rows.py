"""The rows of Dots' webhooks. A webhook that arrives several times is one row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows import merge_rows
from app.flows.merge_rows import AnnouncedMerge
from app.flows.read_timeline import WebhookSeen
from app.flows.rules.merges import Merge
from app.storage.dedicated_session import DedicatedSession
from app.storage.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A verified webhook. `subject` is None if it is about neither a flow nor a user.

    `merged_user_id` is the user that was merged into the subject, according to the webhook.
    """

    app: str
    message_id: str
    received_at: datetime
    body: bytes
    event: str | None
    subject: Subject | None
    merged_user_id: str | None = None

    @property
    def merge(self) -> Merge | None:
        """The merge that it announces."""
        if self.subject is None or self.merged_user_id is None:
            return None
        return Merge(
            app=self.app,
            old_user_id=self.merged_user_id,
            new_user_id=self.subject.id,
            received_at=self.received_at,
        )


async def store(connection: AsyncConnection, webhooks: Sequence[Webhook]) -> None:
    """Store a batch in one statement, and make its flows and users due. Merges are recorded first.

    Rows are written in key order, sync rows first, so that two batches cannot deadlock. A repeat is counted and makes
    its subject due again. It updates the row, because an update waits for a transaction that is writing the same id.
    """
    batch = _Batch(webhooks)
    if announces_merge(webhooks):
        batch.rows = await _note_merges(connection, batch.rows)
    await connection.exec_driver_sql(_STORE, batch.arguments())


async def store_and_commit(session: DedicatedSession, webhooks: Sequence[Webhook]) -> None:
    """Store a batch without merges in its own transaction. Raises like `DedicatedSession.execute`."""
    await session.execute(_STORE, *_Batch(webhooks).arguments())


def announces_merge(webhooks: Sequence[Webhook]) -> bool:
    """Whether a batch announces a merge, which takes more than one statement to record."""
    return any(webhook.merged_user_id for webhook in webhooks)


async def about(connection: AsyncConnection, subject: Subject, limit: int) -> list[WebhookSeen]:
    """Return the latest webhooks about a subject, at most `limit`, in the order of arrival."""
    rows = await connection.execute(
        _ABOUT, {"app": subject.app, "kind": subject.kind, "subject_id": subject.id, "limit": limit}
    )
    found = [WebhookSeen(**row._mapping) for row in rows]  # noqa: SLF001  # SQLAlchemy's documented name
    return sorted(found, key=lambda webhook: (webhook.received_at, webhook.message_id))


class _Batch:
    """The rows of a batch in key order, and how many times the batch has each of them."""

    def __init__(self, webhooks: Sequence[Webhook]) -> None:
        first: dict[tuple[str, str], Webhook] = {}
        counts: dict[tuple[str, str], int] = {}
        for webhook in webhooks:
            key = (webhook.app, webhook.message_id)
            first.setdefault(key, webhook)
            counts[key] = counts.get(key, 0) + 1
        keys = sorted(first)
        self.rows = [first[key] for key in keys]
        self._counts = [counts[key] for key in keys]

    def arguments(self) -> tuple[list[Any], ...]:
        """The arguments of `_STORE`."""
        rows = self.rows
        return (
            [row.app for row in rows],
            [row.message_id for row in rows],
            [row.received_at for row in rows],
            self._counts,
            [row.body for row in rows],
            [row.event for row in rows],
            [row.subject and row.subject.kind for row in rows],
            [row.subject and row.subject.id for row in rows],
        )


async def _note_merges(connection: AsyncConnection, webhooks: Sequence[Webhook]) -> list[Webhook]:
    """Record the merges in a batch. The subject of such a webhook becomes the user that remains."""
    announced = [
        AnnouncedMerge(message_id=webhook.message_id, merge=merge) for webhook in webhooks if (merge := webhook.merge)
    ]
    survivors = await merge_rows.note(connection, announced)
    return [
        replace(webhook, subject=Subject(app=webhook.app, kind="user", id=survivors[merge]))
        if (merge := webhook.merge)
        else webhook
        for webhook in webhooks
    ]


# Parameters are in the driver's form, because a dedicated session does not use SQLAlchemy.
_STORE = """
    WITH incoming AS (
        SELECT *
        FROM unnest(
            CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS timestamptz[]), CAST($4 AS int[]),
            CAST($5 AS bytea[]), CAST($6 AS text[]), CAST($7 AS text[]), CAST($8 AS text[])
        ) AS i (app, message_id, received_at, received_count, body, event, kind, subject_id)
    ), raised AS (
        INSERT INTO sync_rows AS s (app, kind, subject_id, due_at, due_by, dirty_gen)
        SELECT app, kind, subject_id, min(received_at), 'webhook', 1
        FROM incoming
        WHERE kind IS NOT NULL
        GROUP BY app, kind, subject_id
        ORDER BY app, kind, subject_id
        ON CONFLICT (app, kind, subject_id) DO UPDATE
        SET dirty_gen = s.dirty_gen + 1, due_at = LEAST(s.due_at, excluded.due_at), due_by = 'webhook',
            attempts = 0, dead_at = NULL
        RETURNING app, kind, subject_id, dirty_gen
    )
    INSERT INTO webhooks AS w (
        app, message_id, received_at, last_received_at, received_count, body, event, kind, subject_id, raised_gen
    )
    SELECT
        app, message_id, received_at, received_at, received_count, body, event, kind, subject_id, dirty_gen
    FROM incoming LEFT JOIN raised USING (app, kind, subject_id)
    ORDER BY app, message_id
    ON CONFLICT (app, message_id) DO UPDATE
    SET received_count = w.received_count + excluded.received_count,
        last_received_at = GREATEST(w.last_received_at, excluded.last_received_at)
"""

# The order is exactly that of the index. If it also had the id, Postgres might sort all webhooks of the subject.
_ABOUT = text("""
    SELECT w.message_id, w.event, w.received_at, w.last_received_at, w.received_count,
        COALESCE(
            (
                SELECT clean_gen FROM sync_rows
                WHERE app = :app AND kind = :kind AND subject_id = :subject_id
            ) >= w.raised_gen,
            true
        ) AS is_handled
    FROM webhooks w
    WHERE w.app = :app AND w.kind = :kind AND w.subject_id = :subject_id
    ORDER BY w.received_at DESC
    LIMIT :limit
""")
