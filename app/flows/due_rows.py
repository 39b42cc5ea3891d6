"""Finds and claims due sync rows, each app with its own limit. `sync_rows` handles claimed rows.

Every statement reads an app's rows from an index by due time, and no more of them than the app's share.
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

# `requested`: by a webhook, a creation or an operator.
DueKind = Literal["requested", "sweep"]
KINDS: tuple[DueKind, ...] = get_args(DueKind)


@dataclass(frozen=True, kw_only=True)
class AppScan:
    """Which due rows of an app to read: for each kind those that are due at its floor or later (None: all).

    `share` limits how many rows are counted or claimed.
    """

    app: str
    share: int
    requested_floor: datetime | None = None
    sweep_floor: datetime | None = None

    def floor(self, kind: DueKind) -> datetime | None:
        """The due time at which the scan for this kind begins."""
        return self.requested_floor if kind == "requested" else self.sweep_floor


@dataclass(frozen=True, kw_only=True)
class Due:
    """The result of a scan: for each kind the number of due rows, up to the share, and the earliest due time."""

    app: str
    is_paused: bool
    requested: int
    requested_since: datetime | None
    sweep: int
    sweep_since: datetime | None

    def count(self, kind: DueKind) -> int:
        """The number of due rows of this kind, up to the share."""
        return self.requested if kind == "requested" else self.sweep

    def since(self, kind: DueKind) -> datetime | None:
        """The earliest due time of this kind. None if no row is due."""
        return self.requested_since if kind == "requested" else self.sweep_since


@dataclass(frozen=True, kw_only=True)
class ClaimedRow:
    """A claim and when its row was due."""

    claim: Claim
    due_at: datetime


async def count(connection: AsyncConnection, scans: Sequence[AppScan], *, now: datetime) -> list[Due]:
    """Count the due rows of each app that are not leased. Does not read rows of a paused app."""
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
    """Claim due rows up to each scan's share, the longest due first. Skips rows that others are claiming.

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
        "apps": [scan.app for scan in scans],
        "shares": [scan.share for scan in scans],
        "requested_floors": [scan.requested_floor for scan in scans],
        "sweep_floors": [scan.sweep_floor for scan in scans],
    }


_SCANS = """
    unnest(
        CAST(:apps AS text[]), CAST(:shares AS int[]),
        CAST(:requested_floors AS timestamptz[]), CAST(:sweep_floors AS timestamptz[])
    ) AS scan (app, share, requested_floor, sweep_floor)
"""

# The order is that of the index. With it and the limit, Postgres reads only the rows that it returns, and leased and
# dead ones between them.
_CLAIMABLE = """
    FROM sync_rows s
    WHERE s.app = scan.app
      AND s.due_at <= :now
      AND s.due_at >= COALESCE(scan.{kind}_floor, '-infinity')
      AND s.due_by {due_by}
      AND (s.lease_until IS NULL OR s.lease_until <= :now)
    ORDER BY s.due_at
    LIMIT scan.share
"""
_REQUESTED = _CLAIMABLE.format(kind="requested", due_by="<> 'sweep'")
_SWEEPS = _CLAIMABLE.format(kind="sweep", due_by="= 'sweep'")

_COUNT = text(f"""
    SELECT
        scan.app, COALESCE(a.paused_until > :now, false) AS is_paused,
        requested.number AS requested, requested.since AS requested_since, sweep.number AS sweep,
        sweep.since AS sweep_since
    FROM {_SCANS}
    LEFT JOIN apps a ON a.app = scan.app
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
    "requested": text(_CLAIM.format(scans=_SCANS, claimable=_REQUESTED)),
    "sweep": text(_CLAIM.format(scans=_SCANS, claimable=_SWEEPS)),
}
