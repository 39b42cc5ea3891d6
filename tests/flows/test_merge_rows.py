"""Stored merges of users: with their webhook, once, and waiting for the last user of the chain."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from app.flows import merge_rows
from app.storage import database
from app.storage.subjects import Subject
from app.webhooks import webhook_rows
from app.webhooks.webhook_rows import Webhook
from tests.dots.fake_dots import NOW
from tests.storage import statements, stored

MINUTE = timedelta(minutes=1)
MERGES = "SELECT app, old_user_id, new_user_id, survivor_id, applied_at FROM user_merges ORDER BY app, old_user_id"


def user(user_id: str, app: str = "default") -> Subject:
    """A user."""
    return Subject(app=app, kind="user", id=user_id)


def announcing(pair: str, message_id: str | None = None, *, app: str = "default", at: datetime = NOW) -> Webhook:
    """Build a webhook that merges a into b, for `ab`."""
    return Webhook(
        app=app,
        message_id=message_id or f"msg_{pair}",
        received_at=at,
        body=b"{}",
        event=None,
        subject=user(pair[1], app),
        merged_user_id=pair[0],
    )


async def store(engine: AsyncEngine, *webhooks: Webhook) -> None:
    """Store one batch."""
    async with database.transaction(engine) as connection:
        await webhook_rows.store(connection, webhooks)


async def waiting(engine: AsyncEngine, user_id: str, *, app: str = "default", limit: int = 10) -> list[str]:
    """Return the users whose merge into this one is not applied yet."""
    async with database.transaction(engine) as connection:
        return await merge_rows.lock_waiting(connection, user(user_id, app), limit=limit)


async def today(engine: AsyncEngine, user_id: str) -> str:
    """Return the remaining user for this one."""
    async with database.transaction(engine) as connection:
        return (await merge_rows.survivors(connection, [user(user_id)]))[user(user_id)]


async def settle(engine: AsyncEngine, *old_ids: str) -> None:
    """Mark these merges as applied."""
    async with database.transaction(engine) as connection:
        await merge_rows.settle(connection, "default", old_ids, now=NOW)


async def test_merge_is_stored_with_its_webhook(engine: AsyncEngine) -> None:
    """One transaction stores the webhook and the merge, and makes the user due."""
    await store(engine, announcing("ab"))

    assert await stored.rows(engine, MERGES) == [
        {"app": "default", "old_user_id": "a", "new_user_id": "b", "survivor_id": "b", "applied_at": None}
    ]
    assert await stored.rows(engine, "SELECT kind, subject_id, due_at FROM sync_rows") == [
        {"kind": "user", "subject_id": "b", "due_at": NOW}
    ]
    assert await stored.count(engine, "webhooks") == 1


async def test_merge_is_rolled_back_with_its_webhook(engine: AsyncEngine) -> None:
    """A webhook that was not stored leaves no merge."""
    async with engine.connect() as connection:
        await webhook_rows.store(connection, [announcing("ab")])
        await connection.rollback()

    assert await stored.count(engine, "user_merges") == 0


async def test_only_a_batch_with_merges_sends_more_than_one_statement(engine: AsyncEngine) -> None:
    """Webhooks without a merge take one statement."""
    ordinary = replace(announcing("ab"), merged_user_id=None)

    counts = []
    for webhooks in ([ordinary], [announcing("ab", "msg_2")]):
        with statements.noted(engine) as sent:
            await store(engine, *webhooks)
        counts.append(len(sent))

    assert counts == [1, 5]


async def test_apps_are_kept_apart(engine: AsyncEngine) -> None:
    """Users of two apps may have the same ids."""
    await store(engine, announcing("ab"), announcing("ac", app="eu"))

    assert await waiting(engine, "b") == ["a"]
    assert await waiting(engine, "c") == []
    assert await waiting(engine, "c", app="eu") == ["a"]
    assert await today(engine, "a") == "b"


async def test_chain_in_one_batch_waits_for_its_end(engine: AsyncEngine) -> None:
    """The order within a batch does not matter."""
    await store(engine, announcing("bc"), announcing("ab"), announcing("cd"))

    assert await waiting(engine, "d") == ["a", "b", "c"]
    assert {row["subject_id"] for row in await stored.rows(engine, "SELECT subject_id FROM sync_rows")} == {"d"}


async def test_late_merge_into_a_merged_user_waits_for_the_last_user(engine: AsyncEngine) -> None:
    """The merge of b into c was applied before the merge of a into b is announced."""
    await store(engine, announcing("bc"))
    await settle(engine, "b")

    await store(engine, announcing("ab", at=NOW + MINUTE))

    assert await waiting(engine, "c") == ["a"]
    assert await stored.rows(engine, "SELECT subject_id FROM webhooks WHERE message_id = 'msg_ab'") == [
        {"subject_id": "c"}
    ]


async def test_repeat_of_a_webhook_does_not_undo_a_later_merge(engine: AsyncEngine) -> None:
    """Dots repeats webhooks for a day, and on request for 90 days."""
    await store(engine, announcing("ab"))
    await store(engine, announcing("ac", at=NOW + MINUTE))
    await settle(engine, "a")

    await store(engine, announcing("ab", at=NOW + 2 * MINUTE))

    assert await today(engine, "a") == "c"
    assert await waiting(engine, "b") == []
    assert await waiting(engine, "c") == []


async def test_same_merge_in_another_webhook_is_applied_again(engine: AsyncEngine) -> None:
    """An organization's endpoint may announce it a second time, and applying it again is harmless."""
    await store(engine, announcing("ab"))
    await settle(engine, "a")

    await store(engine, announcing("ab", "msg_again", at=NOW + MINUTE))

    assert await waiting(engine, "b") == ["a"]
    assert await stored.count(engine, "user_merges") == 1


