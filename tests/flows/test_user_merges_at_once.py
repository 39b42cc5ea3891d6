"""Concurrent merges, refreshes and repeats do not deadlock and end in the same state."""

import asyncio
import random

import pytest

from app.flows.refresh_due import refresh_due
from app.flows.rules.merges import Merge, survivor
from tests.all_inputs import AllInputs
from tests.dots.memory_dots import MemoryDots, flow_id_of
from tests.flows.merging import Announcer, refresh
from tests.storage import stored

USERS = [f"user-{number:02}" for number in range(12)]


@pytest.mark.parametrize("seed", range(3))
async def test_workers_that_merge_at_once_agree(
    inputs: AllInputs, dots: MemoryDots, announce: Announcer, seed: int
) -> None:
    """Random merges are announced twice and in any order while workers refresh."""
    rng = random.Random(seed)
    for number, user_id in enumerate(USERS * 2):
        dots.add_flow(number + 1, steps=["payout"], user_id=user_id)
        await announce({"flow_id": flow_id_of(number + 1)})
    for user_id in USERS:
        dots.add_user(user_id)
    await refresh(inputs)
    olds = rng.sample(USERS, 9)
    reported: set[tuple[str, str]] = set()

    async def announce_merge(old_id: str) -> None:
        new_id = rng.choice([user_id for user_id in USERS if user_id != old_id])
        pair = {"old_user_id": old_id, "new_user_id": new_id}
        reported.add((old_id, new_id))
        await asyncio.gather(*(announce(pair, message_id=f"msg_{old_id}") for _ in range(2)))
        await announce({"user_id": rng.choice(USERS)})

    async def work() -> None:
        for _ in range(6):
            await refresh_due(inputs, limit=5)

    await asyncio.gather(*(announce_merge(old_id) for old_id in olds), *(work() for _ in range(4)))
    await refresh(inputs)

    owners = await stored.rows(inputs.engine, "SELECT id, user_id FROM flows")
    noted = [
        Merge(app="default", old_user_id=row["old_user_id"], new_user_id=row["new_user_id"], received_at=row["at"])
        for row in await stored.rows(
            inputs.engine, "SELECT old_user_id, new_user_id, received_at AS at FROM user_merges"
        )
    ]
    assert {(merge.old_user_id, merge.new_user_id) for merge in noted} == reported
    assert {row["id"]: row["user_id"] for row in owners} == {
        flow_id_of(number + 1): survivor("default", user_id, noted) for number, user_id in enumerate(USERS * 2)
    }
    assert await stored.rows(inputs.engine, "SELECT 1 FROM user_merges WHERE applied_at IS NULL") == []
    errors = "SELECT outcome FROM refreshes WHERE outcome NOT IN ('changed', 'unchanged')"
    assert await stored.rows(inputs.engine, errors) == []
