"""The sync row of each flow and user: when to ask Dots about it, and the lease. `due_rows` finds due rows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.subjects import Subject

DueBy = Literal["create", "webhook", "sweep", "refresh"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to refresh a subject until the lease ends. `seen_gen` is the generation that the refresh clears."""

    subject: Subject
    token: UUID
    lease_until: datetime
    seen_gen: int
    due_by: DueBy
    attempts: int
    failing_since: datetime | None


async def mark_due(
    connection: AsyncConnection, subjects: Collection[Subject], *, due_at: datetime, due_by: DueBy
) -> Mapping[Subject, int]:
    """Make the subjects due and return their new generations. Locks the rows in order."""
    ordered = sorted(set(subjects))
    rows = await connection.execute(
        _MARK_DUE,
        {
            "apps": [subject.app for subject in ordered],
            "kinds": [subject.kind for subject in ordered],
            "ids": [subject.id for subject in ordered],
            "due_at": due_at,
            "due_by": due_by,
        },
    )
    return {Subject(app=row.app, kind=row.kind, id=row.subject_id): row.dirty_gen for row in rows}


async def schedule(connection: AsyncConnection, subject: Subject, *, due_at: datetime | None, due_by: DueBy) -> None:
    """Set the first due time of a subject that Dots has just answered about. Does not change an existing row."""
    await connection.execute(_SCHEDULE, {**_key(subject), "due_at": due_at, "due_by": due_by})


async def claim_one(
    connection: AsyncConnection, subject: Subject, *, now: datetime, lease_until: datetime, token: UUID
) -> Claim | None:
    """Claim this subject, due or not. Returns None if another process has the lease or there is no row."""
    values = {**_key(subject), "now": now, "lease_until": lease_until, "token": token}
    row = (await connection.execute(_CLAIM_ONE, values)).one_or_none()
    if row is None:
        return None
    return Claim(
        subject=subject,
        token=token,
        lease_until=lease_until,
        seen_gen=row.dirty_gen,
        due_by=row.due_by,
        attempts=row.attempts,
        failing_since=row.failing_since,
    )


async def settle(connection: AsyncConnection, claim: Claim, *, next_due_at: datetime | None) -> bool:
    """Clear the generation that the claim saw. Returns False if the lease was lost: then store nothing."""
    return await settle_all(connection, [(claim, next_due_at)])


async def settle_all(connection: AsyncConnection, settled: Sequence[tuple[Claim, datetime | None]]) -> bool:
    """Settle several claims, each with its next due time. Returns False if any lease was lost.

    Lock the rows in order first.
    """
    values = {
        "apps": [claim.subject.app for claim, _ in settled],
        "kinds": [claim.subject.kind for claim, _ in settled],
        "ids": [claim.subject.id for claim, _ in settled],
        "tokens": [claim.token for claim, _ in settled],
        "seen_gens": [claim.seen_gen for claim, _ in settled],
        "next_due_at": [next_due_at for _, next_due_at in settled],
    }
    return (await connection.execute(_SETTLE, values)).rowcount == len(settled)


async def lock(connection: AsyncConnection, subjects: Collection[Subject]) -> None:
    """Lock the existing rows of these subjects in order."""
    ordered = sorted(set(subjects))
    values = {
        "apps": [subject.app for subject in ordered],
        "kinds": [subject.kind for subject in ordered],
        "ids": [subject.id for subject in ordered],
    }
    await connection.execute(_LOCK, values)


async def postpone(connection: AsyncConnection, claim: Claim, *, due_at: datetime, now: datetime, error: str) -> bool:
    """Give the claim back after a failure, to be tried again at `due_at`. Returns False if the lease was lost."""
    values = {
        **_key(claim.subject),
        "token": claim.token,
        "seen_gen": claim.seen_gen,
        "due_at": due_at,
        "now": now,
        "error": error,
    }
    return (await connection.execute(_POSTPONE, values)).rowcount == 1


async def dead_letter(connection: AsyncConnection, claim: Claim, *, now: datetime, error: str) -> bool:
    """Give the subject up until it is made due again. Returns False if the lease was lost."""
    values = {**_key(claim.subject), "token": claim.token, "seen_gen": claim.seen_gen, "now": now, "error": error}
    return (await connection.execute(_DEAD_LETTER, values)).rowcount == 1


async def defer(connection: AsyncConnection, claim: Claim, *, due_at: datetime) -> None:
    """Give the claim back and make it due at `due_at`, without counting an attempt."""
    await connection.execute(_DEFER, {**_key(claim.subject), "token": claim.token, "due_at": due_at})


async def rest(connection: AsyncConnection, subjects: Collection[Subject]) -> None:
    """Mark subjects that were merged into others as clean and not due, until they are made due again.

    Skips locked rows, because waiting for them here could deadlock.
    """
    values = {
        "apps": [subject.app for subject in subjects],
        "kinds": [subject.kind for subject in subjects],
        "ids": [subject.id for subject in subjects],
    }
    await connection.execute(_REST, values)


def _key(subject: Subject) -> dict[str, str]:
    return {"app": subject.app, "kind": subject.kind, "subject_id": subject.id}


