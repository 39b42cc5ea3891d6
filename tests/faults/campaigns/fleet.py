"""The processes of one campaign: simulator, apis and workers. Each may be killed and started again."""

import asyncio
import base64
import json
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx

from app.access import manage_keys
from app.storage import database
from devstack import ports
from tests.faults.campaigns import addresses
from tests.faults.campaigns.addresses import Addresses
from tests.faults.campaigns.forked import Forked
from tests.faults.campaigns.history import Broke, History
from tests.stack import dots
from tests.stack.dots import Dots

ENTRY = "tests.faults.campaigns.entry"
READY_SECONDS = 30.0
END_WITHIN_SECONDS = 10.0
_PASSING = ("DatabaseUnavailableError", "DatabaseReadOnlyError", "BrokerUnavailableError")
_READY_WORDS = {"api": '"listening"', "worker": '"worker started"', "simulator": "listening on "}


@dataclass(kw_only=True)
class Member:
    """One process of `entry`: how to start it, and the one that runs now."""

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str]
    forked: Forked | None = None
    is_ready: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def process(self) -> Forked:
        """The process, running or ended."""
        if self.forked is None:
            raise RuntimeError(f"{self.name} was never started")
        return self.forked

    async def kill(self) -> None:
        """Kill it, as a power cut would."""
        self.process.signal(signal.SIGKILL)
        await self.process.wait()

    def stop(self) -> None:
        """Suspend it with SIGSTOP."""
        self.process.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Resume it with SIGCONT."""
        self.process.signal(signal.SIGCONT)

    async def exit_status(self, *, within: float) -> int:
        """Its exit status, once it has ended."""
        async with asyncio.timeout(within):
            return await self.process.wait()


class Fleet:
    """All processes of a campaign, and what the checker needs to know about them."""

    def __init__(self, directory: Path, history: History, client: httpx.AsyncClient, settings: dict[str, str]) -> None:
        self.client = client
        self.history = history
        self.dots = Dots("", client)
        self.key = ""
        self.simulator_port = ports.free_port()
        self.api_ports: dict[str, int] = {}
        self.members: dict[str, Member] = {}
        self.settings = settings
        self._directory = directory
        self._awaited: list[tuple[str, asyncio.Event]] = []

    @property
    def api_urls(self) -> list[str]:
        """Where the apis listen, before and after every restart."""
        return [f"http://127.0.0.1:{port}" for port in self.api_ports.values()]

    async def start_simulator(self) -> None:
        """Start the simulator. It sends no webhooks: the campaign does."""
        port = str(self.simulator_port)
        arguments = ("simulator", "--port", port, "--webhook-secret", dots.WEBHOOK_SECRET)
        await self.start(Member(name="simulator", arguments=arguments, environment=self.settings))
        self.dots = Dots(f"http://127.0.0.1:{port}", self.client)
        await self.dots.turn(webhooks={"paused": True})
        await self.dots.send_webhooks_to("http://127.0.0.1:9")

    async def start_api(self, name: str, *, port: int | None = None, **settings: str) -> Member:
        """Start an api. A name that was used before keeps its port. With a `port` the api is not listed."""
        port = port or self.api_ports.setdefault(name, ports.free_port())
        arguments = ("gateway", "api", "--port", str(port))
        return await self.start(Member(name=name, arguments=arguments, environment=self.settings | settings))

    async def start_worker(self, name: str, **settings: str) -> Member:
        """Start a worker."""
        return await self.start(
            Member(name=name, arguments=("gateway", "worker"), environment=self.settings | settings)
        )

    async def start(self, member: Member) -> Member:
        """Start a process, or start it again, and return when it is ready."""
        member.is_ready.clear()
        self.members[member.name] = member
        hear = partial(self._hear, member)
        member.forked = await Forked.start(ENTRY, member.arguments, member.environment, hear)
        ready = asyncio.create_task(member.is_ready.wait())
        ended = asyncio.create_task(member.forked.wait())
        try:
            async with asyncio.timeout(READY_SECONDS):
                await asyncio.wait([ready, ended], return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                last = member.forked.last_words()
                raise RuntimeError(f"{member.name} ended with status {ended.result()}; it said last:\n{last}")
        finally:
            for task in (ready, ended):
                task.cancel()
            await asyncio.gather(ready, ended, return_exceptions=True)
        return member

    async def restart(self, name: str) -> None:
        """Kill a process and start it again as it was."""
        member = self.members[name]
        await member.kill()
        await self.start(member)

    async def replace(self, name: str, **settings: str) -> None:
        """Stop a process gracefully and start it with other settings, as a deployment does."""
        member = self.members[name]
        await member.process.end(within=END_WITHIN_SECONDS)
        member.environment |= settings
        await self.start(member)

    async def hear(self, *words: str, within: float = READY_SECONDS) -> None:
        """Return when a process next logs a line with one of these words."""
        heard = asyncio.Event()
        self._awaited += [(each, heard) for each in words]
        async with asyncio.timeout(within):
            await heard.wait()

    async def create_key(self, database_url: str) -> None:
        """Create the API key that the campaign uses."""
        engine = database.create_engine(database_url, pool_size=1)
        try:
            new = await manage_keys.create_key(
                engine,
                name="campaign",
                scopes=("flows:read", "flows:write", "events:read", "compliance:read", "subscriptions:admin"),
                now=datetime.now(UTC),
                random_bytes=secrets.token_bytes,
            )
        finally:
            await engine.dispose()
        self.key = new.key

    def tell_checker(self, database_url: str, broker_url: str | None) -> None:
        """Write the addresses for the checker."""
        found = Addresses(
            database_url=database_url,
            api_urls=self.api_urls,
            simulator_url=self.dots.url,
            key=self.key,
            broker_url=broker_url,
        )
        addresses.write(self._directory, found)

    async def end(self) -> None:
        """Stop every process that still runs, the latest first."""
        for member in reversed(self.members.values()):
            if member.forked is not None:
                member.go_on()
                await member.forked.end(within=END_WITHIN_SECONDS)

    def _hear(self, member: Member, line: str) -> None:
        if not member.is_ready.is_set() and any(words in line for words in _READY_WORDS.values()):
            member.is_ready.set()
        for words, heard in self._awaited:
            if words in line:
                heard.set()
        self._awaited = [(words, heard) for words, heard in self._awaited if not heard.is_set()]
        if is_unexpected(line):
            self.history.note(Broke(line=f"{member.name}: {line}"))
        with (self._directory / f"{member.name}.log").open("a") as file:
            file.write(f"{line}\n")


def is_unexpected(line: str) -> bool:
    """Whether a log line reports an error other than an unavailable Dots, database or broker."""
    if not line.startswith("{"):
        return "Traceback" in line
    try:
        said = json.loads(line)
    except ValueError:
        return False
    what = said.get("event", "")
    if what == "pass failed":
        return said.get("error") not in _PASSING
    if what in (
        "refresh failed unexpectedly",
        "request failed",
        "delivery failed",
        "subscription held: its secrets cannot be decrypted",
    ):
        return True
    return what == "batch not written" and "exception" in said


@asynccontextmanager
async def assembled(directory: Path, database_url: str, settings: dict[str, str]) -> AsyncIterator[Fleet]:
    """A fleet with only its simulator. Stops all processes afterwards."""
    async with AsyncExitStack() as resources:
        history = History(directory)
        resources.callback(history.close)
        # Never closed for their age: httpcore 1.0.9 may do so with one it has just given to a call.
        limits = httpx.Limits(max_connections=200, keepalive_expiry=None)
        client = await resources.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=40, limits=limits))
        fleet = Fleet(directory, history, client, settings)
        resources.push_async_callback(fleet.end)
        await fleet.start_simulator()
        fleet.settings = {
            "DATABASE_URL": database_url,
            "DOTS_API_URL": f"{fleet.dots.url}/api",
            "DOTS_CLIENT_ID": dots.CLIENT_ID,
            "DOTS_API_KEY": dots.API_KEY,
            "DOTS_WEBHOOK_SECRETS": dots.WEBHOOK_SECRET,
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "info",
            # Campaigns do not test the limit of calls to Dots. Those that do override it.
            "DOTS_CALLS_PER_SECOND": "10000",
            "DOTS_CALLS_BURST": "100000",
            "ENCRYPTION_KEYS": f"campaign:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            "SUBSCRIBERS_ALLOWED": "127.0.0.0/8:1-65535",
            # A delivery's lease is three times as long, and its worker may be killed.
            "DELIVERY_TIMEOUT_SECONDS": "2",
            **settings,
        }
        yield fleet
