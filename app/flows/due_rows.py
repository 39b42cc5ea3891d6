"""Finding the sync rows that are due and claiming them, one app at a time; `sync_rows` holds what happens afterwards.

Every statement reads at most as many rows of an app as it was told to, from an index of that app's rows by due time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.sync_rows import Claim
from app.storage.subjects import Subject

# Asked for by a webhook, a creation or an operator; or due for a sweep.
DueKind = Literal["requested", "sweep"]
KINDS: tuple[DueKind, ...] = get_args(DueKind)


@dataclass(frozen=True, kw_only=True)
class AppScan:
    """Where to look for due rows of one app: at those of each kind that are due at its floor or later (None: at all).

    `share` limits how many rows are counted or claimed.
    """

    app: str
    share: int
    requested_floor: datetime | None = None
    sweep_floor: datetime | None = None

    def floor(self, kind: DueKind) -> datetime | None:
        """Where the look for this kind begins."""
        return self.requested_floor if kind == "requested" else self.sweep_floor


@dataclass(frozen=True, kw_only=True)
class Due:
    """What a look found: how many rows of each kind are due, up to the share, and since when the oldest of them is."""

    app: str
    is_paused: bool
    requested: int
    requested_since: datetime | None
    sweep: int
    sweep_since: datetime | None

    def count(self, kind: DueKind) -> int:
        """How many rows of this kind are due, up to the share."""
        return self.requested if kind == "requested" else self.sweep

    def since(self, kind: DueKind) -> datetime | None:
        """Since when the oldest of them is due; None if there is none."""
        return self.requested_since if kind == "requested" else self.sweep_since


@dataclass(frozen=True, kw_only=True)
class ClaimedRow:
    """A claim and when its row was due."""

    claim: Claim
    due_at: datetime


async def count(connection: AsyncConnection, scans: Sequence[AppScan], *, now: datetime) -> list[Due]:
    """Count the due rows of each app that are not leased. Rows of a paused app are not read."""
    rows = await connection.execute(_COUNT, {**_columns(scans), "now": now})
    return [Due(**row._mapping) for row in rows]  # noqa: SLF001  # SQLAlchemy's documented name


async def claim(
    connection: AsyncConnection,
    scans: Sequence[AppScan],
    *,
    kind: DueKind,
    now: datetime,
    lease_until: datetime,
    token: UUID,
) -> list[ClaimedRow]:
    """Claim due rows up to each look's share, skipping those that others are claiming; the longest due come first.

    Changes only the rows that it returns.
    """
    values = {**_columns(scans), "now": now, "lease_until": lease_until, "token": token}
    rows = await connection.execute(_CLAIMS[kind], values)
    return [
        ClaimedRow(
            claim=Claim(
                subject=Subject(app=row.app, kind=row.kind, id=row.subject_id),
                token=token,
                lease_until=lease_until,
                seen_gen=row.dirty_gen,
                due_by=row.due_by,
                attempts=row.attempts,
                failing_since=row.failing_since,
            ),
            due_at=row.due_at,
        )
        for row in rows
    ]


def _columns(scans: Sequence[AppScan]) -> dict[str, object]:
    return {
        "apps": [look.app for look in scans],
        "shares": [look.share for look in scans],
        "asked_for_floors": [look.requested_floor for look in scans],
        "sweep_floors": [look.sweep_floor for look in scans],
    }


_LOOKS = """
    unnest(
        CAST(:apps AS text[]), CAST(:shares AS int[]),
        CAST(:asked_for_floors AS timestamptz[]), CAST(:sweep_floors AS timestamptz[])
    ) AS look (app, share, requested_floor, sweep_floor)
"""

# The order is that of the index: with it and the limit, Postgres reads no more rows than it returns, plus leased and
# dead ones.
_CLAIMABLE = """
    FROM sync_rows s
    WHERE s.app = look.app
      AND s.due_at <= :now
      AND s.due_at >= COALESCE(look.{kind}_floor, '-infinity')
      AND s.due_by {due_by}
      AND (s.lease_until IS NULL OR s.lease_until <= :now)
    ORDER BY s.due_at
    LIMIT look.share
"""
_REQUESTED = _CLAIMABLE.format(kind="requested", due_by="<> 'sweep'")
_SWEEPS = _CLAIMABLE.format(kind="sweep", due_by="= 'sweep'")

_COUNT = text(f"""
    SELECT
        look.app, COALESCE(a.paused_until > :now, false) AS is_paused,
        requested.number AS requested, requested.since AS requested_since, sweep.number AS sweep,
        sweep.since AS sweep_since
    FROM {_LOOKS}
    LEFT JOIN apps a ON a.app = look.app
    CROSS JOIN LATERAL (
        SELECT count(*) AS number, min(due_at) AS since
        FROM (SELECT s.due_at {_REQUESTED}) found
        WHERE a.paused_until IS NULL OR a.paused_until <= :now
    ) requested
    CROSS JOIN LATERAL (
        SELECT count(*) AS number, min(due_at) AS since
        FROM (SELECT s.due_at {_SWEEPS}) found
        WHERE a.paused_until IS NULL OR a.paused_until <= :now
    ) sweep
""")  # noqa: S608  # put together from constants

# The update finds each row by its place in the table (ctid). That is fast on a table of any size, does not depend on
# the planner's estimates, and needs no second index. The row is locked, so its place cannot change before the update.
_CLAIM = """
    WITH claimed AS (
        UPDATE sync_rows
        SET lease_token = :token, lease_until = :lease_until
        WHERE ctid = ANY (ARRAY(
            SELECT found.place
            FROM {scans}
            CROSS JOIN LATERAL (SELECT s.ctid AS place {claimable} FOR UPDATE SKIP LOCKED) found
        ))
        RETURNING app, kind, subject_id, dirty_gen, due_at, due_by, attempts, failing_since
    )
    SELECT * FROM claimed ORDER BY due_at
"""
_CLAIMS = {
    "requested": text(_CLAIM.format(scans=_LOOKS, claimable=_REQUESTED)),
    "sweep": text(_CLAIM.format(scans=_LOOKS, claimable=_SWEEPS)),
}
