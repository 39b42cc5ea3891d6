"""Flows that nobody told us of: found in Dots' list."""

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
    """A flow in Dots' list that is not known becomes one of ours, with its events, at the next refresh."""
    dots.add_flow(1, completed_steps=["compliance"], payout_link_id="link-1")

    found = await discover_flows(inputs)
    await refresh_due(inputs, limit=10)

    assert found == 1
    assert await stored.rows(inputs.engine, FLOWS) == [
        {"id": flow_id_of(1), "status": "completed", "caller": None, "payout_link_id": "link-1"}
    ]
    assert await stored.count(inputs.engine, "events") == 3


async def test_every_page_is_read_the_first_time(inputs: AllInputs, dots: MemoryDots) -> None:
    """With nothing known yet the walk goes to the end of the list."""
    for number in range(1, 8):
        dots.add_flow(number, created=f"2026-11-2{number % 3}T10:00:00")
    dots.page_size = 2

    found = await discover_flows(inputs)

    assert found == 7
    assert len(dots.requests) == 4


async def test_a_walk_ends_where_everything_is_known(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """Newest first, one page without news is enough: a long list is not read every five minutes."""
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
    """The order of the list is not documented: where it is not newest first, nothing may be left out."""
    for number in range(1, 9):
        dots.add_flow(number, created=f"2026-11-2{number}T10:00:00")
    dots.page_size, dots.is_newest_first = 2, False
    await discover_flows(inputs)
    await refresh_due(inputs, limit=10)
    dots.add_flow(9, created="2026-11-29T10:00:00")
    clock.advance(timedelta(minutes=5))

    found = await discover_flows(inputs)

    assert found == 1


async def test_it_is_not_due_before_its_time(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """Two walks are five minutes apart, whoever makes them."""
    await discover_flows(inputs)
    clock.advance(timedelta(minutes=4, seconds=59))
    await discover_flows(inputs)
    requests_before = len(dots.requests)
    clock.advance(timedelta(seconds=1))

    await discover_flows(inputs)

    assert requests_before == 1
    assert len(dots.requests) == 2


async def test_a_listing_left_by_the_dead_is_taken_over(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """Who died while listing holds up the others for no longer than a lease."""

    class KilledError(BaseException):
        """What ends a process where it stands."""

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


async def test_a_long_listing_stays_with_who_began_it(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """Each page makes the lease longer: nobody begins another listing meanwhile."""
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


async def test_a_listing_that_was_overtaken_counts_for_nothing(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock, logs: list[MutableMapping[str, Any]]
) -> None:
    """Who was halted beyond the lease has seen what may no longer be so: it changes nothing, and frees nothing."""
    dots.add_flow(1)

    async def be_halted() -> None:
        dots.on_request = None
        clock.advance(LEASE)
        await stored.execute(inputs.engine, "UPDATE apps SET listing_until = :until", until=clock.now + LEASE)

    dots.on_request = be_halted
    await discover_flows(inputs)

    assert "listing overtaken" in [line["event"] for line in logs]
    assert await stored.count(inputs.engine, "sync_rows") == 0
    assert await stored.rows(inputs.engine, "SELECT listing_until FROM apps WHERE app = 'default'") == [
        {"listing_until": clock.now + LEASE}
    ]


async def test_foreign_flows_are_left_alone_if_so_set(inputs: AllInputs, dots: MemoryDots) -> None:
    """Without FOLLOW_FOREIGN_FLOWS, neither the list nor a webhook makes a foreign flow ours."""
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


async def test_a_list_that_leads_in_a_circle_is_left(inputs: AllInputs, dots: MemoryDots) -> None:
    """A Dots that gives the same page for ever is asked twice, not for ever."""
    dots.add_flow(1)
    dots.faults = [dots_page(dots, has_more=True) for _ in range(5)]

    await discover_flows(inputs)

    assert len(dots.requests) == 2


async def test_the_budget_ends_a_walk(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """Listings use at most the half of the budget, and go on later."""
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
    """All flows in one page."""
    return httpx.Response(200, json={"data": list(dots.flows.values()), "has_more": has_more})
