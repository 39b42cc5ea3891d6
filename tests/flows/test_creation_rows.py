"""Intent rows: flows before Dots has answered."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.flows import creation_rows, flow_rows
from app.flows.creation_rows import Creation, CreationError, Intent
from app.flows.rules.progress import Progress
from app.storage import database
from tests.dots.fake_dots import NOW
from tests.flows.intents import (
    change,
    intent,
    later,
    snapshot,
)
from tests.storage import stored
from tests.storage.locks import until_waiting

FINAL = CreationError(code="dots_refused", dots_status=422, dots_error_code="invalid-input", is_final=True)
TEMPORARY = CreationError(code="dots_unreachable")


async def begin(engine: AsyncEngine, wanted: Intent) -> bool:
    """Write the intent row."""
    async with database.transaction(engine) as connection:
        return await creation_rows.begin(connection, wanted)


async def begin_again(engine: AsyncEngine, ref: UUID, *, minutes: int = 1) -> bool:
    """Take up the creation again."""
    async with database.transaction(engine) as connection:
        return await creation_rows.begin_again(connection, ref, {"again": True}, now=later(minutes))


async def fail(engine: AsyncEngine, ref: UUID, error: CreationError) -> None:
    """Record that Dots created no flow."""
    async with database.transaction(engine) as connection:
        await creation_rows.fail(connection, ref, error)


async def find(engine: AsyncEngine, *, caller: str = "shop", key: str = "key-1") -> Creation:
    """Return the creation with this key."""
    async with database.transaction(engine) as connection:
        return await creation_rows.find(connection, caller=caller, idempotency_key=key)


async def row(engine: AsyncEngine, *columns: str) -> dict[str, Any]:
    """Return these columns of the only flow."""
    found = await stored.row(engine, "SELECT * FROM flows")
    return {column: found[column] for column in columns}


async def test_intent_is_written_before_dots_is_asked(engine: AsyncEngine) -> None:
    """The row has everything that another process needs to find the outcome."""
    is_begun = await begin(engine, intent(idempotency_key="key-1", user_id="user-1"))

    assert is_begun
    assert await row(
        engine, "ref", "app", "id", "status", "caller", "reference", "user_id", "metadata", "link", "request"
    ) == {
        "ref": intent().ref,
        "app": "default",
        "id": None,
        "status": "creating",
        "caller": "shop",
        "reference": "payee-17",
        "user_id": "user-1",
        "metadata": {"team": "eu"},
        "link": None,
        "request": {"steps": ["compliance", "payout"]},
    }
    assert await row(engine, "created_at", "attempted_at", "idempotency_key", "fingerprint", "error") == {
        "created_at": NOW,
        "attempted_at": NOW,
        "idempotency_key": "key-1",
        "fingerprint": b"f" * 32,
        "error": None,
    }
    assert await stored.rows(engine, "SELECT name, position, completed_at FROM flow_steps ORDER BY position") == [
        {"name": "compliance", "position": 0, "completed_at": None},
        {"name": "payout", "position": 1, "completed_at": None},
    ]


async def test_key_is_used_once(engine: AsyncEngine) -> None:
    """A second creation with the key writes neither a flow nor a step."""
    await begin(engine, intent(1, idempotency_key="key-1"))

    is_begun = await begin(engine, intent(2, idempotency_key="key-1", step_names=("palm-reading",)))

    assert not is_begun
    assert await stored.rows(engine, "SELECT DISTINCT flow_ref FROM flow_steps") == [{"flow_ref": intent(1).ref}]
    assert await find(engine) == Creation(ref=intent(1).ref, status="creating", fingerprint=b"f" * 32, error=None)


async def test_ref_is_used_once(engine: AsyncEngine) -> None:
    """Our reference identifies one flow, whatever the key is."""
    await begin(engine, intent(1, idempotency_key="key-1"))

    with pytest.raises(IntegrityError, match="flows_pkey"):
        await begin(engine, intent(1, idempotency_key="key-2"))

    assert await stored.count(engine, "flows") == 1


@pytest.mark.parametrize("is_committed", [True, False])
async def test_concurrent_creations_with_one_key(engine: AsyncEngine, *, is_committed: bool) -> None:
    """The second waits for the first, and begins only if the first is rolled back."""
    async with engine.connect() as first:
        await creation_rows.begin(first, intent(1, idempotency_key="key-1"))
        waiting = asyncio.create_task(begin(engine, intent(2, idempotency_key="key-1")))
        await until_waiting(engine)
        await (first.commit() if is_committed else first.rollback())
        is_begun = await waiting

    assert is_begun is not is_committed
    assert (await find(engine)).ref == intent(1 if is_committed else 2).ref


async def test_final_refusal_keeps_its_reason(engine: AsyncEngine) -> None:
    """The stored error is final, and the creation cannot be taken up again."""
    await begin(engine, intent(idempotency_key="key-1"))

    await fail(engine, intent().ref, FINAL)

    assert await find(engine) == Creation(ref=intent().ref, status="failed", fingerprint=b"f" * 32, error=FINAL)
    assert await row(engine, "request") == {"request": None}
    assert not await begin_again(engine, intent().ref)


async def test_temporary_failure_is_taken_up_again(engine: AsyncEngine) -> None:
    """The creation gets the new request and keeps its creation time."""
    await begin(engine, intent(idempotency_key="key-1"))
    await fail(engine, intent().ref, TEMPORARY)

    is_taken_up = await begin_again(engine, intent().ref, minutes=3)

    assert is_taken_up
    assert await row(engine, "status", "attempted_at", "created_at", "error", "request") == {
        "status": "creating",
        "attempted_at": later(3),
        "created_at": NOW,
        "error": None,
        "request": {"again": True},
    }


async def test_failed_creation_is_taken_up_once(engine: AsyncEngine) -> None:
    """Of concurrent repeats, one takes it up."""
    await begin(engine, intent(idempotency_key="key-1"))
    await fail(engine, intent().ref, TEMPORARY)

    answers = await asyncio.gather(*(begin_again(engine, intent().ref) for _ in range(6)))

    assert sorted(answers) == [False] * 5 + [True]


async def test_running_creation_is_not_taken_up(engine: AsyncEngine) -> None:
    """The first process may still be waiting for Dots."""
    await begin(engine, intent())

    assert not await begin_again(engine, intent().ref)


async def test_flow_that_exists_does_not_fail(engine: AsyncEngine) -> None:
    """A late failure does not change a flow that a webhook has found."""
    await begin(engine, intent())
    async with database.transaction(engine) as connection:
        known = await flow_rows.lock_ref(connection, "default", intent().ref)
        assert known
        changed = change(known, snapshot(), merged=Progress(steps=("payout",)), events_added=1)
        await flow_rows.save(connection, [changed], now=NOW)

    await fail(engine, intent().ref, FINAL)

    assert await row(engine, "status", "error") == {"status": "open", "error": None}
