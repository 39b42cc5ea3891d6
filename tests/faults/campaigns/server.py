"""A durable Postgres of one campaign, which may be killed, behind a fixed address."""

import asyncio
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from app.storage import migrations
from devstack import embedded_postgres
from devstack.embedded_postgres import EmbeddedPostgres
from tests.faults.campaigns import proxy
from tests.faults.campaigns.proxy import Proxy

_DEADLOCK = re.compile(r"deadlock detected.*?DETAIL:(.*?)HINT:", re.DOTALL)


class Server:
    """Postgres and the proxy in front of it. Each start uses another port."""

    def __init__(self, directory: Path, fault_proxy: Proxy, thread: ThreadPoolExecutor, *, durable: bool) -> None:
        self.fault_proxy = fault_proxy
        self._durable = durable
        self._directory = directory
        # Postgres stops when the thread that started it ends, so this thread lasts as long as the campaign.
        self._thread = thread
        self._running: EmbeddedPostgres | None = None
        self._said_before = ""

    @property
    def direct_url(self) -> str:
        """Its URL without the proxy, for the checker."""
        if self._running is None:
            raise RuntimeError("Postgres is not running")
        return self._running.url

    @property
    def url(self) -> str:
        """Its URL through the proxy, the same after every restart."""
        return self.url_through(self.fault_proxy)

    def url_through(self, fault_proxy: Proxy) -> str:
        """Its URL through some proxy that leads to it."""
        parts = urlsplit(self.direct_url)
        return parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{fault_proxy.port}").geturl()

    @property
    def deadlocks(self) -> list[str]:
        """The log of each deadlock: which process waited for which, and their statements."""
        return [" ".join(details.split()) for details in _DEADLOCK.findall(self._said_before + self._said())]

    async def start(self) -> None:
        """Start it on its data, and point the proxy to it."""
        self._said_before += self._said()
        loop = asyncio.get_running_loop()
        start = partial(embedded_postgres.start, self._directory, durable=self._durable)
        self._running = await loop.run_in_executor(self._thread, start)
        self.fault_proxy.target = urlsplit(self._running.url).port or 0

    async def kill(self) -> None:
        """End it with SIGKILL. What it had not written is lost."""
        if self._running is not None:
            self._running.process.kill()
            await asyncio.to_thread(self._running.process.wait)

    async def stop(self) -> None:
        """Stop it gracefully."""
        if self._running is not None:
            await asyncio.to_thread(embedded_postgres.stop, self._running)

    def _said(self) -> str:
        """Its log since the last start."""
        log = self._directory / "server.log"
        return log.read_text() if log.exists() else ""


@asynccontextmanager
async def running(directory: Path, fault_proxy: Proxy | None = None, *, durable: bool = True) -> AsyncIterator[Server]:
    """A migrated server behind a proxy, for an `async with` block. Not `durable` if it is never killed."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        async with proxy.listening(fault_proxy or Proxy(0)) as listening:
            server = Server(directory / "postgres", listening, thread, durable=durable)
            await server.start()
            try:
                await migrations.upgrade(server.direct_url)
                yield server
            finally:
                await server.stop()
