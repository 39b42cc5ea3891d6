"""Merges of users as noted: with the webhook, once, and waiting for whoever the user is by now."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations

import pytest
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
    """The webhook that says: a is b now, for `ab`."""
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
    """Whose belongings this user's next refresh will move."""
    async with database.transaction(engine) as connection:
        return await merge_rows.lock_waiting(connection, user(user_id, app), limit=limit)


async def today(engine: AsyncEngine, user_id: str) -> str:
    """Who this user is by now."""
    async with database.transaction(engine) as connection:
        return (await merge_rows.survivors(connection, [user(user_id)]))[user(user_id)]


async def settle(engine: AsyncEngine, *old_ids: str) -> None:
    """A refresh has applied these."""
    async with database.transaction(engine) as connection:
        await merge_rows.settle(connection, "default", old_ids, now=NOW)


async def test_merge_is_noted_with_its_webhook(engine: AsyncEngine) -> None:
    """One transaction: the webhook, the merge, and the user that is due."""
    await store(engine, announcing("ab"))

    assert await stored.rows(engine, MERGES) == [
        {"app": "default", "old_user_id": "a", "new_user_id": "b", "survivor_id": "b", "applied_at": None}
    ]
    assert await stored.rows(engine, "SELECT kind, subject_id, due_at FROM sync_rows") == [
        {"kind": "user", "subject_id": "b", "due_at": NOW}
    ]
    assert await stored.count(engine, "webhooks") == 1


async def test_merge_of_a_batch_that_is_not_stored_is_not_noted(engine: AsyncEngine) -> None:
    """What is not acknowledged has not been heard."""
    async with engine.connect() as connection:
        await webhook_rows.store(connection, [announcing("ab")])
        await connection.rollback()

    assert await stored.count(engine, "user_merges") == 0


async def test_only_a_batch_with_merges_sends_more_than_one_statement(engine: AsyncEngine) -> None:
    """Receiving is as fast as it was."""
    ordinary = replace(announcing("ab"), merged_user_id=None)

    counts = []
    for webhooks in ([ordinary], [announcing("ab", "msg_2")]):
        with statements.noted(engine) as sent:
            await store(engine, *webhooks)
        counts.append(len(sent))

    assert counts == [1, 5]


async def test_apps_are_kept_apart(engine: AsyncEngine) -> None:
    """The same ids in another app are other users."""
    await store(engine, announcing("ab"), announcing("ac", app="eu"))

    assert await waiting(engine, "b") == ["a"]
    assert await waiting(engine, "c") == []
    assert await waiting(engine, "c", app="eu") == ["a"]
    assert await today(engine, "a") == "b"


@pytest.mark.parametrize("pairs", [*permutations(["ab", "bc", "cd"])])
async def test_chain_waits_for_its_end_in_any_order(engine: AsyncEngine, pairs: tuple[str, ...]) -> None:
    """Dots may have forgotten b and c already, so that only d can be refreshed."""
    for minute, pair in enumerate(pairs):
        await store(engine, announcing(pair, at=NOW + minute * MINUTE))

    assert [await waiting(engine, user_id) for user_id in "abcd"] == [[], [], [], ["a", "b", "c"]]
    due = await stored.rows(engine, "SELECT subject_id FROM sync_rows")
    assert {"subject_id": "d"} in due


async def test_chain_in_one_batch_waits_for_its_end(engine: AsyncEngine) -> None:
    """A batch has no order."""
    await store(engine, announcing("bc"), announcing("ab"), announcing("cd"))

    assert await waiting(engine, "d") == ["a", "b", "c"]
    assert {row["subject_id"] for row in await stored.rows(engine, "SELECT subject_id FROM sync_rows")} == {"d"}


async def test_late_merge_into_a_user_that_is_gone_waits_for_its_successor(engine: AsyncEngine) -> None:
    """B has become c, and that was applied, when the news comes that a had become b."""
    await store(engine, announcing("bc"))
    await settle(engine, "b")

    await store(engine, announcing("ab", at=NOW + MINUTE))

    assert await waiting(engine, "c") == ["a"]
    assert await stored.rows(engine, "SELECT subject_id FROM webhooks WHERE message_id = 'msg_ab'") == [
        {"subject_id": "c"}
    ]


async def test_circle_ends_with_the_latest_word(engine: AsyncEngine) -> None:
    """A became b, and b became a: all is a's, and nothing runs for ever."""
    await store(engine, announcing("ab"))
    await store(engine, announcing("ba", at=NOW + MINUTE))

    assert await waiting(engine, "a") == ["a", "b"]
    assert await waiting(engine, "b") == []
    assert [await today(engine, user_id) for user_id in "ab"] == ["a", "a"]


async def test_repeat_of_a_webhook_does_not_undo_what_came_since(engine: AsyncEngine) -> None:
    """Dots repeats for a day, and by hand for 90."""
    await store(engine, announcing("ab"))
    await store(engine, announcing("ac", at=NOW + MINUTE))
    await settle(engine, "a")

    await store(engine, announcing("ab", at=NOW + 2 * MINUTE))

    assert await today(engine, "a") == "c"
    assert await waiting(engine, "b") == []
    assert await waiting(engine, "c") == []


async def test_same_merge_in_another_webhook_is_applied_again(engine: AsyncEngine) -> None:
    """An organization's endpoint tells everything a second time; to move what has moved does no harm."""
    await store(engine, announcing("ab"))
    await settle(engine, "a")

    await store(engine, announcing("ab", "msg_again", at=NOW + MINUTE))

    assert await waiting(engine, "b") == ["a"]
    assert await stored.count(engine, "user_merges") == 1


async def test_latest_merge_of_a_user_counts(engine: AsyncEngine) -> None:
    """Whether both come in one batch, and in whatever order."""
    await store(engine, announcing("ac", at=NOW + MINUTE), announcing("ab"))
    await store(engine, announcing("ab", "msg_late", at=NOW))

    assert await today(engine, "a") == "c"


async def test_waiting_merges_come_a_few_at_a_time(engine: AsyncEngine) -> None:
    """However many users were merged into one."""
    await store(engine, *(announcing(f"{old}z") for old in "abcde"))

    assert await waiting(engine, "z", limit=2) == ["a", "b"]


async def test_long_chain_is_followed_only_so_far(engine: AsyncEngine) -> None:
    """A chain that no person has made ends somewhere, and a circle too."""
    letters = [chr(0x100 + number) for number in range(3 * merge_rows.CHAIN_LIMIT)]
    pairs = [old + new for old, new in zip(letters, [*letters[1:], letters[0]], strict=True)]
    await store(engine, *(announcing(pair, f"msg_{number}") for number, pair in enumerate(pairs)))

    assert await today(engine, letters[0]) in letters


async def test_processes_that_note_a_chain_at_once_do_not_miss_each_other(engine: AsyncEngine) -> None:
    """One notes a→b while another notes b→c: a waits for c."""
    pairs = ["ab", "bc", "cd", "de"]

    await asyncio.gather(*(store(engine, announcing(pair)) for pair in pairs))

    assert await waiting(engine, "e") == ["a", "b", "c", "d"]


async def test_refreshes_and_repeats_at_once_do_not_deadlock(engine: AsyncEngine) -> None:
    """While merges are applied, the same ones are announced again."""
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
