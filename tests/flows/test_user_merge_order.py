"""Merges may arrive twice, late, in any order and in circles. The final state is the same."""

import pytest

from tests.all_inputs import AllInputs
from tests.dots.memory_dots import MemoryDots, flow_id_of
from tests.flows.merging import (
    MERGE,
    MIDDLE,
    NEW,
    OLD,
    USERS,
    Announcer,
    own_flow,
    owners,
    refresh,
)
from tests.storage import stored


@pytest.mark.parametrize("message_id", ["msg_merge", None])
async def test_repeated_merge_changes_nothing(
    inputs: AllInputs, dots: MemoryDots, announce: Announcer, message_id: str | None
) -> None:
    """A merge may be repeated by Svix or by a second endpoint, before and after it was applied."""
    await own_flow(inputs, dots, announce)
    dots.add_user(NEW)
    await announce(MERGE, message_id=message_id)
    await announce(MERGE, message_id=message_id)
    await refresh(inputs)
    first = await stored.rows(inputs.engine, "SELECT id, verdict, check_submitted_at, merged_into FROM users")

    for _ in range(2):
        await announce(MERGE, message_id=message_id)
        await refresh(inputs)

    assert await owners(inputs) == {NEW}
    assert await stored.rows(inputs.engine, "SELECT id, verdict, check_submitted_at, merged_into FROM users") == first


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("is_refreshed_between", [False, True])
async def test_chain_of_merges_ends_with_the_last_user(
    inputs: AllInputs, dots: MemoryDots, announce: Announcer, order: tuple[int, ...], *, is_refreshed_between: bool
) -> None:
    """The merges may arrive in any order, and Dots may not know the user in the middle any more."""
    await own_flow(inputs, dots, announce, OLD, number=1)
    await own_flow(inputs, dots, announce, MIDDLE, number=2)
    del dots.users[OLD], dots.users[MIDDLE]
    dots.add_user(NEW)
    merges = [{"old_user_id": OLD, "new_user_id": MIDDLE}, {"old_user_id": MIDDLE, "new_user_id": NEW}]

    for number in order:
        await announce(merges[number])
        if is_refreshed_between:
            await refresh(inputs)
    await refresh(inputs)

    assert await owners(inputs) == {NEW}
    users = {row["id"]: row for row in await stored.rows(inputs.engine, USERS)}
    assert users[NEW]["verdict"] == "pending"
    assert {users[OLD]["merged_into"], users[MIDDLE]["merged_into"]} == {NEW}


async def test_latest_merge_of_a_circle_counts(inputs: AllInputs, dots: MemoryDots, announce: Announcer) -> None:
    """If Dots takes a merge back, the flow belongs to the first user again."""
    await own_flow(inputs, dots, announce)
    dots.add_user(NEW)
    await announce(MERGE)
    await refresh(inputs)

    await announce({"old_user_id": NEW, "new_user_id": OLD})
    await refresh(inputs)

    assert await owners(inputs) == {OLD}
    assert await stored.rows(inputs.engine, USERS) == [
        {"id": OLD, "verdict": "pending", "merged_into": None},
        {"id": NEW, "verdict": "none", "merged_into": OLD},
    ]


async def test_answer_from_before_the_merge_does_not_bring_the_old_user_back(
    inputs: AllInputs, dots: MemoryDots, announce: Announcer
) -> None:
    """An answer that names the old user after the merge counts for the new one."""
    dots.add_flow(1, steps=["background-check", "payout"], user_id=None)
    await announce({"flow_id": flow_id_of(1)})
    await refresh(inputs)
    dots.add_user(NEW)
    await announce(MERGE)
    await refresh(inputs)

    dots.flows[flow_id_of(1)] |= {"user_id": OLD, "completed_steps": ["background-check"]}
    await announce({"flow_id": flow_id_of(1)})
    await refresh(inputs)

    assert await owners(inputs) == {NEW}
    claimed = await stored.row(inputs.engine, "SELECT data FROM events WHERE type = 'dots.flow.claimed'")
    assert claimed["data"]["user_id"] == NEW
    assert await stored.rows(inputs.engine, USERS) == [{"id": NEW, "verdict": "pending", "merged_into": None}]


async def test_merge_applies_to_flows_found_later(inputs: AllInputs, dots: MemoryDots, announce: Announcer) -> None:
    """A flow that is found later with the old user belongs to the new one."""
    dots.add_user(NEW)
    await announce(MERGE)
    await refresh(inputs)

    dots.add_flow(1, steps=["payout"], user_id=OLD)
    await announce({"flow_id": flow_id_of(1)})
    await refresh(inputs)

    assert await owners(inputs) == {NEW}
