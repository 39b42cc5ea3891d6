"""The addresses of a name, from the machine's resolver, without letting one slow name hold up the others.

The event loop's own `getaddrinfo` has a handful of threads for everything; a name server that does not answer
for one subscriber would keep them all, and with them the other subscribers and the database.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence
from threading import Thread

Resolver = Callable[[str], Awaitable[Sequence[str]]]
"""From a name to the texts of its addresses, preferred first; raises OSError."""


def look_up(host: str) -> tuple[str, ...]:
    """Ask the machine's resolver, blocking; raises OSError, or UnicodeError for what can be no name."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(str(place[0]) for *_, place in found)


class SystemResolver:
    """The machine's resolver: a thread for each name being looked up, shared by all who ask for it meanwhile."""

    def __init__(self, look_up: Callable[[str], tuple[str, ...]] = look_up) -> None:
        """Look names up with `look_up`, which may block."""
        self._look_up = look_up
        self._running: dict[str, asyncio.Future[tuple[str, ...]]] = {}

    async def __call__(self, host: str) -> Sequence[str]:
        """The addresses of the name now; raises OSError."""
        lookup = self._running.get(host) or self._start(host)
        # Whoever gives up leaves the others waiting, and the thread cannot be stopped anyway.
        return await asyncio.shield(lookup)

    def _start(self, host: str) -> asyncio.Future[tuple[str, ...]]:
        loop = asyncio.get_running_loop()
        lookup: asyncio.Future[tuple[str, ...]] = loop.create_future()

        def end(addresses: tuple[str, ...], error: Exception | None) -> None:
            del self._running[host]
            if error is None:
                lookup.set_result(addresses)
            else:
                lookup.set_exception(error)
                lookup.exception()  # Seen, even if nobody waits any more.

        def run() -> None:
            addresses: tuple[str, ...] = ()
            error: Exception | None = None
            try:
                addresses = self._look_up(host)
            except (OSError, UnicodeError) as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # The loop has ended before.
                loop.call_soon_threadsafe(end, addresses, error)

        self._running[host] = lookup
        # A daemon: a name server that does not answer must not hold up the end of the process either.
        Thread(target=run, name="look-up", daemon=True).start()
        return lookup
