import asyncio
from datetime import timedelta

from app.flows import apply_snapshot, sync_rows
from app.flows.refresh_due import refresh_due
from app.storage import database
from app.storage.subjects import Subject
from app.webhooks import webhook_rows
from app.webhooks.webhook_rows import Webhook
from tests.all_inputs import AllInputs, HandClock
from tests.dots.fake_dots import NOW, USER
from tests.dots.memory_dots import MemoryDots, flow_id_of
from tests.flows import syncing
from tests.flows.due import (
    event_types,
    flow,
    make_due,
    sync_row,
    user,
)
from tests.storage import stored

FLOW = flow(flow_id_of(1))
VERDICT = "SELECT verdict, verdict_count FROM users"


async def submit(inputs: AllInputs, dots: MemoryDots, step: str = "background-check") -> None:
    """Complete this step of a flow, and refresh the flow."""
    dots.add_flow(1, steps=[step], completed_steps=[step], user_id=USER)
    await make_due(inputs, FLOW)
    await refresh_due(inputs, limit=1)


async def test_user_is_due_after_a_submission(inputs: AllInputs, dots: MemoryDots) -> None:
    """A completed check step is submitted, and the user is refreshed for the verdict."""
    await submit(inputs, dots)

    row = await sync_row(inputs, user())
    assert (row["due_at"], row["due_by"]) == (NOW, "webhook")
    assert await stored.row(inputs.engine, VERDICT) == {"verdict": "pending", "verdict_count": 0}
    assert not [kind for kind in await event_types(inputs) if "background_check" in kind]


async def test_a_reversal_without_a_webhook_is_found(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """A sweep finds a reversal right after the verdict."""
    await submit(inputs, dots)
    dots.add_user(background_check={"status": "pass"}, has_criminal_activity=False)
    await refresh_due(inputs, limit=10)
    dots.add_user(background_check={"status": "failed"}, has_criminal_activity=True)
    clock.advance(timedelta(minutes=1))
    await refresh_due(inputs, limit=10)

    assert (await event_types(inputs))[-2:] == ["dots.background_check.cleared", "dots.background_check.flagged"]


async def test_flag_and_its_reversal_are_reported_once(inputs: AllInputs, dots: MemoryDots) -> None:
    """A repeated flag gives no event. The events have the sequence of their subject."""
    for has_criminal_activity in (True, True, False):
        dots.add_user(has_criminal_activity=has_criminal_activity, background_check={"status": "pass"})
        await make_due(inputs, user())
        await refresh_due(inputs, limit=10)

    events = await stored.rows(inputs.engine, "SELECT type, subject, sequence, data FROM events ORDER BY row_id")
    assert events == [
        {
            "type": "dots.background_check.flagged",
            "subject": f"user/{USER}",
            "sequence": 1,
            "data": {"user_id": USER, "previous": None, "flows": []},
        },
        {
            "type": "dots.background_check.cleared",
            "subject": f"user/{USER}",
            "sequence": 2,
            "data": {"user_id": USER, "previous": "flagged", "flows": []},
        },
    ]


async def test_submitted_id_is_polled(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """A user with a submitted ID is polled until the identity is verified."""
    await submit(inputs, dots, "id-verification")
    dots.add_user()
    await refresh_due(inputs, limit=10)
    waiting = await sync_row(inputs, user())
    clock.now = waiting["due_at"]
    dots.add_user(id_verified=True)
    await refresh_due(inputs, limit=10)

    assert waiting["due_at"] == NOW + timedelta(minutes=1)
    assert (await sync_row(inputs, user()))["due_at"] is None
    assert (await event_types(inputs))[-1] == "dots.user.id_verified"


async def test_webhooks_and_a_submission_do_not_deadlock(inputs: AllInputs, dots: MemoryDots) -> None:
    """Webhooks about a flow and its user are stored during the refresh that makes the user due."""
    dots.add_flow(1, steps=["background-check"], completed_steps=["background-check"], user_id=USER)
    await make_due(inputs, FLOW)
    client = inputs.clients.of("default")
    snapshot = await client.get_flow(await client.gate.take_one(), FLOW.id)
    async with database.transaction(inputs.engine) as connection:
        (claim,) = await syncing.claim_in(connection, limit=1)

    async with database.transaction(inputs.engine) as connection:
        applied = await apply_snapshot.apply_flow(connection, inputs, "default", snapshot, discovered_by="webhook")
        storing = asyncio.create_task(_store(inputs, FLOW, user()))
        await asyncio.wait([storing], timeout=0.2)
        is_settled = await sync_rows.settle(connection, claim, next_due_at=None)
        await sync_rows.mark_due(connection, [user()], due_at=NOW, due_by="webhook")
    await storing

    assert is_settled
    assert applied.also_due == user()
    assert await stored.count(inputs.engine, "webhooks") == 2


async def _store(inputs: AllInputs, *subjects: Subject) -> None:
    webhooks = [
        Webhook(
            app="default",
            message_id=f"msg_{subject.kind}",
            received_at=NOW,
            body=b"{}",
            event=None,
            subject=subject,
        )
        for subject in subjects
    ]
    async with database.transaction(inputs.engine) as connection:
        await webhook_rows.store(connection, webhooks)
