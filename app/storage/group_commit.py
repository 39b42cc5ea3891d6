"""Writes concurrent items together in one batch, and answers each one after the commit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, NoReturn, TypeVar

import structlog

from app.errors import DatabaseUnavailableError, GatewayError, OverloadedError

log = structlog.get_logger()

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Waiting(NamedTuple, Generic[Item, Result]):
    """An item in the queue; a tuple because there is one for every webhook."""

    item: Item
    size_bytes: int
    result: asyncio.Future[Result]


def _no_size(_item: object) -> int:
    return 0


class GroupCommit(Generic[Item, Result]):
    """A bounded queue and its one writer.

    While the writer commits a batch, the queue collects the next one. So batches grow with the load. Without load,
    each item is written alone and immediately, unless `gather_seconds` is set.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        name: str,
        waiting_limit: int,
        batch_limit: int,
        size_of: Callable[[Item], int] = _no_size,
        waiting_limit_bytes: int = 64 * 1024 * 1024,
        batch_limit_bytes: int = 16 * 1024 * 1024,
        gather_seconds: float = 0.0,
    ) -> None:
        """Store the function that writes a batch; `run` calls it.

        `write` owns its transaction. It returns one result per item, in their order, after the commit. `name` says
        in the log what the items are. `gather_seconds` is how long a batch waits for more items.
        """
        self._write = write
        self._name = name
        self._size_of = size_of
        self._waiting_limit = waiting_limit
        self._waiting_limit_bytes = waiting_limit_bytes
        self._batch_limit = batch_limit
        self._batch_limit_bytes = batch_limit_bytes
        self._gather_seconds = gather_seconds
        self._queue: list[_Waiting[Item, Result]] = []
        self._queue_bytes = 0
        self._has_items = asyncio.Event()

    async def submit(self, item: Item) -> Result:
        """Return the item's result after the commit of its batch. The caller may stop waiting.

        Raises OverloadedError (nothing was written), or the error of the batch (the item may have been written).
        """
        size = self._size_of(item)
        if len(self._queue) >= self._waiting_limit or self._queue_bytes + size > self._waiting_limit_bytes:
            raise OverloadedError
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(item, size, result))
        self._queue_bytes += size
        self._has_items.set()
        return await result

    async def run(self) -> NoReturn:
        """Write one batch after another until cancelled."""
        while True:
            await self._has_items.wait()
            if self._gather_seconds:
                await asyncio.sleep(self._gather_seconds)
            batch = self._next_batch()
            try:
                results = await self._write([waiting.item for waiting in batch])
                _answer(batch, results)
            except GatewayError as error:
                log.warning("batch not written", items=self._name, count=len(batch), error=error.code)
                _refuse(batch, error)
            except Exception:  # A bug in one batch must not stop the writer, or leave a caller waiting.
                log.exception("batch not written", items=self._name, count=len(batch))
                _refuse(batch, DatabaseUnavailableError())

    def _next_batch(self) -> list[_Waiting[Item, Result]]:
        """Take the oldest items out of the queue: at least one, and as many as the limits allow."""
        count = size = 0
        for waiting in self._queue[: self._batch_limit]:
            size += waiting.size_bytes
            if count and size > self._batch_limit_bytes:
                size -= waiting.size_bytes
                break
            count += 1
        batch, self._queue = self._queue[:count], self._queue[count:]
        self._queue_bytes -= size
        if not self._queue:
            self._has_items.clear()
        return batch


def _answer(batch: Sequence[_Waiting[Item, Result]], results: Sequence[Result]) -> None:
    for waiting, result in zip(batch, results, strict=True):
        if not waiting.result.done():  # The caller may have stopped waiting.
            waiting.result.set_result(result)


def _refuse(batch: Sequence[_Waiting[Item, Result]], error: GatewayError) -> None:
    for waiting in batch:
        if not waiting.result.done():
            waiting.result.set_exception(error)
