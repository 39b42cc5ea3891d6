"""NOTIFY and LISTEN between two engines, as between two processes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage import database, notifications
from app.storage.notifications import APPENDED, DELIVERABLE, DUE, FEED, Notifications
from tests.stack.waiting import eventually
from tests.storage import stored

LISTENING = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND query = ANY (:listens) AND state = 'idle'
"""
# A connection starts to listen on this channel last, so it then listens on all of them.
LISTENS = [f'LISTEN "{DELIVERABLE}"', f"LISTEN {DELIVERABLE}"]
CUT = "SELECT pg_terminate_backend(:pid)"
DEADLINE_SECONDS = 20


@pytest.fixture(autouse=True)
def logs(monkeypatch: pytest.MonkeyPatch) -> list[MutableMapping[str, Any]]:
    """The log entries. Also reconnects immediately instead of after two seconds."""
    monkeypatch.setattr(notifications, "_RECONNECT_SECONDS", 0.01)
    captured = structlog.testing.LogCapture()
    monkeypatch.setattr(notifications, "log", structlog.wrap_logger(None, processors=[captured]))
    return captured.entries


@contextlib.asynccontextmanager
async def running(engine: AsyncEngine) -> AsyncIterator[Notifications]:
    """Exchange notifications while the block runs."""
    carried = Notifications(engine)
    task = asyncio.create_task(carried.run())
    try:
        yield carried
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until_listening(engine: AsyncEngine, *, number: int = 1, but: frozenset[int] = frozenset()) -> frozenset[int]:
    """Wait for this number of listening connections, besides those in `but`. Returns their process ids."""

    async def look() -> frozenset[int]:
        found = frozenset(row["pid"] for row in await stored.rows(engine, LISTENING, listens=LISTENS)) - but
        return found if len(found) >= number else frozenset()

    return await eventually(look, within=DEADLINE_SECONDS)


async def arrives(notification: asyncio.Event) -> bool:
    """Whether the notification arrives before the deadline."""
    await notifications.wait(notification, at_most_seconds=DEADLINE_SECONDS)
    return notification.is_set()


@pytest.fixture
async def other_engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """The engine of another process."""
    engine = database.create_engine(database_url, pool_size=3)
    yield engine
    await engine.dispose()


async def test_notification_reaches_its_own_process(engine: AsyncEngine) -> None:
    """It wakes the waiting tasks of its channel immediately, without the database."""
    carried = Notifications(engine)
    due, feed = carried.next(DUE), carried.next(FEED)

    carried.send(DUE)

    assert (due.is_set(), feed.is_set()) == (True, False)
    assert not carried.next(DUE).is_set()


async def test_notification_reaches_another_process(engine: AsyncEngine, other_engine: AsyncEngine) -> None:
    """It wakes only the tasks that wait on its channel."""
    async with running(engine) as here, running(other_engine) as there:
        await until_listening(engine, number=2)
        heard = {channel: there.next(channel) for channel in (DUE, APPENDED, FEED, DELIVERABLE)}

        here.send(APPENDED)
        is_heard = await arrives(heard[APPENDED])

    assert is_heard
    assert not heard[DUE].is_set()
    assert not heard[FEED].is_set()


async def test_every_channel_is_carried(engine: AsyncEngine, other_engine: AsyncEngine) -> None:
    """Notifications on all channels arrive, also when they are sent together and repeatedly."""
    async with running(engine) as here, running(other_engine) as there:
        await until_listening(engine, number=2)
        heard = [there.next(channel) for channel in (DUE, APPENDED, FEED, DELIVERABLE)]

        for channel in (DUE, APPENDED, FEED, DELIVERABLE, DUE, DUE):
            here.send(channel)
        answers = [await arrives(notification) for notification in heard]

    assert answers == [True, True, True, True]


async def test_lost_connection_is_replaced(engine: AsyncEngine, other_engine: AsyncEngine) -> None:
    """Postgres ends the listening connection. A new one listens, and notifications arrive again."""
    async with running(other_engine) as there:
        (listener,) = await until_listening(engine)
        await stored.row(engine, CUT, pid=listener)
        await until_listening(engine, but=frozenset({listener}))
        notification = there.next(DUE)

        async with running(engine) as here:
            here.send(DUE)
            is_heard = await arrives(notification)

    assert is_heard


async def test_listening_connection_is_closed_at_the_end(engine: AsyncEngine) -> None:
    """It does not return to the pool, where it would go on listening."""
    async with running(engine):
        await until_listening(engine)

    async def look() -> bool:
        return not await stored.rows(engine, LISTENING, listens=LISTENS)

    assert await eventually(look, within=DEADLINE_SECONDS)


async def test_sending_without_a_database_neither_fails_nor_waits(
    database_url: str, logs: list[MutableMapping[str, Any]]
) -> None:
    """The notification still reaches its own process. The log says that only polling is left."""
    gone = database.create_engine(f"{database_url}_gone")
    async with running(gone) as carried:
        notification = carried.next(DUE)
        carried.send(DUE)

        async def look() -> set[str]:
            reported = {entry["event"] for entry in logs}
            return reported if len(reported) == 2 else set()

        reported = await eventually(look, within=DEADLINE_SECONDS)
    await gone.dispose()

    assert notification.is_set()
    assert reported == {"notification not sent", "not listening for notifications, polling only"}


async def test_wait_ends_with_its_time(engine: AsyncEngine) -> None:
    """`wait` returns after its time even if no notification arrives."""
    notification = Notifications(engine).next(DUE)

    await notifications.wait(notification, at_most_seconds=0.01)

    assert not notification.is_set()
