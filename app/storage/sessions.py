"""Sessions with Postgres: opens them, begins their transactions, and replaces them after failures.

A session sets everything that changes the meaning of a transaction. It does not rely on the defaults of the server, the
database or the role.
"""

import asyncio
import socket
import time
import weakref
from collections.abc import Mapping
from typing import Any

import asyncpg
import structlog
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, PoolResetState

from app.storage import database_connection, failures
from app.storage.database_url import DatabaseAddress

log = structlog.get_logger()

# For all hosts together, and the least for each host.
CONNECT_TIMEOUT_SECONDS = 5.0
LEAST_CONNECT_TIMEOUT_SECONDS = 2.0
# The longest time for an answer that needs no work: when a transaction begins, and when a session is checked.
BEGIN_TIMEOUT_SECONDS = 3.0
# After a pause, a process gets this time to read a waiting answer before it closes the session.
_GRACE_SECONDS = 0.1
# A session with a standby is replaced when it is older than this, because a new one may reach the primary.
STANDBY_SECONDS = 1.0

# Server-side limits, so that a dead client holds nothing for long, and settings that change the meaning or cost of
# statements. With `jit`, a statement of 0.1 ms took 244 ms to compile.
_SETTINGS: Mapping[str, str] = {
    "default_transaction_isolation": "read committed",
    "standard_conforming_strings": "on",
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
    "idle_session_timeout": "0",
    "jit": "off",
    "timezone": "UTC",
}

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
# An acknowledged webhook must survive a crash. Other values that an administrator chose (`remote_apply`, `local`) stay.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', {is_local}) WHERE current_setting('synchronous_commit') = 'off'"
)

# Detect a dead peer after 20 s of silence (seconds, seconds, probes), or 5 s after data were sent (milliseconds). Some
# systems lack some of these options.
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 5000}


class Session(asyncpg.Connection):  # type: ignore[misc]  # asyncpg ships no types
    """One session. It is not used again once `is_suspect` is set, after it or another session has failed."""

    begin_statement = _BEGIN
    has_transaction_pooler = False
    has_begun = False
    is_used = False
    is_suspect = False

    def __init__(self, protocol: Any, transport: asyncio.Transport, *arguments: Any) -> None:
        """Use the connection of asyncpg, and enable keepalive on it."""
        super().__init__(protocol, transport, *arguments)
        self.opened_at = time.monotonic()
        _keep_alive(transport.get_extra_info("socket"))

    @property
    def is_on_standby(self) -> bool:
        """Whether the server is a standby. Postgres tells every session when its server is promoted."""
        return getattr(self.get_settings(), "in_hot_standby", "off") == "on"

    def transaction(self, **_options: Any) -> "_Transaction":
        """A transaction for SQLAlchemy's dialect. Ignores the dialect's options, such as the isolation level."""
        return _Transaction(self)

    async def answer(self, statement: str, *arguments: object, timeout: float) -> str:
        """Execute a statement, and close the session if no answer arrives within `timeout` seconds.

        The driver's own time limit would open another connection to cancel the statement. Closing needs none.
        """
        loop = asyncio.get_running_loop()
        alarm: asyncio.TimerHandle

        def ring() -> None:
            nonlocal alarm
            alarm = loop.call_later(_GRACE_SECONDS, self.terminate)

        alarm = loop.call_later(timeout, ring)
        try:
            return await self.execute(statement, *arguments)  # type: ignore[no-any-return]  # asyncpg ships no types
        finally:
            alarm.cancel()

    async def check(self) -> None:
        """Return if the session still answers. Otherwise close it and raise the driver's error."""
        await self.answer("SELECT 1", timeout=BEGIN_TIMEOUT_SECONDS)

    async def begin(self) -> None:
        """Begin a transaction, with its settings in the same message."""
        await self.answer(self.begin_statement, timeout=BEGIN_TIMEOUT_SECONDS)
        self.has_begun = True

    async def commit(self) -> None:
        """End the transaction. Raises InFailedSQLTransactionError when Postgres has rolled it back instead."""
        self.has_begun = False
        if await self.execute("COMMIT") != "COMMIT":
            # Postgres answers with ROLLBACK if a statement has failed and the caller caught the error.
            raise asyncpg.InFailedSQLTransactionError("A transaction with a failed statement cannot be committed.")

    async def roll_back(self) -> None:
        """Roll back the transaction, if there is one."""
        if self.has_begun and not self.is_closed():
            self.has_begun = False
            await self.execute("ROLLBACK")

    async def close(self, *, timeout: float | None = None) -> None:
        """Close the session. A suspect session is closed without waiting for the server."""
        if self.is_suspect:
            self.terminate()
        else:
            await super().close(timeout=timeout)


