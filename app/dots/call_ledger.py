"""The ledger of calls to Dots in the database, shared by all processes.

Each method has its own transaction, because an app's row is locked last.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from app.dots import app_rows, budget_rows
from app.dots.budget import Budget, Grant
from app.storage import database


class CallLedger:
    """Implements `app.dots.gate.Ledger`."""

    def __init__(self, engine: AsyncEngine, *, budget: Budget, now: Callable[[], datetime]) -> None:
        """Use the same budget for the bucket of each app."""
        self._engine = engine
        self._budget = budget
        self._now = now

    async def take(self, app: str, wanted: int, *, reserve: float, returned: int, is_trial: bool) -> Grant:
        """Take tokens."""
        async with database.transaction(self._engine) as connection:
            return await budget_rows.take(
                connection,
                app,
                wanted,
                budget=self._budget,
                reserve=reserve,
                now=self._now(),
                returned=returned,
                is_trial=is_trial,
            )

    async def hold_off(self, app: str, *, until: datetime) -> None:
        """Record the pause that Dots asked for."""
        async with database.transaction(self._engine) as connection:
            await app_rows.hold_off(connection, app, until=until)

    async def pause(self, app: str, *, until: datetime, earlier: int) -> None:
        """Record that Dots refuses the credentials."""
        async with database.transaction(self._engine) as connection:
            await app_rows.pause(connection, app, until=until, earlier=earlier)

    async def resume(self, app: str) -> None:
        """Record that Dots accepts the credentials again."""
        async with database.transaction(self._engine) as connection:
            await app_rows.resume(connection, app)
