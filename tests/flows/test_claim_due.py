"""What a claim takes from each app, and which rows it writes."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from app.dots import app_rows
from app.dots.budget import Budget
from app.dots.client import DotsClients
from app.flows import claim_due, sync_rows
from app.flows.due_scan_floor import FULL_SCAN_EVERY, MARGIN, DueScanFloor
from app.flows.sync_rows import Claim
from app.storage import database
from tests.all_inputs import AllInputs, HandClock, another_process
from tests.dots.fake_dots import NOW
from tests.flows.due import flow, make_due
from tests.storage import stored
from tests.storage.statements import noted

FILL = """
    INSERT INTO sync_rows (app, kind, subject_id, due_at, due_by, dirty_gen)
    SELECT :app, 'flow', number, CAST(:now AS timestamptz) - number * interval '1 millisecond', :due_by, 1
    FROM generate_series(1, :rows) AS number
"""
SECOND = timedelta(seconds=1)


async def fill(
    inputs: AllInputs, rows: int, *, app: str = "default", due_by: str = "webhook", now: datetime = NOW
) -> None:
    """Make flows of an app due shortly before `now`."""
    await stored.execute(inputs.engine, FILL, app=app, due_by=due_by, rows=rows, now=now)


async def claim(inputs: AllInputs, limit: int, scan_floor: DueScanFloor | None = None) -> list[Claim]:
    """Claim as a worker does."""
    claims = await claim_due.claim_due(inputs, limit=limit, scan_floor=scan_floor or DueScanFloor())
    return [each.claim for each in claims]


async def versions(inputs: AllInputs) -> set[tuple[Any, ...]]:
    """Return the versions of all sync rows. Writing a row changes its version."""
    return {tuple(row.values()) for row in await stored.rows(inputs.engine, "SELECT ctid, xmin, xmax FROM sync_rows")}


async def test_a_busy_app_does_not_delay_another(inputs: AllInputs) -> None:
    """The first claim takes rows of both apps, although one has 1,000 that have been due for longer."""
    await fill(inputs, 1000)
    await make_due(inputs, flow("only", app="eu"))

    claims = await claim(inputs, 8)

    assert [each.subject.app for each in claims] == ["default"] * 7 + ["eu"]


async def test_apps_take_turns_if_there_are_more_apps_than_the_limit(inputs: AllInputs) -> None:
    """With a limit of one, the jitter decides which of two apps is claimed."""
    await fill(inputs, 10)
    await fill(inputs, 10, app="eu")

    at_first = await claim(replace(inputs, jitter=lambda: 0.1), 1)
    later = await claim(replace(inputs, jitter=lambda: 0.9), 1)

    served = {each.subject.app for each in at_first + later}
    assert served == {"default", "eu"}


@pytest.mark.parametrize("due_by", ["webhook", "sweep"])
async def test_only_claimed_rows_are_written(inputs: AllInputs, due_by: str) -> None:
    """With three calls left in the budget, three of a thousand due rows are written."""
    poor = another_process(inputs, budget=Budget(per_second=1, burst=200))
    budget = poor.clients.of("default").gate.budget
    reserve = budget.reserve_of_sweeps if due_by == "sweep" else budget.reserve_of_refreshes
    await stored.execute(
        inputs.engine,
        "INSERT INTO apps (app, tokens, tokens_at) VALUES ('default', :tokens, :now)",
        tokens=reserve + 3,
        now=inputs.clock(),
    )
    await fill(inputs, 1000, due_by=due_by)
    before = await versions(inputs)

    claims = await claim(poor, 100)

    assert len(claims) == 3
    assert len(before - await versions(inputs)) == 3


async def test_spent_budget_costs_no_statement(inputs: AllInputs) -> None:
    """While the budget is spent, a pass does not ask the database."""
    poor = another_process(
        replace(inputs, clients=DotsClients({"default": inputs.clients["default"]})),
        budget=Budget(per_second=1, burst=10),
    )
    await fill(inputs, 1000)
    first = await claim(poor, 100)
    before = await versions(inputs)
    with noted(inputs.engine) as statements:
        later = await claim(poor, 100)

    assert (len(first), later) == (9, [])
    assert statements == []
    assert before == await versions(inputs)


async def test_paused_app_is_found_again_when_its_pause_ends(inputs: AllInputs, clock: HandClock) -> None:
    """The first pass after the pause claims the rows from before, without waiting for a full scan."""
    scan_floor = DueScanFloor()
    await fill(inputs, 3)
    async with database.transaction(inputs.engine) as connection:
        await app_rows.hold_off(connection, "default", until=clock.now + 30 * SECOND)
    during = await claim(inputs, 10, scan_floor)
    clock.advance(30 * SECOND)

    assert during == []
    assert len(await claim(inputs, 10, scan_floor)) == 3


async def test_concurrent_passes_claim_everything_once(inputs: AllInputs, clock: HandClock) -> None:
    """Four passes at a time with a shared floor claim a backlog and new rows, each once."""
    scan_floor = DueScanFloor()
    rich = another_process(inputs, budget=Budget(per_second=10_000, burst=100_000))
    await fill(inputs, 300)
    claimed: list[str] = []
    for number in range(20):
        await make_due(inputs, flow(f"new-{number}"))
        batches = await asyncio.gather(*(claim(rich, 8, scan_floor) for _ in range(4)))
        claimed += [each.subject.id for batch in batches for each in batch]
        clock.advance(SECOND / 10)

    assert len(claimed) == len(set(claimed)) == 320


async def test_row_that_is_due_before_the_floor_waits_for_a_full_scan(inputs: AllInputs, clock: HandClock) -> None:
    """It is claimed at most a second later."""
    scan_floor = DueScanFloor()
    assert await claim(inputs, 8, scan_floor) == []
    await make_due(inputs, flow("late"), due_at=clock.now - MARGIN - SECOND)

    at_once = await claim(inputs, 8, scan_floor)
    clock.advance(FULL_SCAN_EVERY)
    afterwards = await claim(inputs, 8, scan_floor)

    assert at_once == []
    assert [each.subject.id for each in afterwards] == ["late"]


async def test_row_within_the_margin_is_claimed_at_once(inputs: AllInputs, clock: HandClock) -> None:
    """A webhook that was committed a little after its due time is not missed."""
    scan_floor = DueScanFloor()
    assert await claim(inputs, 8, scan_floor) == []
    await make_due(inputs, flow("fresh"), due_at=clock.now - MARGIN)

    assert [each.subject.id for each in await claim(inputs, 8, scan_floor)] == ["fresh"]


@pytest.mark.parametrize(("took", "pause"), [(0.001, 1), (0.2, 10), (0.5, 25), (10, 30)])
def test_slower_full_scans_are_rarer(clock: HandClock, took: float, pause: int) -> None:
    """Full scans take at most a fiftieth of the time, but there is one at least every 30 seconds."""
    scan_floor = DueScanFloor()
    scans: list[datetime] = []

    view = scan_floor.view(["default"], share=1, now=clock.now)
    scan_floor.end_full_scan(took=took * SECOND, now=clock.now)
    for _ in range(100):
        clock.advance(SECOND)
        if scan_floor.view(["default"], share=1, now=clock.now).is_full:
            scans.append(clock.now)
            scan_floor.end_full_scan(took=took * SECOND, now=clock.now)

    assert view.is_full
    assert {(later - earlier) / SECOND for earlier, later in pairwise(scans)} == {pause}


async def test_full_scan_moves_the_floor_back(inputs: AllInputs, clock: HandClock) -> None:
    """After a full scan finds old rows, the next passes find the rest of them."""
    scan_floor = DueScanFloor()
    assert await claim(inputs, 8, scan_floor) == []
    await fill(inputs, 40, now=clock.now - timedelta(minutes=5))
    clock.advance(FULL_SCAN_EVERY)

    sizes = [len(await claim(inputs, 8, scan_floor)) for _ in range(6)]

    assert sizes == [8, 8, 8, 8, 8, 0]


async def test_released_row_is_found_by_another_process(inputs: AllInputs, clock: HandClock) -> None:
    """A process with a floor of its own finds it within a second."""
    one, other = DueScanFloor(), DueScanFloor()
    second = another_process(inputs)
    await make_due(inputs, flow("shared"), due_at=clock.now)
    (held,) = await claim(inputs, 8, one)
    clock.advance(10 * SECOND)
    assert await claim(second, 8, other) == []
    async with database.transaction(inputs.engine) as connection:
        await sync_rows.defer(connection, held, due_at=inputs.clock())
    clock.advance(FULL_SCAN_EVERY)

    assert [each.subject.id for each in await claim(second, 8, other)] == ["shared"]
