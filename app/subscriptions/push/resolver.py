"""Resolve names with the system's resolver, in separate threads.

`loop.getaddrinfo` is unsuitable, because uvloop runs all lookups of a process in two threads. Measured with a silent
name server: two hanging lookups delayed `localhost` by 10 seconds, and so the database and Dots.
"""

import errno
import socket
from asyncio import wrap_future
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from threading import Thread

# A lookup cannot be stopped. It outlives a delivery that timed out, so lookups can outnumber deliveries.
MAX_LOOKUPS = 256

Addresses = tuple[str, ...]
Resolver = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the addresses of a name as text, preferred first. Raises OSError or UnicodeError."""


def look_up(host: str) -> Addresses:
    """Resolve with the system's resolver, blocking. Raises OSError, or UnicodeError for an invalid name."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(str(address[0]) for *_, address in found)


class SystemResolver:
    """The system's resolver with one thread per name. Concurrent callers of one name share its lookup."""

    def __init__(self, look_up: Callable[[str], Addresses] = look_up) -> None:
        """Resolve with `look_up`, which may block."""
        self._look_up = look_up
        self._running: dict[str, Future[Addresses]] = {}

    async def __call__(self, host: str) -> Addresses:
        """Return the current addresses of the name. Raises OSError, also if too many lookups hang."""
        return await wrap_future(self._running.get(host) or self._start(host))

    def _start(self, host: str) -> Future[Addresses]:
        if len(self._running) >= MAX_LOOKUPS:
            raise OSError(errno.EBUSY, "too many lookups are running")
        lookup: Future[Addresses] = Future()
        lookup.set_running_or_notify_cancel()  # So a caller that is cancelled does not cancel it for others.
        lookup.add_done_callback(lambda _: self._running.pop(host))
        self._running[host] = lookup
        # A daemon thread, so a silent name server does not delay the end of the process.
        Thread(target=self._run, args=(host, lookup), name="look-up", daemon=True).start()
        return lookup

    def _run(self, host: str, lookup: Future[Addresses]) -> None:
        try:
            found = self._look_up(host)
        except Exception as error:  # noqa: BLE001  # The awaiting caller raises it.
            lookup.set_exception(error)
        else:
            lookup.set_result(found)
