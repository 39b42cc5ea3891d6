"""Merges come doubled, late, in any order and in circles; the state ends the same."""

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


@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("message_id", ["msg_merge", None])
async def test_merge_that_comes_again_changes_nothing(
    inputs: AllInputs, dots: MemoryDots, announce: Announcer, repeats: int, message_id: str | None
) -> None:
    """Doubled by Svix, or told by two endpoints, before and after it was applied."""
    await own_flow(inputs, dots, announce)
    dots.add_user(NEW)
    await announce(MERGE, message_id=message_id)
    await announce(MERGE, message_id=message_id)
    await refresh(inputs)
    first = await stored.rows(inputs.engine, "SELECT id, verdict, check_submitted_at, merged_into FROM users")

    for _ in range(repeats):
        await announce(MERGE, message_id=message_id)
        await refresh(inputs)

    assert await owners(inputs) == {NEW}
    assert await stored.rows(inputs.engine, "SELECT id, verdict, check_submitted_at, merged_into FROM users") == first


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("is_refreshed_between", [False, True])
async def test_chain_of_merges_ends_with_the_last_user(
    inputs: AllInputs, dots: MemoryDots, announce: Announcer, order: tuple[int, ...], *, is_refreshed_between: bool
) -> None:
    """In whatever order the two merges are heard of; the user in the middle is gone at Dots already."""
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


async def test_circle_of_merges_ends_with_the_latest_word(
    inputs: AllInputs, dots: MemoryDots, announce: Announcer
) -> None:
    """Dots takes a merge back, or contradicts itself: nothing runs for ever, and no flow is left without its user."""
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
    """Dots was asked about the flow before the merge and answers after it, or it never says the new id."""
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


async def test_merge_heard_of_before_its_flows_is_remembered(
    inputs: AllInputs, dots: MemoryDots, announce: Announcer
) -> None:
    """The merge overtakes everything else: a flow that is found later under the old id is the new user's."""
    dots.add_user(NEW)
    await announce(MERGE)
    await refresh(inputs)

    dots.add_flow(1, steps=["payout"], user_id=OLD)
    await announce({"flow_id": flow_id_of(1)})
    await refresh(inputs)

    assert await owners(inputs) == {NEW}
