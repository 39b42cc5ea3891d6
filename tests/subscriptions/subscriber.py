"""A subscriber: a small HTTP server on loopback that records requests and answers as a test decides."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.stack.waiting import eventually


@dataclass(frozen=True, kw_only=True)
class Received:
    """A request. Header names are in lower case."""

    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def about(self) -> tuple[str, int]:
        """The event's subject and sequence."""
        return self.event["subject"], int(self.event["sequence"])


Answer = Callable[[Received], tuple[int, dict[str, str]]]


@dataclass(kw_only=True)
class Subscriber:
    """Answers each request with the status and headers from `answer`, once `is_open` is set."""

    url: str = ""
    answer: Answer = lambda _received: (204, {})
    received: list[Received] = field(default_factory=list)
    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0

    async def has_under_way(self, count: int) -> None:
        """Wait until `count` requests wait for their answer."""

        async def is_reached() -> bool:
            return self.under_way == count

        await eventually(is_reached)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")[1:-2]
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                received = Received(
                    headers=headers, body=await reader.readexactly(int(headers.get("content-length", "0")))
                )
                self.received.append(received)
                self.under_way += 1
                try:
                    await self.is_open.wait()
                finally:
                    self.under_way -= 1
                status, more = self.answer(received)
                fields = "".join(f"{name}: {value}\r\n" for name, value in more.items())
                writer.write(f"HTTP/1.1 {status} Status\r\ncontent-length: 0\r\n{fields}\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening(answer: Answer | None = None, *, port: int = 0) -> AsyncIterator[Subscriber]:
    """A listening subscriber. It answers 204 by default."""
    subscriber = Subscriber()
    if answer:
        subscriber.answer = answer
    subscriber.is_open.set()
    serving: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving[asyncio.current_task()] = writer
        await subscriber.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    subscriber.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
    try:
        yield subscriber
    finally:
        server.close()
        subscriber.is_open.set()
        for writer in serving.values():
            writer.close()
        await asyncio.gather(*(task for task in serving if task))
