"""A session outside the pool for one user, who therefore never waits for a connection."""

import time

from app.storage import failures
from app.storage.sessions import Session, Sessions

# A session that has answered within this time is used without a check. After a longer pause it is checked first.
TRUSTED_SECONDS = 0.02
# Longer than the statement timeout of Postgres, and shorter than the time that a sender of webhooks waits.
STATEMENT_TIMEOUT_SECONDS = 11.0


class DedicatedSession:
    """Executes statements one at a time, each in its own transaction, on a session that stays open.

    Do not use it behind a transaction pooler, which shares sessions between clients.
    """

    def __init__(self, sessions: Sessions) -> None:
        """Store what opens sessions. The first statement connects."""
        self._sessions = sessions
        self._session: Session | None = None
        self._answered_at = 0.0

    async def execute(self, statement: str, *arguments: object) -> None:
        """Execute one statement, which is prepared once. Returns after the commit.

        Raises DatabaseUnavailableError while Postgres is unavailable. The statement may be committed nevertheless.
        """
        with failures.failures_named():
            session = await self._ready()
            try:
                await session.answer(statement, *arguments, timeout=STATEMENT_TIMEOUT_SECONDS)
            except (OSError, *failures.DRIVER_ERRORS) as error:
                if failures.meaning_of_error(error) in failures.ENDS_SESSIONS:
                    self._sessions.distrust(because=type(error).__name__)
                    self.close()
                raise
        self._answered_at = time.monotonic()

    def close(self) -> None:
        """Close the session. The next statement opens another one."""
        if self._session is not None:
            self._session.terminate()
            self._session = None

    async def _ready(self) -> Session:
        """The open session if it answers, otherwise a new one. The statement is not sent yet, so nothing is lost."""
        if self._session is None or not await self._still_answers(self._session):
            self.close()
            self._session = await self._sessions.open()
            self._session.is_used = True
        return self._session

    async def _still_answers(self, session: Session) -> bool:
        if session.is_closed() or session.is_suspect:
            return False
        is_trusted = time.monotonic() - self._answered_at < TRUSTED_SECONDS
        return is_trusted or await self._sessions.answers(session)
