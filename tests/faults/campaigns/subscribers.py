"""Subscribers: HTTP servers in the campaign's process, which record every request before they answer.

One takes every event. The other fails, is silent, and hangs up before or after it records a request. At most
one event of a subject fails, and only once: the wait after a second failure is longer than a campaign.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from tests.faults.campaigns import history
from tests.faults.campaigns.fleet import Fleet
from tests.faults.campaigns.history import Arrived

NO_CONTENT, UNAVAILABLE = 204, 503


class Mishap(StrEnum):
    """How a request may fail. `LOST` is recorded and taken, but its answer is never sent."""

    REFUSED = "refused"
    SILENT = "silent"
    CUT = "cut"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a subscriber subscribes to, and the mishap of one early event of one subject in `unlucky_one_in`.

    Mishaps and sequences alternate, so that even a small campaign has each of them.
    """

    name: str
    types: tuple[str, ...]
    with_compliance: bool = False
    mishaps: tuple[Mishap, ...] = ()
    unlucky_one_in: int = 2
    unlucky_sequences: tuple[int, ...] = (1, 2, 3)


# No steps, which are most of the events: one subscriber for them is enough.
HEALTHY = Wish(
    name="healthy",
    types=("dots.flow.completed", "dots.user.*", "dots.background_check.*"),
    with_compliance=True,
)
SHAKY = Wish(name="shaky", types=("*",), mishaps=tuple(Mishap))
# For storms so large that most of their work would be deliveries.
SPARING = Wish(
    name="sparing",
    types=("dots.flow.created", "dots.flow.claimed", "dots.flow.completed"),
    mishaps=tuple(Mishap),
)


@dataclass(kw_only=True)
class Subscriber:
    """One subscriber. Its requests are signed with `secret`."""

    wish: Wish
    fleet: Fleet
    secret: str = ""
    mishaps: int = 0
    _connections: dict[asyncio.Task[None], StreamWriter] = field(default_factory=dict)
    _subjects: dict[str, int] = field(default_factory=dict)
    _befallen: set[str] = field(default_factory=set)

    async def subscribe(self, port: int) -> None:
        """Have events sent to this port."""
        answer = await self.fleet.client.post(
            f"{self.fleet.api_urls[0]}/v1/subscriptions",
            headers={"Authorization": f"Bearer {self.fleet.key}"},
            json={
                "url": f"http://127.0.0.1:{port}/events",
                "types": self.wish.types,
                "with_compliance": self.wish.with_compliance,
                "description": self.wish.name,
            },
        )
        self.secret = answer.raise_for_status().json()["secret"]

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Take the requests of one connection, until it ends or a mishap ends it."""
        task = asyncio.current_task()
        if task is None:
            return
        self._connections[task] = writer
        try:
            while await self._take(reader, writer):
                pass
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.transport.abort()
            del self._connections[task]

    async def end(self) -> None:
        """Close every connection."""
        for writer in self._connections.values():
            writer.transport.abort()
        await asyncio.gather(*self._connections)

    async def _take(self, reader: StreamReader, writer: StreamWriter) -> bool:
        """Take one request. Returns whether the connection can be used again."""
        headers = _fields(await reader.readuntil(b"\r\n\r\n"))
        body = await reader.readexactly(int(headers["content-length"]))
        mishap = self._mishap(headers["webhook-id"], json.loads(body))
        if mishap == Mishap.CUT:
            return False
        status = {None: NO_CONTENT, Mishap.REFUSED: UNAVAILABLE}.get(mishap)
        # Before the answer, so that the history has everything that the gateway knows to be taken.
        self.fleet.history.note(self._arrived(headers, body, status))
        if mishap == Mishap.SILENT:
            await reader.read()  # until the gateway has given it up
        if status is None:
            return False
        writer.write(b"HTTP/1.1 %d So\r\nContent-Length: 0\r\n\r\n" % status)
        await writer.drain()
        return True

    def _mishap(self, event_id: str, event: Mapping[str, str]) -> Mishap | None:
        """The mishap of this event. It depends on how many subjects came before its own."""
        number = self._subjects.setdefault(event["subject"], len(self._subjects))
        turn, is_lucky = divmod(number, self.wish.unlucky_one_in)
        if not self.wish.mishaps or is_lucky or event_id in self._befallen:
            return None
        if int(event["sequence"]) != self.wish.unlucky_sequences[turn % len(self.wish.unlucky_sequences)]:
            return None
        self._befallen.add(event_id)
        self.mishaps += 1
        return self.wish.mishaps[turn % len(self.wish.mishaps)]

    def _arrived(self, headers: Mapping[str, str], body: bytes, status: int | None) -> Arrived:
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        signature = f"v1,{base64.b64encode(hmac.digest(key, content, 'sha256')).decode()}"
        return Arrived(
            recipient=self.wish.name,
            event_id=headers["webhook-id"],
            body=hashlib.sha256(body).hexdigest()[:24],
            digest=history.digests([json.loads(body)])[0],
            is_marked=signature in headers["webhook-signature"].split(" "),
            status=status,
        )


@asynccontextmanager
async def listening(fleet: Fleet, wishes: Sequence[Wish]) -> AsyncIterator[list[Subscriber]]:
    """Subscribers with their subscriptions, for an `async with` block."""
    subscribers = [Subscriber(wish=wish, fleet=fleet) for wish in wishes]
    async with AsyncExitStack() as resources:
        for subscriber in subscribers:
            server = await asyncio.start_server(subscriber.serve, "127.0.0.1", 0)
            resources.push_async_callback(subscriber.end)
            resources.callback(server.close)
            await subscriber.subscribe(server.sockets[0].getsockname()[1])
        yield subscribers


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode().split("\r\n")[1:-2]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
