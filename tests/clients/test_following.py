import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.flows.rules import events
from app.flows.rules.events import FlowFacts, UserFacts
from app.flows.rules.verdict import Verdict
from dots_gateway_client import CheckFlagged, FlowCompleted, IdVerified, MemoryCursor, StepCompleted
from dots_gateway_client import gateway as client
from tests.clients import serving
from tests.clients.following import first, steps, steps_of, take
from tests.dots.fake_dots import NOW, USER
from tests.dots.memory_dots import MemoryDots
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.stack.waiting import eventually


async def test_events_are_dataclasses(engine: AsyncEngine, dots: MemoryDots) -> None:
    """A CloudEvent of the service becomes a typed event."""
    await feeding.feed(engine, step_events(1))

    async with serving.client_of(engine, dots) as gateway:
        (event,) = await take(gateway, 1)

    assert event == StepCompleted(
        id="77429a64-d9ac-557a-98ef-8454bb13adac",
        type="dots.flow.step_completed",
        source="/dots-gateway/default",
        subject="flow/flow-1",
        sequence=1,
        time=NOW,
        dataschema="urn:dots-gateway:schemas/flow.step_completed/v1.json",
        flow_id="flow-1",
        reference="payee-17",
        user_id=None,
        step="step-1",
    )
    assert event.app == "default"


async def test_all_pages_together_are_the_feed(engine: AsyncEngine, dots: MemoryDots) -> None:
    """With any page size every event arrives once and in order."""
    await feeding.feed(engine, step_events(7))

    async with serving.client_of(engine, dots) as gateway:
        found = {size: steps_of(await take(gateway, 7, page_size=size)) for size in (1, 2, 7, 500)}

    assert found == dict.fromkeys((1, 2, 7, 500), steps(1, 7))


async def test_iterator_waits_for_new_events(engine: AsyncEngine, dots: MemoryDots) -> None:
    """At the end of the feed, the next event answers the long poll."""
    await feeding.feed(engine, step_events(2))

    async with serving.client_of(engine, dots) as gateway:
        waiting = asyncio.create_task(take(gateway, 3))
        await asyncio.wait([waiting], timeout=0.2)
        was_waiting = not waiting.done()
        await feeding.feed(engine, step_events(3)[2:], after_sequence=2)
        found = await waiting

    assert was_waiting
    assert steps_of(found) == steps(1, 3)


async def test_types_filter_events(engine: AsyncEngine, dots: MemoryDots) -> None:
    """By name or by pattern. A single text is one pattern."""
    facts = FlowFacts(app="default", flow_id="flow-1", reference=None, user_id=None)
    await feeding.feed(engine, [*step_events(2), events.flow_completed(facts, NOW)])

    async with serving.client_of(engine, dots) as gateway:
        by_name = await take(gateway, 1, types=("dots.flow.completed",))
        by_star = await take(gateway, 3, types=("dots.user.*", "dots.flow.*"))
        by_text = await first(gateway.events(MemoryCursor(), types="dots.flow.completed"), 1)

    assert [type(event) for event in by_name] == [FlowCompleted]
    assert [type(event) for event in by_star] == [StepCompleted, StepCompleted, FlowCompleted]
    assert by_text == by_name


async def test_cursor_moves_past_filtered_events(
    engine: AsyncEngine, dots: MemoryDots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart the service does not search the same events again, even if none matched."""
    monkeypatch.setattr(client, "WAIT_SECONDS", 0.05)
    cursors = MemoryCursor()
    await feeding.feed(engine, step_events(5))

    async with serving.client_of(engine, dots) as gateway:
        waiting = asyncio.create_task(take(gateway, 1, cursors, types=("dots.user.id_verified",)))
        await eventually(cursors.load)
        await feeding.feed(engine, [events.id_verified(UserFacts(app="default", user_id=USER), NOW)])
        await waiting
        after_restart = await take(gateway, 1, MemoryCursor(cursors.cursor))

    assert [type(event) for event in after_restart] == [IdVerified]


async def test_latest_returns_only_new_events(engine: AsyncEngine, dots: MemoryDots) -> None:
    """The cursor is saved before the first event."""
    cursors = MemoryCursor()
    await feeding.feed(engine, step_events(2))

    async with serving.client_of(engine, dots) as gateway:
        waiting = asyncio.create_task(first(gateway.events(cursors, start="latest"), 1))
        await eventually(cursors.load)
        await feeding.feed(engine, step_events(3)[2:], after_sequence=2)
        found = await waiting

    assert steps_of(found) == ["step-3"]


async def test_verdicts_require_the_compliance_scope(engine: AsyncEngine, dots: MemoryDots) -> None:
    """Without the scope the feed leaves them out."""
    await feeding.feed(engine, verdicts := feeding.verdict_events(Verdict.FLAGGED))
    await feeding.feed(engine, step_events(1))

    async with serving.client_of(engine, dots) as gateway:
        (shown_to_reader,) = await take(gateway, 1)
    async with serving.client_of(engine, dots, scopes=serving.OFFICER) as gateway:
        shown_to_officer = await take(gateway, 2)

    assert isinstance(shown_to_reader, StepCompleted)
    assert isinstance(shown_to_officer[0], CheckFlagged)
    assert (shown_to_officer[0].id, shown_to_officer[0].user_id) == (str(verdicts[0].id), USER)
    assert shown_to_officer[0].previous is None
