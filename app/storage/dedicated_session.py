"""A session outside the pool for one user, who then never waits for a connection behind anybody else."""

import time

from app.storage import failures
from app.storage.sessions import Session, Sessions

# A session that has answered within this time is used at once; after a longer pause it is asked first.
TRUSTED_SECONDS = 0.02
# Longer than Postgres' own limits on a statement, and shorter than a sender of webhooks waits.
STATEMENT_TIMEOUT_SECONDS = 11.0


class DedicatedSession:
    """Executes statements one at a time, each as a transaction of its own, on a session that stays open.

    Its state must be its own: behind a transaction pooler this class cannot be used.
    """

    def __init__(self, sessions: Sessions) -> None:
        """Take what opens sessions; nothing is connected before the first statement."""
        self._sessions = sessions
        self._session: Session | None = None
        self._answered_at = 0.0

    async def execute(self, statement: str, *arguments: object) -> None:
        """Execute one statement, which is prepared once. It is committed when this returns.

        Raises DatabaseUnavailableError when Postgres cannot do it now; the statement may be committed all the same.
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
        """Close the session; the next statement opens another."""
        if self._session is not None:
            self._session.terminate()
            self._session = None

    async def _ready(self) -> Session:
        """A session that answers: the one that is open, or a new one. Nothing has been sent yet, so nothing is lost."""
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
