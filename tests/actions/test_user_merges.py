"""Dots makes one user of two: what belonged to the old one is the new one's."""

import json
from datetime import timedelta

from app.actions.refresh_due import refresh_due
from app.actions.tools import Tools
from app.flows.subjects import Subject
from app.storage import database, webhook_rows
from app.storage.webhook_rows import Webhook
from tests.actions import stored
from tests.actions.memory_dots import MemoryDots
from tests.actions.stand_in_tools import HandClock

OLD = "00000000-0000-4000-8000-00000000000a"
NEW = "00000000-0000-4000-8000-00000000000b"


async def test_flows_and_a_pending_check_move_to_the_new_user(tools: Tools, dots: MemoryDots, clock: HandClock) -> None:
    """After a merge the flow is the new user's, whose check is watched, and whose verdict is told."""
    dots.add_flow(1, steps=["background-check"], completed_steps=["background-check"], user_id=OLD)
    dots.add_user(OLD, background_check={"status": "pending"})
    await announce(tools, clock, "msg_1", Subject(app="default", kind="flow", id=next(iter(dots.flows))), {})
    await refresh_due(tools, limit=10)
    await refresh_due(tools, limit=10)
    del dots.users[OLD]
    dots.add_user(NEW)
    merge = {"event": "user.updated.user_merged", "user_id": OLD, "old_user_id": OLD, "new_user_id": NEW}

    await announce(tools, clock, "msg_2", Subject(app="default", kind="user", id=NEW), merge)
    await refresh_due(tools, limit=10)
    dots.add_user(NEW, background_check={"status": "pass"}, has_criminal_activity=False)
    clock.advance(timedelta(minutes=2))
    await refresh_due(tools, limit=10)

    users = "SELECT id, verdict, merged_into FROM users ORDER BY id"
    assert await stored.rows(tools.engine, "SELECT user_id FROM flows") == [{"user_id": NEW}]
    assert await stored.rows(tools.engine, users) == [
        {"id": OLD, "verdict": "pending", "merged_into": NEW},
        {"id": NEW, "verdict": "cleared", "merged_into": None},
    ]
    told = await stored.rows(tools.engine, "SELECT type, subject FROM events WHERE subject LIKE 'user/%'")
    assert told == [{"type": "dots.background_check.cleared", "subject": f"user/{NEW}"}]


async def announce(tools: Tools, clock: HandClock, message_id: str, subject: Subject, body: dict[str, str]) -> None:
    """A webhook has come."""
    webhook = Webhook(
        app="default",
        message_id=message_id,
        received_at=clock.now,
        body=json.dumps(body).encode(),
        event=body.get("event"),
        subject=subject,
    )
    async with database.transaction(tools.engine) as connection:
        await webhook_rows.store(connection, [webhook])
