"""Builders of intents and snapshots for the tests of stored flows."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.dots.snapshots import FlowSnapshot
from app.flows import creation_rows, flow_rows
from app.flows.creation_rows import Intent
from app.flows.flow_rows import FlowChange, FlowRecord
from app.flows.rules import progress
from app.flows.rules.progress import Progress
from app.flows.sync_rows import DueBy
from app.storage import database
from tests.dots.fake_dots import NOW

STEPS = ("compliance", "payout")


def intent(number: int = 1, **fields: Any) -> Intent:
    """Build the intent of this number with these changes."""
    whole: dict[str, Any] = {
        "ref": UUID(int=number, version=4),
        "app": "default",
        "caller": "shop",
        "reference": "payee-17",
        "user_id": None,
        "metadata": {"team": "eu"},
        "step_names": STEPS,
        "idempotency_key": None,
        "fingerprint": b"f" * 32,
        "request": {"steps": list(STEPS)},
        "created_at": NOW,
    }
    return Intent(**(whole | fields))


def snapshot(flow_id: str = "flow-1", **fields: Any) -> FlowSnapshot:
    """Build a snapshot with these changes."""
    whole: dict[str, Any] = {
        "id": flow_id,
        "steps": STEPS,
        "completed_steps": (),
        "user_id": None,
        "link": f"https://my-sandbox.dots.dev/flow/{flow_id}",
        "metadata": None,
        "client_ref": None,
        "payout_link_id": None,
        "created_at": None,
    }
    return FlowSnapshot(**(whole | fields))


def later(minutes: int) -> datetime:
    """Return the time this many minutes after NOW."""
    return NOW.replace(minute=minutes)


async def begin(engine: AsyncEngine, number: int, *, minutes: int, **fields: object) -> None:
    """Begin a creation this many minutes after NOW, without an answer."""
    async with database.transaction(engine) as connection:
        await creation_rows.begin(connection, intent(number, created_at=later(minutes), **fields))


def change(
    known: FlowRecord,
    said: FlowSnapshot,
    *,
    merged: Progress | None = None,
    discovered_by: DueBy = "webhook",
    events_added: int = 0,
) -> FlowChange:
    """Build the change that this answer causes, or one with this progress."""
    return FlowChange(
        known=known,
        snapshot=said,
        progress=merged or progress.merge(known.progress, said).progress,
        discovered_by=discovered_by,
        events_added=events_added,
    )


async def answer(engine: AsyncEngine, number: int, **fields: object) -> None:
    """Store Dots' answer to a creation."""
    said = snapshot(f"flow-{number}", **fields)
    async with database.transaction(engine) as connection:
        known = await flow_rows.lock_ref(connection, "default", intent(number).ref)
        assert known
        await flow_rows.save(connection, [change(known, said, discovered_by="create", events_added=1)], now=NOW)