class _Transaction:
    """The transaction of a session for SQLAlchemy's dialect."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def start(self) -> None:
        if not self._session.has_begun:
            await self._session.begin()

    async def commit(self) -> None:
        await self._session.commit()

    async def rollback(self) -> None:
        await self._session.roll_back()


class Sessions:
    """Opens the sessions of one engine, begins their transactions, and replaces all of them after a failure.

    A transaction pooler gives the session to another client after each transaction. So the message that begins a
    transaction then contains all settings, and no prepared statement has a name.
    """

    def __init__(
        self,
        address: DatabaseAddress,
        *,
        schema: str,
        has_transaction_pooler: bool,
        command_timeout_seconds: float | None,
    ) -> None:
        """Store the settings; `open` connects."""
        self._address = address
        self._command_timeout_seconds = command_timeout_seconds
        self.has_transaction_pooler = has_transaction_pooler
        self._settings = {
            **address.session_settings,
            **_SETTINGS,
            "application_name": address.application_name,
            "search_path": schema,
        }
        self._open: weakref.WeakSet[Session] = weakref.WeakSet()

    async def open(self) -> Session:
        """Open a session with the first usable host.

        Raises the errors of asyncpg: OSError, TimeoutError, PostgresError, InterfaceError.
        """
        timeout = max(LEAST_CONNECT_TIMEOUT_SECONDS, CONNECT_TIMEOUT_SECONDS / len(self._address.hosts))
        try:
            session: Session = await database_connection.connect(
                self._address,
                timeout=self._address.connect_timeout or timeout,
                command_timeout=self._command_timeout_seconds,
                connection_class=Session,
                **({"statement_cache_size": 0} if self.has_transaction_pooler else {}),
            )
        except asyncpg.TargetServerAttributeNotMatched as error:
            raise asyncpg.ReadOnlySQLTransactionError("no host is writable") from error
        if self.has_transaction_pooler:
            session.has_transaction_pooler = True
            session.begin_statement = f"{_BEGIN}; {_written('SET LOCAL', self._settings)}"
        else:
            try:
                await session.answer(_written("SET", self._settings), timeout=BEGIN_TIMEOUT_SECONDS)
            except BaseException:  # Also if the caller is cancelled, because nothing else can close the session yet.
                session.terminate()
                raise
        self._open.add(session)
        return session

    def begin(self, adapter: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        """Begin a transaction when the pool hands out a session. If that fails, the pool opens another session.

        Nothing is lost, because the session has done nothing yet. A balancer may have dropped it silently. For the
        pool's event `checkout`. Raises DisconnectionError, which the pool handles, and ConnectionError if the session
        was new.
        """
        session: Session = record.driver_connection  # type: ignore[assignment]  # SQLAlchemy knows no driver's type
        if session.is_used and (session.is_closed() or session.is_suspect):
            session.is_suspect = True
            raise DisconnectionError
        try:
            adapter.run_async(lambda driver: driver.begin())
        except (OSError, *failures.DRIVER_ERRORS) as error:
            self.distrust(because=type(error).__name__)
            if session.is_used:
                raise DisconnectionError from error
            raise ConnectionError("A new session cannot begin a transaction.") from error
        if session.is_on_standby and time.monotonic() - session.opened_at > STANDBY_SECONDS:
            self.distrust(because="standby")
            raise DisconnectionError
        session.is_used = True

    async def answers(self, session: Session) -> bool:
        """Whether an open session still answers. If not, no session that is open now is used again."""
        try:
            await session.check()
        except (OSError, *failures.DRIVER_ERRORS) as error:
            self.distrust(because=type(error).__name__)
            return False
        return True

    def end(self, adapter: DBAPIConnection, record: ConnectionPoolEntry, _state: PoolResetState) -> None:
        """Roll back a transaction that is still open. For the pool's event `reset`."""
        session = record.driver_connection
        if isinstance(session, Session) and session.has_begun:
            adapter.run_async(lambda driver: driver.roll_back())

    def judge(self, context: ExceptionContext) -> None:
        """Replace all sessions if the error means that one is lost or read-only. For the event `handle_error`."""
        meaning = failures.meaning_of_error(context.sqlalchemy_exception or context.original_exception)
        if meaning not in failures.ENDS_SESSIONS:
            return
        self.distrust(because=type(context.original_exception).__name__)
        if context.connection is not None and not context.connection.invalidated:
            session: Any = context.connection.connection.driver_connection
            session.terminate()
            context.is_disconnect = True

    def distrust(self, *, because: str) -> None:
        """Mark all open sessions as suspect, so that none is used again. Running transactions continue."""
        suspects = [session for session in self._open if not session.is_suspect]
        for session in suspects:
            session.is_suspect = True
        if any(session.is_used for session in suspects):
            log.warning("database sessions renewed", count=len(suspects), reason=because)


def _written(command: str, settings: Mapping[str, str]) -> str:
    """The statements that set these settings, as one message."""
    statements = [f"{command} {name} = {_quoted(name, value)}" for name, value in settings.items()]
    return "; ".join([*statements, _DURABLE.format(is_local=str(command == "SET LOCAL").lower())])


def _quoted(name: str, value: str) -> str:
    if name == "search_path":
        escaped = value.replace('"', '""')
        return f'"{escaped}"'
    escaped = value.replace("'", "''")
    return f"'{escaped}'"


def _keep_alive(connection: socket.socket | None) -> None:
    if connection is None or connection.family == socket.AF_UNIX:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
