import asyncio

from app.actions.sequence_events import sequence_events
from app.actions.tools import Tools
from app.storage import hints
from tests.actions import feeding, stored
from tests.actions.feeding import step_events


async def test_pass_is_bounded_and_goes_on_where_it_was(tools: Tools) -> None:
    """So many a pass, oldest first, and 0 when nothing is left."""
    await feeding.append(tools.engine, step_events(5))

    passes = [await sequence_events(tools, limit=2) for _ in range(4)]

    places = await stored.rows(tools.engine, "SELECT position, data->>'step' AS step FROM events ORDER BY position")
    assert passes == [2, 2, 1, 0]
    assert [tuple(row.values()) for row in places] == [(number, f"step-{number}") for number in range(1, 6)]


async def test_sequencers_at_once_leave_no_gap(tools: Tools) -> None:
    """Of several sequencers one stamps at a time; the places are dense and each is given once."""
    for number in range(20):
        await feeding.append(tools.engine, step_events(3, flow_id=f"flow-{number}"))
    while sum(await asyncio.gather(*(sequence_events(tools, limit=7) for _ in range(3)))):
        pass

    places = await stored.rows(tools.engine, "SELECT position FROM events ORDER BY position")
    assert [row["position"] for row in places] == list(range(1, 61))
    assert tools.telemetry.registry.get_sample_value("dots_gateway_events_sequenced_total") == 60


async def test_readers_are_woken_only_by_new_places(tools: Tools) -> None:
    """A pass without work gives no hint."""
    idle_hint = tools.hints.next(hints.FEED)
    await sequence_events(tools, limit=10)
    was_woken_by_nothing = idle_hint.is_set()
    await feeding.append(tools.engine, step_events(1))
    await sequence_events(tools, limit=10)

    assert not was_woken_by_nothing
    assert idle_hint.is_set()
