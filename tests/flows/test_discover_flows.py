"""Finding unknown flows in Dots' list."""

from collections.abc import MutableMapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.dots.budget import Budget
from app.flows.discover_flows import discover_flows
from app.flows.refresh_due import refresh_due
from tests.all_inputs import LEASE, AllInputs, HandClock, another_process
from tests.dots.memory_dots import MemoryDots, flow_id_of
from tests.storage import stored

FLOWS = "SELECT id, status, caller, payout_link_id FROM flows ORDER BY id"


async def test_a_flow_made_elsewhere_is_adopted(inputs: AllInputs, dots: MemoryDots) -> None:
    """An unknown flow in Dots' list is adopted at its refresh, with its events."""
    dots.add_flow(1, completed_steps=["compliance"], payout_link_id="link-1")

    found = await discover_flows(inputs)
    await refresh_due(inputs, limit=10)

    assert found == 1
    assert await stored.rows(inputs.engine, FLOWS) == [
        {"id": flow_id_of(1), "status": "completed", "caller": None, "payout_link_id": "link-1"}
    ]
    assert await stored.count(inputs.engine, "events") == 3


async def test_every_page_is_read_the_first_time(inputs: AllInputs, dots: MemoryDots) -> None:
    """The first listing reads to the end."""
    for number in range(1, 8):
        dots.add_flow(number, created=f"2026-11-2{number % 3}T10:00:00")
    dots.page_size = 2

    found = await discover_flows(inputs)

    assert found == 7
    assert len(dots.requests) == 4


async def test_a_listing_ends_at_known_flows(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """If the list is newest first, one page of known flows ends the listing."""
    for number in range(1, 9):
        dots.add_flow(number, created=f"2026-11-2{number}T10:00:00")
    dots.page_size = 2
    await discover_flows(inputs)
    await refresh_due(inputs, limit=10)
    dots.requests.clear()
    clock.advance(timedelta(minutes=5))

    found = await discover_flows(inputs)

    assert found == 0
    assert len(dots.requests) == 1


async def test_a_list_in_another_order_is_read_to_the_end(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """Dots does not document the order, so a list that is not newest first is read completely."""
    for number in range(1, 9):
        dots.add_flow(number, created=f"2026-11-2{number}T10:00:00")
    dots.page_size, dots.is_newest_first = 2, False
    await discover_flows(inputs)
    await refresh_due(inputs, limit=10)
    dots.add_flow(9, created="2026-11-29T10:00:00")
    clock.advance(timedelta(minutes=5))

    found = await discover_flows(inputs)

    assert found == 1


async def test_a_listing_is_due_every_five_minutes(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """The second pass within five minutes makes no call."""
    await discover_flows(inputs)
    clock.advance(timedelta(minutes=4, seconds=59))
    await discover_flows(inputs)
    requests_before = len(dots.requests)
    clock.advance(timedelta(seconds=1))

    await discover_flows(inputs)

    assert requests_before == 1
    assert len(dots.requests) == 2


async def test_a_listing_of_a_dead_process_is_taken_over(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """Another process can list after the lease has ended."""

    class KilledError(BaseException):
        """Simulates the death of the process."""

    async def die() -> None:
        raise KilledError

    dots.add_flow(1)
    dots.on_request = die
    with pytest.raises(KilledError):
        await discover_flows(inputs)
    dots.on_request = None

    clock.advance(LEASE - timedelta(seconds=1))
    too_early = await discover_flows(inputs)
    clock.advance(timedelta(seconds=1))

    assert too_early == 0
    assert await discover_flows(inputs) == 1


async def test_a_long_listing_extends_its_lease(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """Each page extends the lease, so no other process begins a listing."""
    for number in range(1, 4):
        dots.add_flow(number)
    dots.page_size = 1

    async def take_long() -> None:
        clock.advance(LEASE - timedelta(seconds=1))
        dots.on_request = None
        await discover_flows(inputs)
        dots.on_request = take_long

    dots.on_request = take_long

    assert await discover_flows(inputs) == 3
    assert len(dots.requests) == 3


async def test_a_listing_that_lost_its_lease_changes_nothing(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock, logs: list[MutableMapping[str, Any]]
) -> None:
    """A process that paused for longer than its lease stores nothing and does not end the other listing."""
    dots.add_flow(1)

    async def lose_lease() -> None:
        dots.on_request = None
        clock.advance(LEASE)
        await stored.execute(inputs.engine, "UPDATE apps SET listing_until = :until", until=clock.now + LEASE)

    dots.on_request = lose_lease
    await discover_flows(inputs)

    assert "listing overtaken" in [line["event"] for line in logs]
    assert await stored.count(inputs.engine, "sync_rows") == 0
    assert await stored.rows(inputs.engine, "SELECT listing_until FROM apps WHERE app = 'default'") == [
        {"listing_until": clock.now + LEASE}
    ]


async def test_a_setting_ignores_foreign_flows(inputs: AllInputs, dots: MemoryDots) -> None:
    """Without FOLLOW_FOREIGN_FLOWS, neither a listing nor a webhook adopts a foreign flow."""
    dots.add_flow(1)
    choosy = replace(inputs, follow_foreign_flows=False)

    found = await discover_flows(choosy)
    await stored.execute(
        inputs.engine,
        "INSERT INTO sync_rows (app, kind, subject_id, due_at, due_by, dirty_gen)"
        " VALUES ('default', 'flow', :id, '2026-11-23', 'webhook', 1)",
        id=flow_id_of(1),
    )
    await refresh_due(choosy, limit=10)

    assert found == 0
    assert await stored.count(inputs.engine, "flows") == 0
    assert await stored.row(inputs.engine, "SELECT due_at, clean_gen FROM sync_rows") == {
        "due_at": None,
        "clean_gen": 1,
    }


async def test_a_repeated_page_ends_the_listing(inputs: AllInputs, dots: MemoryDots) -> None:
    """If Dots returns the same page again, the listing stops."""
    dots.add_flow(1)
    dots.faults = [dots_page(dots, has_more=True) for _ in range(5)]

    await discover_flows(inputs)

    assert len(dots.requests) == 2


async def test_the_budget_ends_a_listing(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """A listing uses at most half of the budget. A later one finds the rest."""
    for number in range(1, 31):
        dots.add_flow(number, created=f"2026-11-{number:02}T10:00:00")
    dots.page_size = 1
    poor = another_process(inputs, budget=Budget(per_second=0.001, burst=20))

    await discover_flows(poor)
    requests = len(dots.requests)
    clock.advance(timedelta(seconds=30))
    rich = another_process(inputs, budget=Budget(per_second=100, burst=200))
    await discover_flows(rich)

    assert requests == 10
    assert await stored.count(inputs.engine, "sync_rows") == 30


def dots_page(dots: MemoryDots, *, has_more: bool) -> httpx.Response:
    """Return all flows in one page."""
    return httpx.Response(200, json={"data": list(dots.flows.values()), "has_more": has_more})
