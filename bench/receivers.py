"""The receivers that `make bench` compares, each started as one process."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.databases import NotComparableError

START_WITHIN_SECONDS = 30.0
STOP_WITHIN_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """The commands that prepare and start one receiver. `{port}` in `serve` is replaced by the port."""

    name: str
    table: str
    prepare: Sequence[str] | None
    serve: Sequence[str]
    environment: Mapping[str, str]

    @property
    def database_url(self) -> str:
        """The URL of its database."""
        return self.environment["DATABASE_URL"]


def plain_receiver(*, database_url: str, secret: str) -> Receiver:
    """Describe the baseline; see `plain_receiver.py`."""
    serve = ["-m", "uvicorn", "--factory", "bench.plain_receiver:create_app", "--host", "127.0.0.1"]
    return Receiver(
        name="plain receiver",
        table="plain_webhooks",
        prepare=None,
        serve=[sys.executable, *serve, "--port", "{port}", "--no-access-log", "--log-level", "warning"],
        environment={"DATABASE_URL": database_url, "WEBHOOK_SECRET": secret},
    )


def node_receiver(*, database_url: str, secret: str) -> Receiver:
    """Describe the other baseline; see `node_receiver/server.js`. `make bench` installs what it needs."""
    return Receiver(
        name="node receiver",
        table="node_webhooks",
        prepare=None,
        serve=["node", str(Path(__file__).parent / "node_receiver" / "server.js"), "{port}"],
        environment={"DATABASE_URL": database_url, "WEBHOOK_SECRET": secret, "NODE_ENV": "production"},
    )


def gateway(*, database_url: str, secret: str) -> Receiver:
    """Describe the service as it is deployed. It never calls Dots, so nothing listens at its address for Dots."""
    command = str(Path(sys.executable).parent / "dots-gateway")
    return Receiver(
        name="dots-gateway",
        table="webhooks",
        prepare=[command, "migrate"],
        serve=[command, "api", "--host", "127.0.0.1", "--port", "{port}"],
        environment={
            "DATABASE_URL": database_url,
            "DOTS_API_URL": "http://127.0.0.1:9/api",
            "DOTS_CLIENT_ID": "pk_dev_bench",
            "DOTS_API_KEY": "sk_dev_bench",
            "DOTS_WEBHOOK_SECRETS": secret,
        },
    )


def free_port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@asynccontextmanager
async def running(receiver: Receiver, *, log_directory: Path) -> AsyncIterator[int]:
    """Prepare and start one receiver, yield its port once it is alive, and stop it with SIGTERM."""
    log_path = log_directory / f"{receiver.name.replace(' ', '-')}.log"
    environment = {**os.environ, **receiver.environment}
    port = free_port()
    serve = [argument.format(port=port) for argument in receiver.serve]
    with log_path.open("wb") as log:
        if receiver.prepare is not None:
            preparing = await asyncio.create_subprocess_exec(*receiver.prepare, env=environment, stdout=log, stderr=log)
            if await preparing.wait() != 0:
                raise NotComparableError(f"{' '.join(receiver.prepare)} failed:\n{_end_of(log_path)}")
        process = await asyncio.create_subprocess_exec(*serve, env=environment, stdout=log, stderr=log)
        try:
            await _wait_until_alive(process, port=port, log_path=log_path)
            yield port
        finally:
            await _stop(process)


async def _wait_until_alive(process: asyncio.subprocess.Process, *, port: int, log_path: Path) -> None:
    """Poll `/livez`. Raises `NotComparableError` with the end of the log if the process does not start."""
    deadline = asyncio.get_running_loop().time() + START_WITHIN_SECONDS
    async with httpx.AsyncClient(trust_env=False) as client:
        while asyncio.get_running_loop().time() < deadline and process.returncode is None:
            try:
                if (await client.get(f"http://127.0.0.1:{port}/livez")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    raise NotComparableError(f"no receiver started on port {port}:\n{_end_of(log_path)}")


def _end_of(log_path: Path) -> str:
    """Return the end of a log."""
    return log_path.read_text()[-2000:]


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ask the process to drain, and kill it if it does not end."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_WITHIN_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