async def test_latest_merge_of_a_user_counts(engine: AsyncEngine) -> None:
    """The latest one counts, in one batch and in any order."""
    await store(engine, announcing("ac", at=NOW + MINUTE), announcing("ab"))
    await store(engine, announcing("ab", "msg_late", at=NOW))

    assert await today(engine, "a") == "c"


async def test_waiting_merges_have_a_limit(engine: AsyncEngine) -> None:
    """A refresh gets at most `limit` of the merges that wait for a user."""
    await store(engine, *(announcing(f"{old}z") for old in "abcde"))

    assert await waiting(engine, "z", limit=2) == ["a", "b"]


async def test_long_chain_is_followed_up_to_a_limit(engine: AsyncEngine) -> None:
    """Following a chain or circle of any length ends."""
    letters = [chr(0x100 + number) for number in range(3 * merge_rows.CHAIN_LIMIT)]
    pairs = [old + new for old, new in zip(letters, [*letters[1:], letters[0]], strict=True)]
    await store(engine, *(announcing(pair, f"msg_{number}") for number, pair in enumerate(pairs)))

    assert await today(engine, letters[0]) in letters


async def test_concurrent_merges_of_a_chain_see_each_other(engine: AsyncEngine) -> None:
    """If a→b and b→c are stored at the same time, a waits for c."""
    pairs = ["ab", "bc", "cd", "de"]

    await asyncio.gather(*(store(engine, announcing(pair)) for pair in pairs))

    assert await waiting(engine, "e") == ["a", "b", "c", "d"]


async def test_concurrent_refreshes_and_repeats_do_not_deadlock(engine: AsyncEngine) -> None:
    """The same merges are announced again while they are applied."""
    await store(engine, *(announcing(f"{old}z") for old in "abc"))

    async def apply() -> None:
        async with database.transaction(engine) as connection:
            found = await merge_rows.lock_waiting(connection, user("z"), limit=10)
            await merge_rows.settle(connection, "default", found, now=NOW)

    again = [
        store(engine, *(announcing(f"{old}z", f"msg_{old}_{turn}", at=NOW + turn * MINUTE) for old in "cba"))
        for turn in range(5)
    ]
    await asyncio.gather(*again, *(apply() for _ in range(5)))
    await apply()

    assert await waiting(engine, "z") == []
