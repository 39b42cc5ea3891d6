"""Sync rows: making subjects due, and claiming them."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from app.dots import app_rows
from app.flows import sync_rows
from app.flows.sync_rows import Claim
from app.storage import database
from tests.dots.fake_dots import NOW
from tests.flows.syncing import (
    MINUTE,
    TOKEN,
    claim_due,
    claim_in,
    claim_one,
    mark_due,
    postpone,
    row_of,
    schedule,
    subject,
)
from tests.storage import stored
from tests.storage.locks import until_waiting


async def test_due_subject_is_claimed_once(engine: AsyncEngine) -> None:
    """A claim has everything that a refresh needs, and there is only one at a time."""
    raised = await mark_due(engine, subject())

    first, second = await claim_due(engine), await claim_due(engine, token=uuid4())

    assert raised == {subject(): 1}
    assert first == [
        Claim(
            subject=subject(),
            token=TOKEN,
            lease_until=NOW + MINUTE,
            seen_gen=1,
            due_by="webhook",
            attempts=0,
            failing_since=None,
        )
    ]
    assert second == []


async def test_longest_due_is_claimed_first(engine: AsyncEngine) -> None:
    """The longest due rows come first, and rows that are not due are not claimed."""
    for number, minutes in enumerate([2, 4, 0, 3, 1, -1]):
        await mark_due(engine, subject(number), at=NOW - minutes * MINUTE)

    batches = [{claim.subject.id for claim in await claim_due(engine, limit=2)} for _ in range(4)]

    assert batches == [{"flow-1", "flow-3"}, {"flow-0", "flow-4"}, {"flow-2"}, set()]


async def test_requested_rows_come_before_sweeps(engine: AsyncEngine) -> None:
    """A requested row comes first even if a sweep has been due for longer."""
    await mark_due(engine, subject(1), at=NOW - 9 * MINUTE, by="sweep")
    await mark_due(engine, subject(2), at=NOW - 8 * MINUTE, by="sweep")
    for number, by in enumerate(("create", "webhook", "refresh"), start=3):
        await mark_due(engine, subject(number), at=NOW - (number - 3) * MINUTE, by=by)  # type: ignore[arg-type]  # All of them are in DueBy.

    batches = [[claim.subject.id for claim in await claim_due(engine, limit=limit)] for limit in (4, 4)]

    assert batches == [["flow-5", "flow-4", "flow-3", "flow-1"], ["flow-2"]]


async def test_only_wanted_apps_are_claimed(engine: AsyncEngine) -> None:
    """Rows of other apps are not claimed."""
    await mark_due(engine, subject(app="eu"), subject(app="default"))

    claims = await claim_due(engine, apps=["eu", "us"])

    assert [claim.subject for claim in claims] == [subject(app="eu")]


async def test_claims_skip_rows_that_others_are_claiming(engine: AsyncEngine) -> None:
    """A second claim does not wait for an uncommitted one. It takes the other rows."""
    await mark_due(engine, subject(1), at=NOW - MINUTE)
    await mark_due(engine, subject(2))

    async with database.transaction(engine) as connection, asyncio.timeout(4):
        first = await claim_in(connection, limit=1)
        second = await claim_due(engine, token=uuid4())

    assert [claim.subject for claim in first] == [subject(1)]
    assert [claim.subject for claim in second] == [subject(2)]


async def test_concurrent_claims_share_the_rows(engine: AsyncEngine) -> None:
    """Eight concurrent claims get different rows."""
    subjects = [subject(number) for number in range(40)]
    await mark_due(engine, *subjects)

    batches = await asyncio.gather(*(claim_due(engine, token=uuid4(), limit=7) for _ in range(8)))

    claimed = [claim.subject for batch in batches for claim in batch]
    assert sorted(claimed) == sorted(set(claimed))
    assert {*claimed, *(claim.subject for claim in await claim_due(engine, limit=40))} == set(subjects)


async def test_another_request_never_delays(engine: AsyncEngine) -> None:
    """A subject that is made due again keeps the earlier time, and its failures are reset."""
    await mark_due(engine, subject())
    (claim,) = await claim_due(engine)
    await postpone(engine, claim, due_at=NOW + 60 * MINUTE)

    raised = [
        (await mark_due(engine, subject(), at=NOW + MINUTE, by="webhook"))[subject()],
        (await mark_due(engine, subject(), at=NOW + 2 * MINUTE, by="refresh"))[subject()],
    ]

    assert raised == [2, 3]
    assert await row_of(engine, subject(), "due_at", "due_by", "attempts") == {
        "due_at": NOW + MINUTE,
        "due_by": "refresh",
        "attempts": 0,
    }


async def test_request_wakes_a_subject_that_is_not_due(engine: AsyncEngine) -> None:
    """A subject without a due time becomes due."""
    await schedule(engine, subject(), due_at=None)

    await mark_due(engine, subject())

    assert [claim.subject for claim in await claim_due(engine)] == [subject()]


async def test_many_are_made_due_at_once(engine: AsyncEngine) -> None:
    """Subjects of all kinds and apps are raised once each. An empty list is allowed."""
    mixed = [subject(kind="user"), subject(app="eu"), subject(), subject()]

    raised = await mark_due(engine, *mixed)

    assert await mark_due(engine) == {}
    assert raised == {subject(): 1, subject(kind="user"): 1, subject(app="eu"): 1}


async def test_rows_are_locked_in_order(engine: AsyncEngine) -> None:
    """A writer that waits for a row holds no later ones, so writers cannot deadlock."""
    subjects = [subject(number) for number in range(8)]
    await mark_due(engine, *subjects)

    async with engine.connect() as holder:
        await sync_rows.mark_due(holder, [subject(3)], due_at=NOW, due_by="sweep")
        waiting = asyncio.create_task(mark_due(engine, *subjects[::-1]))
        await until_waiting(engine)
        free = await stored.rows(engine, "SELECT subject_id FROM sync_rows FOR UPDATE SKIP LOCKED")
        await holder.commit()
        raised = await waiting

    assert sorted(row["subject_id"] for row in free) == ["flow-4", "flow-5", "flow-6", "flow-7"]
    assert raised == {each: 3 if each == subject(3) else 2 for each in subjects}


async def test_new_subject_is_scheduled(engine: AsyncEngine) -> None:
    """A new row has the first due time and is clean."""
    await schedule(engine, subject(), due_at=NOW + MINUTE)

    assert await row_of(engine, subject(), "due_at", "due_by", "dirty_gen", "clean_gen") == {
        "due_at": NOW + MINUTE,
        "due_by": "sweep",
        "dirty_gen": 0,
        "clean_gen": 0,
    }


async def test_schedule_does_not_change_an_existing_row(engine: AsyncEngine) -> None:
    """The answer to a creation does not postpone an earlier webhook."""
    await mark_due(engine, subject())
    before = await row_of(engine, subject())

    await schedule(engine, subject(), due_at=NOW + 60 * MINUTE)
    await schedule(engine, subject(), due_at=None)

    assert await row_of(engine, subject()) == before


async def test_paused_app_is_not_claimed(engine: AsyncEngine) -> None:
    """During the pause of an app, only rows of the others are claimed."""
    await mark_due(engine, subject(app="default"), subject(app="eu"))
    async with database.transaction(engine) as connection:
        await app_rows.pause(connection, "eu", until=NOW + MINUTE)

    during = await claim_due(engine, apps=["default", "eu"], now=NOW + MINUTE - timedelta(microseconds=1))
    after = await claim_due(engine, apps=["eu"], now=NOW + MINUTE)

    assert [claim.subject.app for claim in during] == ["default"]
    assert [claim.subject.app for claim in after] == ["eu"]


async def test_one_is_claimed_due_or_not(engine: AsyncEngine) -> None:
    """A subject can be claimed unless it is unknown or leased."""
    await schedule(engine, subject(), due_at=None)

    claims = [
        await claim_one(engine, subject()),
        await claim_one(engine, subject()),
        await claim_one(engine, subject(), now=NOW + MINUTE),
        await claim_one(engine, subject(2)),
    ]

    swept = Claim(
        subject=subject(),
        token=TOKEN,
        lease_until=NOW + MINUTE,
        seen_gen=0,
        due_by="sweep",
        attempts=0,
        failing_since=None,
    )
    assert claims == [
        swept,
        None,
        replace(swept, lease_until=NOW + 2 * MINUTE),
        None,
    ]
