import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest

from app.errors import DatabaseReadOnlyError, DatabaseUnavailableError, OverloadedError
from app.storage.group_commit import GroupCommit

DEADLINE_SECONDS = 10


class Writer:
    """Keeps the batches that it gets, and doubles each item. It commits nothing while the gate is closed."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.has_begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def write(self, items: Sequence[int]) -> Sequence[int]:
        """Write a batch. The items 13 and 14 are poisoned."""
        self.batches.append(list(items))
        self.has_begun.set()
        await self.gate.wait()
        if 13 in items:
            raise ValueError("a bug")
        if 14 in items:
            raise DatabaseReadOnlyError
        return [2 * item for item in items]


@contextlib.asynccontextmanager
async def running(group: GroupCommit[int, int]) -> AsyncIterator[None]:
    """Let the writer of the group run until the end of the block."""
    task = asyncio.create_task(group.run())
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def group_of(writer: Writer, *, waiting_limit: int = 100, batch_limit: int = 100) -> GroupCommit[int, int]:
    """A group commit in which each item takes as many bytes as its value, with 100 bytes per batch and 200 waiting."""
    return GroupCommit(
        writer.write,
        name="numbers",
        size_of=lambda item: item,
        waiting_limit=waiting_limit,
        waiting_limit_bytes=200,
        batch_limit=batch_limit,
        batch_limit_bytes=100,
    )


async def submit(group: GroupCommit[int, int], *items: int) -> list[int | BaseException]:
    """Submit the items at the same moment, and return what each submission returned or raised."""
    return await asyncio.gather(*(group.submit(item) for item in items), return_exceptions=True)


async def test_items_in_flight_share_one_batch_and_get_their_own_results() -> None:
    """Items submitted together are written together, and each caller gets its own result."""
    writer = Writer()
    group = group_of(writer)

    async with running(group):
        results = await submit(group, 1, 2, 3)

    assert results == [2, 4, 6]
    assert writer.batches == [[1, 2, 3]]


async def test_the_next_batch_gathers_during_a_commit() -> None:
    """Items that arrive during a commit wait for it, and then share the next batch."""
    writer = Writer()
    group = group_of(writer)
    writer.gate.clear()

    async with running(group):
        first = asyncio.create_task(submit(group, 1))
        await writer.has_begun.wait()
        later = asyncio.create_task(submit(group, 2, 3))
        await asyncio.sleep(0)
        was_answered = first.done()
        writer.gate.set()
        await asyncio.gather(first, later)

    assert not was_answered
    assert writer.batches == [[1], [2, 3]]


async def test_a_batch_is_bounded_by_count_and_by_bytes() -> None:
    """A batch takes at most `batch_limit` items and `batch_limit_bytes`, but always one item."""
    writer = Writer()
    group = group_of(writer, batch_limit=2)

    async with running(group):
        await submit(group, 1, 2, 3, 60, 50)
        await submit(group, 150, 1)

    assert writer.batches == [[1, 2], [3, 60], [50], [150], [1]]


@pytest.mark.parametrize(("waiting_limit", "items"), [(2, (1, 2, 3)), (100, (100, 90, 11))])
async def test_a_full_queue_refuses_at_once(waiting_limit: int, items: tuple[int, ...]) -> None:
    """Items that exceed the queue are refused without waiting. The others are written."""
    writer = Writer()
    group = group_of(writer, waiting_limit=waiting_limit)

    async with running(group):
        results = await submit(group, *items)
        room_again = await group.submit(1)

    assert results[:2] == [2 * items[0], 2 * items[1]]
    assert isinstance(results[2], OverloadedError)
    assert room_again == 2


@pytest.mark.parametrize(("poison", "error"), [(13, DatabaseUnavailableError), (14, DatabaseReadOnlyError)])
async def test_a_failed_batch_is_answered_and_the_writer_goes_on(poison: int, error: type[Exception]) -> None:
    """Every caller in the batch gets the error, and the next batch is written. A bug looks like an outage."""
    writer = Writer()
    group = group_of(writer)

    async with running(group):
        failed = await submit(group, 1, poison)
        after = await group.submit(2)

    assert [type(each) for each in failed] == [error, error]
    assert after == 4


async def test_a_caller_may_stop_waiting() -> None:
    """The item of a cancelled caller is still written, and the others get their results."""
    writer = Writer()
    group = group_of(writer)
    writer.gate.clear()

    async with running(group):
        gone = asyncio.create_task(group.submit(1))
        stays = asyncio.create_task(group.submit(2))
        await writer.has_begun.wait()
        gone.cancel()
        writer.gate.set()
        result = await stays

    assert gone.cancelled()
    assert result == 4
    assert writer.batches == [[1, 2]]
