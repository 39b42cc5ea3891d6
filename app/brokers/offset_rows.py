"""The offset of each broker in the feed, and the lease of its publisher."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.feed.cursor import Cursor
from app.feed.event_rows import LAST_POSITION_SQL


@dataclass(frozen=True, kw_only=True)
class BrokerClaim:
    """A lease to publish the events after `cursor` to a broker."""

    broker: str
    token: UUID
    cursor: Cursor


@dataclass(frozen=True, kw_only=True)
class BrokerState:
    """The state of a broker. `lag` is the number of events that it has not confirmed."""

    broker: str
    lag: int
    failing_since: datetime | None
    last_error: str | None
    published_at: datetime | None


async def claim(
    connection: AsyncConnection, broker: str, *, now: datetime, lease_until: datetime, token: UUID
) -> BrokerClaim | None:
    """Claim a broker that has events to confirm. None if there are none, or while another process holds the lease.

    A new broker begins at the earliest stored event.
    """
    await connection.execute(_BEGIN, {"broker": broker})
    values = {"broker": broker, "now": now, "lease_until": lease_until, "token": token}
    row = (await connection.execute(_CLAIM, values)).one_or_none()
    if row is None:
        return None
    return BrokerClaim(broker=broker, token=token, cursor=Cursor(epoch=row.epoch, position=row.position))


async def move(connection: AsyncConnection, claim: BrokerClaim, cursor: Cursor, *, now: datetime) -> bool:
    """Save the cursor and release the lease. Returns False if another process has the lease."""
    return (await connection.execute(_MOVE, _values(claim, cursor, now))).rowcount == 1


async def move_and_fail(
    connection: AsyncConnection, claim: BrokerClaim, cursor: Cursor, *, now: datetime, error: str
) -> bool:
    """Save the cursor and the error, and release the lease. Returns False if another process has the lease."""
    return (await connection.execute(_MOVE_AND_FAIL, {**_values(claim, cursor, now), "error": error})).rowcount == 1


async def broker_states(connection: AsyncConnection) -> list[BrokerState]:
    """The state of every broker, in order of name."""
    rows = await connection.execute(_BROKER_STATES)
    return [BrokerState(**row._mapping) for row in rows]  # noqa: SLF001  # SQLAlchemy's documented name


def _values(claim: BrokerClaim, cursor: Cursor, now: datetime) -> dict[str, object]:
    return {
        "broker": claim.broker,
        "token": claim.token,
        "epoch": cursor.epoch,
        "position": cursor.position,
        "now": now,
    }


_BEGIN = text("""
    INSERT INTO broker_offsets (broker, epoch, position)
    SELECT :broker, epoch, expired_position FROM feed
    ON CONFLICT (broker) DO NOTHING
""")

_CLAIM = text(f"""
    UPDATE broker_offsets AS b
    SET lease_token = :token, lease_until = :lease_until
    FROM feed
    WHERE b.broker = :broker
      AND (b.lease_until IS NULL OR b.lease_until <= :now)
      AND (b.epoch, b.position) <> (feed.epoch, {LAST_POSITION_SQL})
    RETURNING b.epoch, b.position
""")  # noqa: S608  # no input in it

_MOVE = text("""
    UPDATE broker_offsets
    SET epoch = :epoch, position = :position, published_at = :now,
        lease_token = NULL, lease_until = NULL, failing_since = NULL, last_error = NULL
    WHERE broker = :broker AND lease_token = :token
""")

# A failure after progress is a new failure.
_MOVE_AND_FAIL = text("""
    UPDATE broker_offsets
    SET failing_since = CASE
            WHEN (epoch, position) = (CAST(:epoch AS uuid), CAST(:position AS bigint))
            THEN COALESCE(failing_since, CAST(:now AS timestamptz))
            ELSE CAST(:now AS timestamptz)
        END,
        published_at = CASE
            WHEN (epoch, position) = (CAST(:epoch AS uuid), CAST(:position AS bigint)) THEN published_at
            ELSE CAST(:now AS timestamptz)
        END,
        epoch = :epoch, position = :position, last_error = :error, lease_token = NULL, lease_until = NULL
    WHERE broker = :broker AND lease_token = :token
""")

_BROKER_STATES = text(f"""
    SELECT b.broker,
        {LAST_POSITION_SQL} - CASE
            WHEN b.epoch = feed.epoch THEN GREATEST(b.position, feed.expired_position)
            ELSE feed.expired_position
        END AS lag,
        b.failing_since, b.last_error, b.published_at
    FROM broker_offsets AS b CROSS JOIN feed
    ORDER BY b.broker
""")  # noqa: S608  # likewise
