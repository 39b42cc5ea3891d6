"""Merges of users: the flows and submissions of the old user go to the new one."""

from datetime import timedelta
from typing import Any

import pytest

from app.flows import apply_merges
from app.flows.refresh_due import refresh_due
from tests.all_inputs import AllInputs, HandClock
from tests.dots.memory_dots import MemoryDots, refusal
from tests.flows import due
from tests.flows.merging import (
    MERGE,
    NEW,
    OLD,
    OWNERS,
    USERS,
    Announcer,
    own_flow,
    owners,
    refresh,
)
from tests.storage import stored

REPORTED = "SELECT type, subject FROM events WHERE subject LIKE 'user/%'"
CLEARED = [{"type": "dots.background_check.cleared", "subject": f"user/{NEW}"}]
BODIES = {
    "as published": MERGE,
    "with event": {"event": "user.updated.user_merged", "user_id": NEW, **MERGE},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_flows_and_a_pending_check_move_to_the_new_user(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock, announce: Announcer, body: dict[str, Any]
) -> None:
    """After a merge the flow belongs to the new user, whose check is polled and whose verdict is reported."""
    await own_flow(inputs, dots, announce)
    del dots.users[OLD]
    dots.add_user(NEW)

    await announce(body)
    await refresh(inputs)
    dots.add_user(NEW, background_check={"status": "pass"}, has_criminal_activity=False)
    clock.advance(timedelta(minutes=2))
    await refresh(inputs)

    assert await owners(inputs) == {NEW}
    assert await stored.rows(inputs.engine, USERS) == [
        {"id": OLD, "verdict": "none", "merged_into": NEW},
        {"id": NEW, "verdict": "cleared", "merged_into": None},
    ]
    assert await stored.rows(inputs.engine, REPORTED) == CLEARED


async def test_old_user_is_not_refreshed_any_more(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock, announce: Announcer
) -> None:
    """Dots may answer 404 for the old user, so its polls end with the merge."""
    await own_flow(inputs, dots, announce)
    del dots.users[OLD]
    dots.add_user(NEW)
    await announce(MERGE)
    await refresh(inputs)
    dots.requests.clear()

    clock.advance(timedelta(days=2))
    await refresh(inputs)

    assert {request.url.path.rpartition("/")[2] for request in dots.requests} == {NEW}
    assert (await due.sync_row(inputs, due.user(OLD)))["due_at"] is None


async def test_late_webhook_about_the_old_user_leaves_no_dead_letter(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock, announce: Announcer
) -> None:
    """It may be an old or a repeated webhook. Dots does not know the old user any more."""
    await own_flow(inputs, dots, announce)
    del dots.users[OLD]
    dots.add_user(NEW)
    await announce(MERGE)
    await refresh(inputs)

    for _ in range(3):
        await announce({"user_id": OLD})
        await refresh(inputs)
        clock.advance(timedelta(days=1))

    row = await due.sync_row(inputs, due.user(OLD))
    assert (row["due_at"], row["attempts"], row["last_error"]) == (None, 0, None)
    assert row["clean_gen"] == row["dirty_gen"]
    assert await stored.rows(inputs.engine, "SELECT 1 FROM sync_rows WHERE dead_at IS NOT NULL") == []


async def test_verdict_is_reported_once_although_dots_gives_it_for_both_ids(
    inputs: AllInputs, dots: MemoryDots, announce: Announcer
) -> None:
    """Dots may answer for the old id with the new user's verdict."""
    await own_flow(inputs, dots, announce)
    for user_id in (OLD, NEW):
        dots.add_user(user_id, background_check={"status": "pass"}, has_criminal_activity=False)
    await announce(MERGE)
    await refresh(inputs)

    await announce({"event": "user.updated.background_check", "user_id": OLD})
    await announce({"event": "user.updated.background_check", "user_id": NEW})
    await refresh(inputs)

    assert await stored.rows(inputs.engine, REPORTED) == CLEARED


async def test_merge_waits_until_the_new_user_can_be_asked(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock, announce: Announcer
) -> None:
    """While the refresh of the new user fails, no flow moves."""
    await own_flow(inputs, dots, announce)
    dots.fault = refusal(500, "oops")
    await announce(MERGE)
    await refresh(inputs)
    before = await owners(inputs)
    dots.fault = None
    dots.add_user(NEW)
    dots.users.pop(OLD)

    clock.advance(timedelta(minutes=1))
    await refresh(inputs)

    assert before == {OLD}
    assert await owners(inputs) == {NEW}


async def test_merge_is_applied_whole_or_not_at_all(inputs: AllInputs, dots: MemoryDots, announce: Announcer) -> None:
    """If a worker dies during the merge, the next refresh applies it."""
    await own_flow(inputs, dots, announce)
    dots.add_user(NEW)
    await announce(MERGE)
    async with inputs.engine.connect() as dying:
        await apply_merges.apply_merges(dying, due.user(NEW), now=inputs.clock())
        await dying.rollback()
    after_death = await owners(inputs)

    await refresh(inputs)

    assert after_death == {OLD}
    assert await owners(inputs) == {NEW}


async def test_merge_of_another_app_moves_nothing(
    inputs: AllInputs, dots: MemoryDots, other_dots: MemoryDots, announce: Announcer
) -> None:
    """Users of two apps may have the same ids."""
    await own_flow(inputs, dots, announce)
    other_dots.add_user(NEW)
    dots.add_user(NEW)

    await announce(MERGE, app="eu")
    await announce({"user_id": NEW})
    await refresh(inputs)

    assert await owners(inputs) == {OLD}


async def test_merge_of_a_user_with_many_flows_takes_several_passes(
    inputs: AllInputs, dots: MemoryDots, announce: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction moves a bounded number of flows, and the next pass continues immediately."""
    monkeypatch.setattr(apply_merges, "FLOWS_AT_ONCE", 2)
    for number in range(1, 6):
        await own_flow(inputs, dots, announce, number=number)
    dots.add_user(NEW)
    await announce(MERGE)

    moved = []
    while (await refresh_due(inputs, limit=50)).claimed:
        rows = await stored.rows(inputs.engine, OWNERS)
        moved.append(sum(row["user_id"] == NEW for row in rows))

    assert moved == [2, 4, 5]
    assert await stored.rows(inputs.engine, USERS) == [
        {"id": OLD, "verdict": "none", "merged_into": NEW},
        {"id": NEW, "verdict": "pending", "merged_into": None},
    ]


async def test_many_merges_into_one_user_take_several_passes(
    inputs: AllInputs, dots: MemoryDots, announce: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction applies a bounded number of merges, and all are applied in the end."""
    monkeypatch.setattr(apply_merges, "MERGES_AT_ONCE", 2)
    await own_flow(inputs, dots, announce, OLD)
    dots.add_user(NEW)
    for number in range(1, 5):
        await announce({"old_user_id": f"user-{number}", "new_user_id": NEW})
    await announce(MERGE)

    await refresh(inputs)

    assert await owners(inputs) == {NEW}
    assert await stored.rows(inputs.engine, "SELECT 1 FROM user_merges WHERE applied_at IS NULL") == []


async def test_merge_does_not_need_the_body_of_its_webhook(
    inputs: AllInputs, dots: MemoryDots, announce: Announcer
) -> None:
    """The merge is stored when the webhook arrives, so the body may expire."""
    await own_flow(inputs, dots, announce)
    dots.add_user(NEW)
    await announce(MERGE)
    await stored.execute(inputs.engine, "UPDATE webhooks SET body = NULL")

    await refresh(inputs)

    assert await owners(inputs) == {NEW}
