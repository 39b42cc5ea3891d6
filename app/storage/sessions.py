"""Sessions with Postgres: how one is opened, how its transactions begin, and when it is no longer trusted.

A session takes nothing from the defaults of the server, the database or the role: a pooler, a role or an
administrator could otherwise change what a transaction means.
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

# In all, and for each host.
CONNECT_TIMEOUT_SECONDS = 5.0
LEAST_CONNECT_TIMEOUT_SECONDS = 2.0
# How long a session may take to answer where nothing is computed: when a transaction begins, and when it is checked.
BEGIN_TIMEOUT_SECONDS = 3.0
# A process that was held up reads what has arrived meanwhile before it takes a session for dead.
_GRACE_SECONDS = 0.1
# A session that leads to a standby is given up when it has been open for so long: a new one may lead elsewhere.
STANDBY_SECONDS = 1.0

# Server-side limits, so that a dead client cannot hold anything for long, and whatever else changes what a statement
# means or costs. Compiling a statement of 0.1 ms has been seen to take 244 ms (`jit`).
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
# An acknowledged webhook must survive a crash. What an administrator chose beyond that (`remote_apply`, `local`) stays.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', {is_local}) WHERE current_setting('synchronous_commit') = 'off'"
)

# A peer that is gone is noticed after 20 s of silence (seconds, seconds, probes); after 5 s when something was sent
# (milliseconds). Not every system has every option.
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 5000}


class Session(asyncpg.Connection):  # type: ignore[misc]  # asyncpg ships no types
    """One session. `is_suspect` when others like it have failed: it is not used again."""

    begin_statement = _BEGIN
    has_transaction_pooler = False
    has_begun = False
    is_used = False
    is_suspect = False

    def __init__(self, protocol: Any, transport: asyncio.Transport, *arguments: Any) -> None:
        """Take what asyncpg has connected, and let the system watch over the connection."""
        super().__init__(protocol, transport, *arguments)
        self.opened_at = time.monotonic()
        _keep_alive(transport.get_extra_info("socket"))

    @property
    def is_on_standby(self) -> bool:
        """Whether Postgres has said so; it tells every session when its server is promoted."""
        return getattr(self.get_settings(), "in_hot_standby", "off") == "on"

    def transaction(self, **_options: Any) -> "_Transaction":
        """A transaction as SQLAlchemy's dialect uses it; its isolation is always ours."""
        return _Transaction(self)

    async def answer(self, statement: str, *arguments: object, timeout: float) -> str:
        """Execute a statement, or close the session when no answer comes within `timeout` seconds.

        Closing needs no other connection, which a driver's own time limit opens to have the statement cancelled.
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
        """Return if the session still answers; it is closed if it does not."""
        await self.answer("SELECT 1", timeout=BEGIN_TIMEOUT_SECONDS)

    async def begin(self) -> None:
        """Begin a transaction with everything that it depends on, in one message."""
        await self.answer(self.begin_statement, timeout=BEGIN_TIMEOUT_SECONDS)
        self.has_begun = True

    async def commit(self) -> None:
        """End the transaction. Raises InFailedSQLTransactionError when Postgres has rolled it back instead."""
        self.has_begun = False
        if await self.execute("COMMIT") != "COMMIT":
            # Postgres says no more than this when a statement has failed and the error was caught.
            raise asyncpg.InFailedSQLTransactionError("A transaction with a failed statement cannot be committed.")

    async def roll_back(self) -> None:
        """End the transaction, if there is one, without a trace."""
        if self.has_begun and not self.is_closed():
            self.has_begun = False
            await self.execute("ROLLBACK")

    async def close(self, *, timeout: float | None = None) -> None:
        """Close it; one that is suspect without a farewell, for which it could let us wait."""
        if self.is_suspect:
            self.terminate()
        else:
            await super().close(timeout=timeout)


class _Transaction:
    """A session's transaction as SQLAlchemy's dialect uses it."""

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
    """Opens the sessions of one engine, begins their transactions, and distrusts all at the first sign of trouble.

    Behind a transaction pooler a session's state is another client's a moment later: everything then goes into the
    message that begins each transaction, and no statement is prepared under a name.
    """

    def __init__(
        self,
        address: DatabaseAddress,
        *,
        schema: str,
        has_transaction_pooler: bool,
        command_timeout_seconds: float | None,
    ) -> None:
        """Take what is needed; nothing is connected before `open`."""
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
        """A session with the first of the hosts that takes us.

        Raises what asyncpg raises: OSError, TimeoutError, PostgresError, InterfaceError.
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
            raise asyncpg.ReadOnlySQLTransactionError("no host can be written to") from error
        if self.has_transaction_pooler:
            session.has_transaction_pooler = True
            session.begin_statement = f"{_BEGIN}; {_written('SET LOCAL', self._settings)}"
        else:
            try:
                await session.answer(_written("SET", self._settings), timeout=BEGIN_TIMEOUT_SECONDS)
            except BaseException:  # Also when the caller is cancelled: nobody else knows this session yet.
                session.terminate()
                raise
        self._open.add(session)
        return session

    def begin(self, adapter: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        """Begin the transaction that a session is taken for; on one that is no good, let the pool open another.

        Nothing has been done on the session yet, so nothing is lost: a balancer may have dropped it without a word.
        For the pool's event `checkout`. Raises DisconnectionError, which the pool handles, and ConnectionError when
        it was a new session already.
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
            raise ConnectionError("A new session does not begin a transaction.") from error
        if session.is_on_standby and time.monotonic() - session.opened_at > STANDBY_SECONDS:
            self.distrust(because="standby")
            raise DisconnectionError
        session.is_used = True

    async def answers(self, session: Session) -> bool:
        """Whether an open session still answers; if it does not, no session that is open now is used again."""
        try:
            await session.check()
        except (OSError, *failures.DRIVER_ERRORS) as error:
            self.distrust(because=type(error).__name__)
            return False
        return True

    def end(self, adapter: DBAPIConnection, record: ConnectionPoolEntry, _state: PoolResetState) -> None:
        """Roll back a transaction in which nothing was done. For the pool's event `reset`."""
        session = record.driver_connection
        if isinstance(session, Session) and session.has_begun:
            adapter.run_async(lambda driver: driver.roll_back())

    def judge(self, context: ExceptionContext) -> None:
        """Have no session used again once one of them is lost or read-only. For the engine's event `handle_error`."""
        meaning = failures.meaning_of_error(context.sqlalchemy_exception or context.original_exception)
        if meaning not in failures.ENDS_SESSIONS:
            return
        self.distrust(because=type(context.original_exception).__name__)
        if context.connection is not None and not context.connection.invalidated:
            session: Any = context.connection.connection.driver_connection
            session.terminate()
            context.is_disconnect = True

    def distrust(self, *, because: str) -> None:
        """Use none of the sessions again that are open now; those in use end as they may."""
        suspects = [session for session in self._open if not session.is_suspect]
        for session in suspects:
            session.is_suspect = True
        if any(session.is_used for session in suspects):
            log.warning("database sessions renewed", count=len(suspects), reason=because)


def _written(command: str, settings: Mapping[str, str]) -> str:
    """The settings as one message of several statements."""
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
