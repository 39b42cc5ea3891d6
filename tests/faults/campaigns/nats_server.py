"""A NATS server of one campaign, which may be killed and keeps what it has confirmed."""

import asyncio
import hashlib
import json
import os
import shutil
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig

from devstack import ports
from tests.faults.campaigns import history
from tests.faults.campaigns.delivery_rules import BROKER, COMPLIANCE
from tests.faults.campaigns.history import Arrived
from tests.stack.waiting import eventually

# A server drops repeated ids within this window. It is short, so that the checker sees every copy.
DUPLICATE_WINDOW_SECONDS = 0.1
STREAMS = {"campaign": "dots.>", "campaign-compliance": "compliance.dots.>"}
STORED = 204
_FETCH = 500


class NatsServer:
    """The server. It keeps its port over restarts, and its streams in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.port = ports.free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._directory = directory
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it on its data, and return when it answers."""
        # Debian installs servers in a directory that is only on root's path.
        program = shutil.which("nats-server", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise RuntimeError("there is no nats-server here; scripts/need_servers.sh brings it")
        self._process = await asyncio.create_subprocess_exec(
            program, "--addr", "127.0.0.1", "--port", str(self.port), "--jetstream",
            "--store_dir", str(self._directory), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL,
        )  # fmt: skip
        await eventually(self._answers)

    async def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def make_streams(self) -> None:
        """Make the streams before the gateway does. The gateway's would drop copies for two minutes."""
        async with _connected(self.url) as client:
            for name, subject in STREAMS.items():
                await client.jetstream().add_stream(
                    StreamConfig(name=name, subjects=[subject], duplicate_window=DUPLICATE_WINDOW_SECONDS)
                )

    async def _answers(self) -> bool:
        with suppress(OSError, Error):
            async with _connected(self.url) as client:
                await client.jetstream().account_info()
                return True
        return False


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[NatsServer]:
    """A server with streams for events, for the length of an `async with` block."""
    server = NatsServer(directory / "nats")
    try:
        await server.start()
        await server.make_streams()
        yield server
    finally:
        await server.kill()


async def published(url: str) -> list[Arrived]:
    """Every copy that the server keeps, in the order of arrival."""
    found: list[tuple[datetime, Arrived]] = []
    async with _connected(url) as client:
        streams = client.jetstream()
        for name, subject in STREAMS.items():
            left = (await streams.stream_info(name)).state.messages
            without_acks = ConsumerConfig(ack_policy=AckPolicy.NONE)
            consumer = await streams.pull_subscribe(subject, stream=name, config=without_acks)
            while left:
                messages = await consumer.fetch(min(left, _FETCH), timeout=5)
                left -= len(messages)
                found += [(message.metadata.timestamp, _arrived(message)) for message in messages]
    return [copy for _, copy in sorted(found, key=lambda each: each[0])]


def _arrived(message: Msg) -> Arrived:
    event = json.loads(message.data)
    prefix = "compliance." if event["type"].startswith(COMPLIANCE) else ""
    event_id = (message.headers or {}).get("Nats-Msg-Id", "")
    return Arrived(
        recipient=BROKER,
        event_id=event_id,
        body=hashlib.sha256(message.data).hexdigest()[:24],
        digest=history.digests([event])[0],
        is_marked=message.subject == prefix + event["type"] and event_id == event["id"],
        status=STORED,
    )


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Client]:
    async def say_nothing(_error: Exception) -> None:
        """The caller gets an exception already."""

    client = await nats.connect(
        url, allow_reconnect=False, connect_timeout=2, max_reconnect_attempts=1, error_cb=say_nothing
    )
    try:
        yield client
    finally:
        await client.close()
