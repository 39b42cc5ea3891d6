"""The inputs that all subjects share. Each subject adds its own; `processes/wiring` builds them all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage.notifications import Notifications


@dataclass(frozen=True, kw_only=True)
class StorageInputs:
    """The database, its notifications, and the clock."""

    engine: AsyncEngine
    notifications: Notifications
    clock: Callable[[], datetime]
