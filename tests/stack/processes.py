"""Simulator, apis and workers as the real commands, on free ports, always ended."""

import asyncio
import json
import os
import signal
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx

from devstack.child import Child, Command
from tests.stack import dots
from tests.stack.dots import Dots
from tests.stack.gateway import Gateway
from tests.stack.logs import Logs
from tests.stack.waiting import DEADLINE_SECONDS

PROGRAMS = Path(sys.executable).parent
ALL_SCOPES = "flows:read,flows:write,events:read,compliance:read,subscriptions:admin"
END_WITHIN = timedelta(seconds=10)


@dataclass(frozen=True, kw_only=True)
class Process:
    """One running command; `url` is where it listens, empty for a worker."""

    child: Child
    url: str = ""

    @property
    def port(self) -> str:
        """The port it listens on."""
        return self.url.rpartition(":")[2]

    async def kill(self) -> None:
        """End it as a power cut would."""
        self.child.kill()
        await self.child.process.wait()

    def ask_to_end(self) -> None:
        """Send SIGTERM, as an orchestrator does."""
        os.kill(self.child.process.pid, signal.SIGTERM)

    async def exit_status(self, *, within: float = DEADLINE_SECONDS) -> int:
        """How it ended, once it has."""
        async with asyncio.timeout(within):
            return await self.child.process.wait()


