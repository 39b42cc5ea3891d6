"""A primary and its synchronous standby behind one address. The standby can take the primary's place."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from app.storage import migrations
from devstack import embedded_postgres
from devstack.embedded_postgres import EmbeddedPostgres
from tests.faults.campaigns import proxy
from tests.faults.campaigns.proxy import Proxy
from tests.faults.campaigns.server import Server
from tests.stack import standby


class ReplicatedServer(Server):
    """Two servers. The standby has all that the primary acknowledged, except while it is being rebuilt."""

    def __init__(self, directory: Path, fault_proxy: Proxy, thread: ThreadPoolExecutor) -> None:
        super().__init__(directory / "postgres-1", fault_proxy, thread, durable=True)
        self._spare_directory = directory / "postgres-2"
        self._standby: EmbeddedPostgres | None = None

    async def start(self) -> None:
        """Start both."""
        await super().start()
        await self.rebuild()

    async def fail_over(self) -> None:
        """End the primary with SIGKILL, promote the standby and change the address."""
        await self.kill()
        await self._take_over()

    async def hand_over(self) -> None:
        """Make the primary read-only, promote the standby and change the address. The old primary keeps running."""
        await standby.fence(self._primary)
        await self._take_over()

    async def rebuild(self) -> None:
        """Make the former primary a standby of the new one. Returns when commits wait for it again."""
        former, self._standby = self._standby, None
        if former is not None:
            await asyncio.to_thread(embedded_postgres.stop, former)
        loop = asyncio.get_running_loop()
        self._standby = await loop.run_in_executor(
            self._thread, standby.start_standby, self._primary, self._spare_directory
        )
        await standby.require_standby(self._primary)

    async def stop(self) -> None:
        """Stop both gracefully, the standby last: the primary waits for it."""
        await super().stop()
        if self._standby is not None:
            await asyncio.to_thread(embedded_postgres.stop, self._standby)

    @property
    def _primary(self) -> EmbeddedPostgres:
        if self._running is None:
            raise RuntimeError("Postgres is not running")
        return self._running

    async def _take_over(self) -> None:
        if self._standby is None:
            raise RuntimeError("there is no standby")
        self._said_before += self._said()
        await asyncio.to_thread(standby.promote, self._standby)
        self._running, self._standby = self._standby, self._running
        self._directory, self._spare_directory = self._spare_directory, self._directory
        self.fault_proxy.target = urlsplit(self.direct_url).port or 0


@asynccontextmanager
async def running(directory: Path, fault_proxy: Proxy | None = None) -> AsyncIterator[ReplicatedServer]:
    """A migrated pair behind a proxy, for the length of an `async with` block."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        async with proxy.listening(fault_proxy or Proxy(0)) as listening:
            server = ReplicatedServer(directory, listening, thread)
            try:
                await server.start()
                await migrations.upgrade(server.direct_url)
                yield server
            finally:
                await server.stop()
