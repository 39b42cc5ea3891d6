"""SessionBroker with sessions that fail in every way."""

import asyncio

import pytest

from app.brokers import broker
from app.brokers.addressing import Message
from app.brokers.broker import SessionBroker
from app.errors import BrokerUnavailableError
from tests.feed.sample_events import flow_event


class MemorySession:
    """A fake session that fails or hangs on demand and records its calls."""

    def __init__(
        self, *, fails_opening: BaseException | None = None, fails_sending: BaseException | None = None
    ) -> None:
        self.opened = 0
        self.sent: list[str] = []
        self.closed = 0
        self.hangs = False
        self._fails_opening = fails_opening
        self._fails_sending = fails_sending

    async def open(self) -> None:
        """Connect."""
        self.opened += 1
        await self._act(self._fails_opening)

    async def send(self, message: Message) -> None:
        """Take a message."""
        self.sent.append(message.id)
        await self._act(self._fails_sending)

    async def close(self) -> None:
        """Close, and raise as a broken connection does."""
        self.closed += 1
        raise RuntimeError("already gone")

    async def _act(self, failure: BaseException | None) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if failure is not None:
            raise failure


def over(*sessions: MemorySession) -> SessionBroker:
    """A broker that uses these sessions, one after the other."""
    waiting = list(sessions)
    return SessionBroker("memory://broker", lambda: waiting.pop(0))


async def test_first_event_connects() -> None:
    """The first event connects, and later ones reuse the session."""
    session = MemorySession()
    broker = over(session)
    opened_before = session.opened

    await broker.publish(flow_event(1))
    await broker.publish(flow_event(2))

    assert opened_before == 0
    assert session.opened == 1
    assert session.sent == [str(flow_event(1).id), str(flow_event(2).id)]


async def test_concurrent_events_share_one_connection() -> None:
    """Only one session is opened for concurrent events."""
    session = MemorySession()
    broker = over(session)

    await asyncio.gather(*(broker.publish(flow_event(number)) for number in range(5)))

    assert session.opened == 1
    assert len(session.sent) == 5


async def test_failure_ends_the_session() -> None:
    """After a failure the next event uses a new session. The error holds no password."""
    broken, sound = MemorySession(fails_sending=ConnectionResetError("amqp://user:secret@host")), MemorySession()
    broker = over(broken, sound)

    with pytest.raises(BrokerUnavailableError) as caught:
        await broker.publish(flow_event())
    await broker.publish(flow_event())

    assert "ConnectionResetError" in caught.value.detail
    assert "secret" not in caught.value.detail
    assert broken.closed == 1
    assert sound.sent == [str(flow_event().id)]


async def test_session_that_failed_to_open_is_closed() -> None:
    """The next `open` uses a new session."""
    refused, sound = MemorySession(fails_opening=OSError()), MemorySession()
    broker = over(refused, sound)

    with pytest.raises(BrokerUnavailableError, match="OSError"):
        await broker.open()
    await broker.open()

    assert refused.closed == 1
    assert sound.opened == 1


@pytest.mark.parametrize("limit", ["OPEN_SECONDS", "PUBLISH_SECONDS"])
async def test_silent_broker_times_out(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting and waiting for a confirmation both have a time-out."""
    session = MemorySession()
    memory = over(session)
    if limit == "PUBLISH_SECONDS":
        await memory.open()
    session.hangs = True
    monkeypatch.setattr(broker, limit, 0.01)

    with pytest.raises(BrokerUnavailableError, match="TimeoutError"):
        await memory.publish(flow_event())

    assert session.closed == 1


async def test_cancellation_by_the_client_is_a_failure() -> None:
    """Clients cancel pending calls when a connection ends. That must not end a worker's loop."""
    broker = over(MemorySession(fails_sending=asyncio.CancelledError()))

    with pytest.raises(BrokerUnavailableError, match="CancelledError"):
        await broker.publish(flow_event())


async def test_cancellation_of_the_task_is_passed_on() -> None:
    """Stopping a worker cancels its call and closes the connection."""
    session = MemorySession()
    broker = over(session)
    await broker.open()
    session.hangs = True
    publishing = asyncio.create_task(broker.publish(flow_event()))
    while not session.sent:  # noqa: ASYNC110  # the fake has no event to wait for
        await asyncio.sleep(0)
    publishing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await publishing

    assert session.closed == 1


async def test_closing_twice_ignores_errors() -> None:
    """The session is closed once, and its error is ignored."""
    session = MemorySession()
    broker = over(session)
    await broker.open()

    await broker.aclose()
    await broker.aclose()

    assert session.closed == 1
