"""Lists of flows: order, pages and filters."""

from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.flows import creation_rows, flow_search
from app.flows.creation_rows import CreationError
from app.flows.flow_rows import FlowRecord
from app.flows.flow_search import FlowFilter
from app.storage import database
from tests.flows import syncing
from tests.flows.intents import (
    answer,
    begin,
    intent,
    later,
)


async def page(
    engine: AsyncEngine,
    wanted: FlowFilter,
    *,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 100,
) -> list[FlowRecord]:
    """Return a page of flows."""
    async with database.transaction(engine) as connection:
        return await flow_search.page(connection, wanted, before=before, limit=limit)


def numbers(flows: list[FlowRecord]) -> list[int]:
    """Return the numbers of the flows' intents."""
    known = {intent(number).ref: number for number in range(20)}
    return [known[flow.ref] for flow in flows]


@pytest.fixture
async def listed(engine: AsyncEngine) -> AsyncEngine:
    """Fill a database with one flow of each kind."""
    await begin(engine, 1, minutes=1, reference="payee-1", user_id="user-1")
    await answer(engine, 1)
    await begin(engine, 2, minutes=2, reference="payee-2", user_id="user-1", step_names=("payout",))
    await answer(engine, 2, steps=("payout",))
    await begin(engine, 3, minutes=3, reference="payee-1", user_id="user-2")
    await answer(engine, 3, completed_steps=("compliance", "payout"))
    await begin(engine, 4, minutes=4, reference=None)
    await begin(engine, 5, minutes=5, reference="payee-1", app="eu")
    await begin(engine, 6, minutes=6, reference="payee-2")
    async with database.transaction(engine) as connection:
        await creation_rows.fail(connection, intent(6).ref, CreationError(code="dots_unreachable"))
    await begin(engine, 7, minutes=7, reference="payee-3")
    await answer(engine, 7, completed_steps=("compliance",))
    # One flow is a dead letter.
    await syncing.mark_due(engine, syncing.subject(2), syncing.subject(7))
    claims = await syncing.claim_due(engine)
    await syncing.dead_letter(engine, next(claim for claim in claims if claim.subject == syncing.subject(2)))
    return engine


FILTERS: list[tuple[FlowFilter, list[int]]] = [
    (FlowFilter(), [7, 6, 5, 4, 3, 2, 1]),
    (FlowFilter(id="flow-3"), [3]),
    (FlowFilter(id="flow-3", status="open"), []),
    (FlowFilter(is_dead=True), [2]),
    (FlowFilter(is_dead=False, status="open"), [7, 1]),
    (FlowFilter(app="eu"), [5]),
    (FlowFilter(app="us"), []),
    (FlowFilter(reference="payee-1"), [5, 3, 1]),
    (FlowFilter(reference="payee-1", app="default"), [3, 1]),
    (FlowFilter(user_id="user-1"), [2, 1]),
    (FlowFilter(status="creating"), [5, 4]),
    (FlowFilter(status="open"), [7, 2, 1]),
    (FlowFilter(status="completed"), [3]),
    (FlowFilter(status="failed"), [6]),
    (FlowFilter(status="elsewhere"), []),
    # Open flows in which this step is pending.
    (FlowFilter(step="compliance"), [1]),
    (FlowFilter(step="payout"), [7, 2, 1]),
    (FlowFilter(step="payout", status="completed"), []),
    (FlowFilter(created_from=later(6)), [7, 6]),
    (FlowFilter(created_before=later(2)), [1]),
    (FlowFilter(created_from=later(2), created_before=later(4)), [3, 2]),
    (FlowFilter(created_from=later(4), created_before=later(2)), []),
    # A filter is a value, never a part of the statement.
    (FlowFilter(reference="payee-1' OR ''='"), []),
]


async def test_filters_narrow(listed: AsyncEngine) -> None:
    """The list has the flows that match all conditions, newest first."""
    found = [(wanted, numbers(await page(listed, wanted))) for wanted, _ in FILTERS]

    assert found == FILTERS


async def test_subjects_are_only_flows_that_dots_has(listed: AsyncEngine) -> None:
    """Flows without Dots' id are left out. The others come in batches, newest first."""
    async with database.transaction(listed) as connection:
        first = await flow_search.subjects(connection, FlowFilter(), before=None, limit=3)
        rest = await flow_search.subjects(connection, FlowFilter(), before=first.before, limit=3)
        open_ones = await flow_search.subjects(connection, FlowFilter(status="open"), before=None, limit=100)

    assert first.subjects == [syncing.subject(7), syncing.subject(3), syncing.subject(2)]
    assert (rest.subjects, rest.before) == ([syncing.subject(1)], None)
    assert open_ones.subjects == [syncing.subject(7), syncing.subject(2), syncing.subject(1)]


async def test_pages_hold_every_flow_once(engine: AsyncEngine) -> None:
    """Flows of the same time are ordered by their refs, so each is on one page."""
    for number in range(1, 8):
        await begin(engine, number, minutes=number // 4)

    pages = []
    before = None
    while found := await page(engine, FlowFilter(), before=before, limit=2):
        pages.append(numbers(found))
        before = (found[-1].created_at, found[-1].ref)

    assert pages == [[7, 6], [5, 4], [3, 2], [1]]


async def test_new_flow_does_not_shift_pages(engine: AsyncEngine) -> None:
    """A flow that is created between two pages comes before the first page."""
    for number in range(1, 4):
        await begin(engine, number, minutes=number)
    first = await page(engine, FlowFilter(), limit=2)

    await begin(engine, 4, minutes=4)

    second = await page(engine, FlowFilter(), before=(first[-1].created_at, first[-1].ref), limit=2)
    assert numbers(second) == [1]
