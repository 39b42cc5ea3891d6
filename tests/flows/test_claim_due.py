"""What a claim takes of each app, and what it leaves untouched."""

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
    """Make flows of an app due, shortly before `now`."""
    await stored.execute(inputs.engine, FILL, app=app, due_by=due_by, rows=rows, now=now)


async def claim(inputs: AllInputs, limit: int, scan_floor: DueScanFloor | None = None) -> list[Claim]:
    """Claim as a worker does."""
    claims = await claim_due.claim_due(inputs, limit=limit, scan_floor=scan_floor or DueScanFloor())
    return [each.claim for each in claims]


async def versions(inputs: AllInputs) -> set[tuple[Any, ...]]:
    """The versions of all sync rows. Writing a row gives it a new version."""
    return {tuple(row.values()) for row in await stored.rows(inputs.engine, "SELECT ctid, xmin, xmax FROM sync_rows")}


async def test_an_app_with_much_to_do_does_not_hold_up_another(inputs: AllInputs) -> None:
    """Of 100,000 due rows of one app and one of another, which is due last, the first claim takes both."""
    await fill(inputs, 100_000)
    await make_due(inputs, flow("only", app="eu"))

    claims = await claim(inputs, 8)

    assert [each.subject.app for each in claims] == ["default"] * 7 + ["eu"]


async def test_apps_take_turns_when_there_are_more_than_a_pass_takes(inputs: AllInputs) -> None:
    """With a limit of one, which of two apps is asked is left to chance, not to their names."""
    await fill(inputs, 10)
    await fill(inputs, 10, app="eu")

    at_first = await claim(replace(inputs, jitter=lambda: 0.1), 1)
    later = await claim(replace(inputs, jitter=lambda: 0.9), 1)

    served = {each.subject.app for each in at_first + later}
    assert served == {"default", "eu"}


@pytest.mark.parametrize("due_by", ["webhook", "sweep"])
async def test_only_what_is_refreshed_is_written(inputs: AllInputs, due_by: str) -> None:
    """With three calls left in the budget, three of a thousand due rows are touched."""
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


async def test_spent_budget_costs_nothing(inputs: AllInputs) -> None:
    """While no call is left, a pass does not even ask the database."""
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
    """What was due before and during the pause is claimed by the first pass after it, past the front."""
    scan_floor = DueScanFloor()
    await fill(inputs, 3)
    async with database.transaction(inputs.engine) as connection:
        await app_rows.hold_off(connection, "default", until=clock.now + 30 * SECOND)
    during = await claim(inputs, 10, scan_floor)
    clock.advance(30 * SECOND)

    assert during == []
    assert len(await claim(inputs, 10, scan_floor)) == 3


async def test_passes_with_a_front_claim_everything_once(inputs: AllInputs, clock: HandClock) -> None:
    """Four lanes that share a front claim a backlog and what comes in meanwhile, and leave nothing behind."""
    scan_floor = DueScanFloor()
    rich = another_process(inputs, budget=Budget(per_second=10_000, burst=100_000))
    await fill(inputs, 300)
    claimed: list[str] = []
    for number in range(20):
        await make_due(inputs, flow(f"new-{number}"))
        lanes = await asyncio.gather(*(claim(rich, 8, scan_floor) for _ in range(4)))
        claimed += [each.subject.id for lane in lanes for each in lane]
        clock.advance(SECOND / 10)

    assert len(claimed) == len(set(claimed)) == 320


async def test_row_that_is_due_behind_the_front_waits_for_the_full_look(inputs: AllInputs, clock: HandClock) -> None:
    """Released or made due long ago, it is claimed a second later at most."""
    scan_floor = DueScanFloor()
    assert await claim(inputs, 8, scan_floor) == []
    await make_due(inputs, flow("late"), due_at=clock.now - MARGIN - SECOND)

    at_once = await claim(inputs, 8, scan_floor)
    clock.advance(FULL_SCAN_EVERY)
    afterwards = await claim(inputs, 8, scan_floor)

    assert at_once == []
    assert [each.subject.id for each in afterwards] == ["late"]


async def test_row_within_the_margin_is_claimed_at_once(inputs: AllInputs, clock: HandClock) -> None:
    """A webhook that was committed a moment after it came is not missed."""
    scan_floor = DueScanFloor()
    assert await claim(inputs, 8, scan_floor) == []
    await make_due(inputs, flow("fresh"), due_at=clock.now - MARGIN)

    assert [each.subject.id for each in await claim(inputs, 8, scan_floor)] == ["fresh"]


@pytest.mark.parametrize(("took", "pause"), [(0.001, 1), (0.2, 10), (0.5, 25), (10, 30)])
def test_full_look_is_as_seldom_as_it_is_slow(clock: HandClock, took: float, pause: int) -> None:
    """Full looks take a fiftieth of the time; but even those of a stalled database are not put off for ever."""
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


async def test_backlog_is_not_skipped_by_a_pass_that_saw_less(inputs: AllInputs, clock: HandClock) -> None:
    """A full look that finds old rows moves the front back, so that the next passes find the others."""
    scan_floor = DueScanFloor()
    assert await claim(inputs, 8, scan_floor) == []
    await fill(inputs, 40, now=clock.now - timedelta(minutes=5))
    clock.advance(FULL_SCAN_EVERY)

    sizes = [len(await claim(inputs, 8, scan_floor)) for _ in range(6)]

    assert sizes == [8, 8, 8, 8, 8, 0]


async def test_two_processes_with_fronts_of_their_own_leave_nothing(inputs: AllInputs, clock: HandClock) -> None:
    """What one of them has claimed and given back is found by either within a second."""
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