# A sweep does not change the reason of a row that a webhook has made due: requested rows come first, and waiting
# webhooks are found by the reason.
_MARK_DUE = text("""
    INSERT INTO sync_rows AS s (app, kind, subject_id, due_at, due_by, dirty_gen)
    SELECT app, kind, subject_id, :due_at, :due_by, 1
    FROM unnest(CAST(:apps AS text[]), CAST(:kinds AS text[]), CAST(:ids AS text[])) AS due (app, kind, subject_id)
    ON CONFLICT (app, kind, subject_id) DO UPDATE
    SET dirty_gen = s.dirty_gen + 1, due_at = LEAST(s.due_at, excluded.due_at),
        due_by = CASE
            WHEN excluded.due_by = 'sweep' AND s.dirty_gen > s.clean_gen THEN s.due_by
            ELSE excluded.due_by
        END,
        attempts = 0, dead_at = NULL
    RETURNING app, kind, subject_id, dirty_gen
""")

_SCHEDULE = text("""
    INSERT INTO sync_rows (app, kind, subject_id, due_at, due_by, dirty_gen)
    VALUES (:app, :kind, :subject_id, :due_at, :due_by, 0)
    ON CONFLICT (app, kind, subject_id) DO NOTHING
""")

_CLAIM_ONE = text("""
    UPDATE sync_rows s
    SET lease_token = :token, lease_until = :lease_until
    WHERE app = :app AND kind = :kind AND subject_id = :subject_id
      AND (lease_until IS NULL OR lease_until <= :now)
    RETURNING s.dirty_gen, s.due_by, s.attempts, s.failing_since
""")

# If the generation was raised during the call to Dots, the row keeps its new due time.
_SETTLE = text("""
    UPDATE sync_rows s
    SET clean_gen = GREATEST(clean_gen, seen_gen), lease_token = NULL, lease_until = NULL,
        attempts = 0, failing_since = NULL, last_error = NULL,
        due_at = CASE WHEN dirty_gen > seen_gen THEN due_at ELSE next_due_at END,
        due_by = CASE WHEN dirty_gen > seen_gen THEN due_by ELSE 'sweep' END
    FROM unnest(
        CAST(:apps AS text[]), CAST(:kinds AS text[]), CAST(:ids AS text[]), CAST(:tokens AS uuid[]),
        CAST(:seen_gens AS bigint[]), CAST(:next_due_at AS timestamptz[])
    ) AS i (app, kind, subject_id, token, seen_gen, next_due_at)
    WHERE s.app = i.app AND s.kind = i.kind AND s.subject_id = i.subject_id AND s.lease_token = i.token
""")

# Locks in the order of the arrays, as `_MARK_DUE` does. The database may sort text differently.
_LOCK = text("""
    SELECT FROM unnest(CAST(:apps AS text[]), CAST(:kinds AS text[]), CAST(:ids AS text[]))
        WITH ORDINALITY AS i (app, kind, subject_id, place)
    JOIN sync_rows s USING (app, kind, subject_id)
    ORDER BY place
    FOR UPDATE OF s
""")

# Here too: if the generation was raised meanwhile, the row keeps its due time and does not wait for the older failure.
_POSTPONE = text("""
    UPDATE sync_rows
    SET lease_token = NULL, lease_until = NULL, attempts = attempts + 1, last_error = :error,
        failing_since = COALESCE(failing_since, CAST(:now AS timestamptz)),
        due_at = CASE WHEN dirty_gen > :seen_gen THEN due_at ELSE :due_at END
    WHERE app = :app AND kind = :kind AND subject_id = :subject_id AND lease_token = :token
""")

# A row that was made due again during the call to Dots gets another try.
_DEAD_LETTER = text("""
    UPDATE sync_rows
    SET lease_token = NULL, lease_until = NULL, attempts = attempts + 1, last_error = :error,
        dead_at = CASE WHEN dirty_gen > :seen_gen THEN NULL ELSE CAST(:now AS timestamptz) END,
        due_at = CASE WHEN dirty_gen > :seen_gen THEN due_at END
    WHERE app = :app AND kind = :kind AND subject_id = :subject_id AND lease_token = :token
""")

_DEFER = text("""
    UPDATE sync_rows
    SET lease_token = NULL, lease_until = NULL, due_at = :due_at
    WHERE app = :app AND kind = :kind AND subject_id = :subject_id AND lease_token = :token
""")

_REST = text("""
    UPDATE sync_rows s
    SET due_at = NULL, clean_gen = s.dirty_gen, attempts = 0, failing_since = NULL, last_error = NULL, dead_at = NULL
    FROM (
        SELECT r.app, r.kind, r.subject_id
        FROM unnest(CAST(:apps AS text[]), CAST(:kinds AS text[]), CAST(:ids AS text[])) AS i (app, kind, subject_id)
        JOIN sync_rows r USING (app, kind, subject_id)
        WHERE r.lease_token IS NULL
        FOR UPDATE OF r SKIP LOCKED
    ) AS free
    WHERE s.app = free.app AND s.kind = free.kind AND s.subject_id = free.subject_id
""")