class Stack:
    """The processes of one test and what they have said."""

    def __init__(self, database_url: str, client: httpx.AsyncClient, settings: dict[str, str]) -> None:
        """Take the database, and settings beyond those that lead to it and to the simulator."""
        self.database_url = database_url
        self.client = client
        self.logs = Logs()
        self.dots = Dots("", client)
        self.key = ""
        self.simulators: list[Process] = []
        self.apis: list[Process] = []
        self.workers: list[Process] = []
        self._settings = settings
        self._children: list[Child] = []

    @property
    def gateways(self) -> list[Gateway]:
        """A caller of each api, all with the same key."""
        return [Gateway(api.url, self.client, self.key) for api in self.apis]

    @property
    def gateway(self) -> Gateway:
        """A caller of the first api."""
        return self.gateways[0]

    @property
    def children(self) -> list[Child]:
        """Every process that was started and not run to its end, in that order."""
        return list(self._children)

    def environment(self) -> dict[str, str]:
        """The settings that the gateway's commands run with."""
        return {
            "DATABASE_URL": self.database_url,
            "DOTS_API_URL": f"{self.dots.url}/api",
            "DOTS_CLIENT_ID": dots.CLIENT_ID,
            "DOTS_API_KEY": dots.API_KEY,
            "DOTS_WEBHOOK_SECRETS": dots.WEBHOOK_SECRET,
            "ENCRYPTION_KEYS": f"tests:{b64encode(bytes(32)).decode()}",
            "SUBSCRIBERS_ALLOWED": "127.0.0.0/8:1-65535",
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "debug",
            **self._settings,
        }

    async def start_simulator(self, *, name: str = "simulator", port: str = "0") -> Process:
        """Start a simulator, which `dots` speaks to from now on; webhooks go nowhere yet."""
        arguments = ("--port", port, "--webhook-secret", dots.WEBHOOK_SECRET)
        child, line = await self._start(name, "dots-simulator", *arguments, ready="listening on ")
        process = Process(child=child, url=line.split()[-1])
        self.dots = Dots(process.url, self.client)
        self.simulators.append(process)
        return process

    async def start_api(self, *options: str, name: str = "api", port: str = "0", **settings: str) -> Process:
        """Start an api; each name is used once, because readiness is heard in the log under it."""
        arguments = ("api", "--port", port, *options)
        child, line = await self._start(name, "dots-gateway", *arguments, ready='"listening"', settings=settings)
        process = Process(child=child, url=json.loads(line)["url"])
        self.apis.append(process)
        return process

    async def start_worker(self, *, name: str = "worker", **settings: str) -> Process:
        """Start a worker."""
        child, _ = await self._start(name, "dots-gateway", "worker", ready='"worker started"', settings=settings)
        process = Process(child=child)
        self.workers.append(process)
        return process

    async def start_python(self, code: str, *, name: str, ready: str, **settings: str) -> Process:
        """Run some code with the product in reach, as the main module; `ready` is in the line that says it is up."""
        child, line = await self._start(name, sys.executable, "-c", code, ready=ready, settings=settings)
        return Process(child=child, url=json.loads(line).get("url", ""))

    async def create_key(self, *, name: str = "tests", scopes: str = ALL_SCOPES) -> str:
        """An API key from the command that makes them; the first one becomes the stack's own."""
        arguments = ("keys", "create", "--name", name, "--scopes", scopes, "--json")
        status, output, errors = await self.run(*arguments)
        assert status == 0, errors
        key: str = json.loads(output)["key"]
        self.key = self.key or key
        return key

    async def run(self, *arguments: str) -> tuple[int | None, str, str]:
        """Run a gateway command to its end; its exit status, output and errors."""
        process = await asyncio.create_subprocess_exec(
            PROGRAMS / "dots-gateway",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | self.environment(),
        )
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode, output.decode(), errors.decode()

    async def end(self) -> None:
        """End every process that still runs, the last first."""
        for child in reversed(self._children):
            await child.end(within=END_WITHIN)

    def last_words(self) -> str:
        """How every process is, and what it said last: for whoever reads why a test failed."""
        return "\n".join(
            f"{child.name} (exit status {child.process.returncode}) said last:\n{child.last_words()}"
            for child in self._children
        )

    async def _start(
        self, name: str, program: str, *arguments: str, ready: str, settings: dict[str, str] | None = None
    ) -> tuple[Child, str]:
        """Start a child; it, and the line that says it is ready. ChildEndedError when it ends instead."""
        environment = self.environment() | (settings or {})
        command = Command(name=name, arguments=(str(PROGRAMS / program), *arguments), environment=environment)
        child = await Child.start(command, self.logs)
        self._children.append(child)
        hearing = asyncio.create_task(self.logs.hear(name, ready))
        ending = asyncio.create_task(child.ended())
        try:
            await asyncio.wait([hearing, ending], return_when=asyncio.FIRST_COMPLETED)
            if not hearing.done():
                raise ending.result()
            return child, hearing.result()
        finally:
            for task in (hearing, ending):
                task.cancel()
            await asyncio.gather(hearing, ending, return_exceptions=True)


@asynccontextmanager
async def empty_stack(database_url: str, **settings: str) -> AsyncIterator[Stack]:
    """A stack without any process yet; whatever is started is ended afterwards."""
    async with AsyncExitStack() as resources:
        # A connection a call: one that is kept may be closed by httpcore 1.0.9 just as it is used again.
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=0)
        client = await resources.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=60, limits=limits))
        stack = Stack(database_url, client, settings)
        resources.push_async_callback(stack.end)
        try:
            yield stack
        except Exception as error:
            error.add_note(stack.last_words())
            raise


@asynccontextmanager
async def running_stack(database_url: str, *, apis: int = 1, workers: int = 1, **settings: str) -> AsyncIterator[Stack]:
    """A simulator, apis, workers and an API key, all ready; every webhook goes to each api."""
    async with empty_stack(database_url, **settings) as stack:
        await stack.start_simulator()
        async with asyncio.TaskGroup() as starting:
            starting.create_task(stack.create_key())
            for number in range(1, apis + 1):
                starting.create_task(stack.start_api(name=f"api-{number}"))
            for number in range(1, workers + 1):
                starting.create_task(stack.start_worker(name=f"worker-{number}"))
        await stack.dots.send_webhooks_to(*(api.url for api in stack.apis))
        yield stack
