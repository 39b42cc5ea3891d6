"""Runs the simulator, apis and workers with the real commands on free ports, and stops them after the test."""

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
    """One running command. `url` is its address; empty for a worker."""

    child: Child
    url: str = ""

    @property
    def port(self) -> str:
        """The port it listens on."""
        return self.url.rpartition(":")[2]

    async def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        self.child.kill()
        await self.child.process.wait()

    def ask_to_end(self) -> None:
        """Send SIGTERM, like an orchestrator."""
        os.kill(self.child.process.pid, signal.SIGTERM)

    async def exit_status(self, *, within: float = DEADLINE_SECONDS) -> int:
        """Wait for the end; the exit status."""
        async with asyncio.timeout(within):
            return await self.child.process.wait()


class Stack:
    """The processes of one test and their output."""

    def __init__(self, database_url: str, client: httpx.AsyncClient, settings: dict[str, str]) -> None:
        """Use this database and these additional settings."""
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
        """A client of each api, with the stack's key."""
        return [Gateway(api.url, self.client, self.key) for api in self.apis]

    @property
    def gateway(self) -> Gateway:
        """A client of the first api."""
        return self.gateways[0]

    @property
    def children(self) -> list[Child]:
        """All long-running processes in the order of their start."""
        return list(self._children)

    def environment(self) -> dict[str, str]:
        """The environment of the gateway's commands."""
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
        """Start a simulator and make `dots` its client. It has no webhook endpoint yet."""
        arguments = ("--port", port, "--webhook-secret", dots.WEBHOOK_SECRET)
        child, line = await self._start(name, "dots-simulator", *arguments, ready="listening on ")
        process = Process(child=child, url=line.split()[-1])
        self.dots = Dots(process.url, self.client)
        self.simulators.append(process)
        return process

    async def start_api(self, *options: str, name: str = "api", port: str = "0", **settings: str) -> Process:
        """Start an api. Each name must be unique, because its log lines tell when it is ready."""
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
        """Run Python code as the main module. A line that contains `ready` tells that it has started."""
        child, line = await self._start(name, sys.executable, "-c", code, ready=ready, settings=settings)
        return Process(child=child, url=json.loads(line).get("url", ""))

    async def create_key(self, *, name: str = "tests", scopes: str = ALL_SCOPES) -> str:
        """Create an API key with the command. The first key becomes the stack's key."""
        arguments = ("keys", "create", "--name", name, "--scopes", scopes, "--json")
        status, output, errors = await self.run(*arguments)
        assert status == 0, errors
        key: str = json.loads(output)["key"]
        self.key = self.key or key
        return key

    async def run(self, *arguments: str) -> tuple[int | None, str, str]:
        """Run a gateway command to its end; its exit status, standard output and standard error."""
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
        """Stop all running processes, the last one first."""
        for child in reversed(self._children):
            await child.end(within=END_WITHIN)

    def last_words(self) -> str:
        """The exit status and last output of every process, for the report of a failed test."""
        return "\n".join(
            f"{child.name} (exit status {child.process.returncode}), last output:\n{child.last_words()}"
            for child in self._children
        )

    async def _start(
        self, name: str, program: str, *arguments: str, ready: str, settings: dict[str, str] | None = None
    ) -> tuple[Child, str]:
        """Start a child; the child and the line that contains `ready`. ChildEndedError if it ends before."""
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
    """A stack without processes. All processes that it starts stop at the end of the block."""
    async with AsyncExitStack() as resources:
        # One connection per call: httpcore 1.0.9 may close a kept connection while a call uses it.
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
    """A stack with a simulator, apis, workers and an API key. Every webhook goes to each api."""
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
