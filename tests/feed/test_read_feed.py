"""Read the feed during a purge."""

from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only

from app.errors import CursorExpiredError
from app.feed import events, read_feed
from app.storage import database
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.storage import stored


async def test_purge_during_a_read_is_an_error(engine: AsyncEngine, database_url: str) -> None:
    """A purge between the check of the cursor and the read raises CursorExpiredError and skips no event."""
    await feeding.feed(engine, step_events(4))
    begin = await read_feed.earliest(engine)
    purger = database.create_engine(database_url, pool_size=1)

    purges = iter([("DELETE FROM events WHERE position <= 2", "UPDATE feed SET expired_position = 2")])

    def purge(_connection: object, _cursor: object, statement: str, *_more: Any) -> None:
        if "WHERE events.position" in statement and (statements := next(purges, None)):
            await_only(stored.execute(purger, *statements))

    event.listen(engine.sync_engine, "before_cursor_execute", purge)
    with pytest.raises(CursorExpiredError):
        await read_feed.read_feed(engine, after=begin, types=events.TYPES, limit=10)

    event.remove(engine.sync_engine, "before_cursor_execute", purge)
    await purger.dispose()
