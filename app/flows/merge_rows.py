"""Merges of users: stored with the webhook that announces them, applied when the remaining user is refreshed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.rules import merges
from app.flows.rules.merges import Merge
from app.storage.subjects import Subject

# The most links of merges to follow, on average per user.
CHAIN_LIMIT = 20


@dataclass(frozen=True, kw_only=True)
class AnnouncedMerge:
    """A merge and the id of the webhook that announces it."""

    message_id: str
    merge: Merge


async def note(connection: AsyncConnection, announced: Sequence[AnnouncedMerge]) -> dict[Merge, str]:
    """Store merges, before the webhooks that announce them. Returns the remaining user of each merge.

    Ignores repeats of stored webhooks, which must not undo later merges. A merge into a user that is itself merged
    waits for the last user of the chain, in whichever order the two are announced.
    """
    # Otherwise two processes that store A→B and B→C at the same time would not see each other's merge.
    await connection.execute(_LOCK)
    pairs = [each.merge for each in announced]
    await connection.execute(
        _NOTE,
        {
            "message_ids": [each.message_id for each in announced],
            "apps": [pair.app for pair in pairs],
            "olds": [pair.old_user_id for pair in pairs],
            "news": [pair.new_user_id for pair in pairs],
            "moments": [pair.received_at for pair in pairs],
        },
    )
    named = {_user(pair.app, user_id) for pair in pairs for user_id in (pair.old_user_id, pair.new_user_id)}
    today = await survivors(connection, sorted(named))
    gone = [user for user in sorted(named) if today[user] != user.id]
    values = {
        "apps": [user.app for user in gone],
        "ids": [user.id for user in gone],
        "survivors": [today[user] for user in gone],
    }
    await connection.execute(_WAIT_FOR, values)
    return {pair: today[_user(pair.app, pair.old_user_id)] for pair in pairs}


async def survivors(connection: AsyncConnection, users: Collection[Subject]) -> dict[Subject, str]:
    """Return the remaining user for each of these users. For most it is the user itself."""
    values = {
        "apps": [user.app for user in users],
        "ids": [user.id for user in users],
        "limit": CHAIN_LIMIT * len(users),
    }
    onward = [Merge(**row._mapping) for row in await connection.execute(_ONWARD, values)]  # noqa: SLF001  # SQLAlchemy's documented name
    return {user: merges.survivor(user.app, user.id, onward) for user in users}


async def is_gone(connection: AsyncConnection, subject: Subject) -> bool:
    """Whether this is a user that was merged into another one."""
    return subject.kind == "user" and (await survivors(connection, [subject]))[subject] != subject.id


async def lock_waiting(connection: AsyncConnection, user: Subject, *, limit: int) -> list[str]:
    """Return the users whose merge into this one is not applied yet, at most `limit`, and lock the merges."""
    values = {"app": user.app, "user_id": user.id, "limit": limit}
    return list(await connection.scalars(_LOCK_WAITING, values))


async def settle(connection: AsyncConnection, app: str, old_ids: Sequence[str], *, now: datetime) -> None:
    """Mark these merges as applied."""
    await connection.execute(_SETTLE, {"app": app, "olds": list(old_ids), "now": now})


def _user(app: str, user_id: str) -> Subject:
    return Subject(app=app, kind="user", id=user_id)


# Migrations and the feed use other lock ids.
_LOCK = text("SELECT pg_advisory_xact_lock(7300003, hashtext(current_schema()::text))")

_NOTE = text("""
    INSERT INTO user_merges AS m (app, old_user_id, new_user_id, survivor_id, received_at)
    SELECT DISTINCT ON (app, old_user_id) app, old_user_id, new_user_id, new_user_id, received_at
    FROM unnest(
        CAST(:message_ids AS text[]), CAST(:apps AS text[]), CAST(:olds AS text[]), CAST(:news AS text[]),
        CAST(:moments AS timestamptz[])
    ) AS i (message_id, app, old_user_id, new_user_id, received_at)
    WHERE NOT EXISTS (SELECT FROM webhooks w WHERE w.app = i.app AND w.message_id = i.message_id)
    ORDER BY app, old_user_id, received_at DESC
    ON CONFLICT (app, old_user_id) DO UPDATE
    SET new_user_id = excluded.new_user_id, survivor_id = excluded.survivor_id, received_at = excluded.received_at,
        applied_at = NULL
    WHERE m.received_at <= excluded.received_at
""")

_WAIT_FOR = text("""
    UPDATE user_merges m
    SET survivor_id = i.survivor_id
    FROM unnest(CAST(:apps AS text[]), CAST(:ids AS text[]), CAST(:survivors AS text[])) AS i (app, id, survivor_id)
    WHERE m.app = i.app AND m.survivor_id = i.id AND m.applied_at IS NULL
""")

# The LIMIT 1 makes each step a lookup in the primary key. Without it, Postgres may choose another join.
_ONWARD = text("""
    WITH RECURSIVE onward AS (
        SELECT m.app, m.old_user_id, m.new_user_id, m.received_at
        FROM unnest(CAST(:apps AS text[]), CAST(:ids AS text[])) AS i (app, id)
        CROSS JOIN LATERAL (
            SELECT * FROM user_merges WHERE app = i.app AND old_user_id = i.id LIMIT 1
        ) AS m
        UNION
        SELECT m.app, m.old_user_id, m.new_user_id, m.received_at
        FROM onward o
        CROSS JOIN LATERAL (
            SELECT * FROM user_merges WHERE app = o.app AND old_user_id = o.new_user_id LIMIT 1
        ) AS m
    )
    SELECT app, old_user_id, new_user_id, received_at FROM onward LIMIT :limit
""")

_LOCK_WAITING = text("""
    SELECT old_user_id FROM user_merges
    WHERE app = :app AND survivor_id = :user_id AND applied_at IS NULL
    ORDER BY old_user_id
    LIMIT :limit FOR UPDATE
""")

_SETTLE = text("""
    UPDATE user_merges SET applied_at = :now WHERE app = :app AND old_user_id = ANY (CAST(:olds AS text[]))
""")
