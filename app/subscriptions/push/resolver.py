"""Looks up the addresses of a name with the machine's resolver, in threads of its own.

`loop.getaddrinfo` does not do: uvloop gives all lookups of the process two threads. Measured with a silent name server,
two hanging names kept even `localhost` waiting for 10 seconds, and with it the database and Dots.
"""

import errno
import socket
from asyncio import wrap_future
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from threading import Thread

# A lookup cannot be stopped and outlasts the delivery that gave it up, so more names may hang than deliveries run.
MAX_LOOKUPS = 256

Addresses = tuple[str, ...]
Resolver = Callable[[str], Awaitable[Sequence[str]]]
"""From a name to the texts of its addresses, preferred first; raises OSError or UnicodeError."""


def look_up(host: str) -> Addresses:
    """Ask the machine's resolver and block meanwhile; raises OSError, or UnicodeError for an impossible name."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(str(place[0]) for *_, place in found)


class SystemResolver:
    """The machine's resolver, with one thread for each name; callers who ask for the same name share its lookup."""

    def __init__(self, look_up: Callable[[str], Addresses] = look_up) -> None:
        """Look names up with `look_up`, which may block."""
        self._look_up = look_up
        self._running: dict[str, Future[Addresses]] = {}

    async def __call__(self, host: str) -> Addresses:
        """Return the addresses that the name has now; raises OSError, also when too many lookups hang."""
        return await wrap_future(self._running.get(host) or self._start(host))

    def _start(self, host: str) -> Future[Addresses]:
        if len(self._running) >= MAX_LOOKUPS:
            raise OSError(errno.EBUSY, "too many lookups are running")
        lookup: Future[Addresses] = Future()
        lookup.set_running_or_notify_cancel()  # A caller that gives up can no longer cancel it for the others.
        lookup.add_done_callback(lambda _: self._running.pop(host))
        self._running[host] = lookup
        # A daemon thread: a silent name server must not delay the end of the process.
        Thread(target=self._run, args=(host, lookup), name="look-up", daemon=True).start()
        return lookup

    def _run(self, host: str, lookup: Future[Addresses]) -> None:
        try:
            found = self._look_up(host)
        except Exception as error:  # noqa: BLE001  # It is raised where the lookup is awaited.
            lookup.set_exception(error)
        else:
            lookup.set_result(found)
