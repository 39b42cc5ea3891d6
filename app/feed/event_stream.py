"""The feed as a stream of server-sent events: what one open stream does, from its opening to its end."""

import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.types import Send

from app.errors import GatewayError
from app.feed import server_sent
from app.feed.feed_reading import Reading
from app.web import examples

HEARTBEAT_SECONDS = 15.0
# What may be waiting for one slow reader, in events: the next are taken up when these have left.
BATCH = 200

CONTENT: dict[str, Any] = {
    "text/event-stream": {
        "schema": {
            "type": "string",
            "description": "Each message is a CloudEvent under its type, with the cursor behind it as its id; "
            "a message without data only moves the id. Comments keep the connection alive.",
        },
        "example": f"id: {examples.CURSOR}\nretry: {server_sent.RECONNECT_MILLISECONDS}\n\n"
        f"event: {examples.EVENT['type']}\ndata: {json.dumps(examples.EVENT)}\nid: {examples.CURSOR}\n\n",
    }
}

# Proxies must not keep events back until they have enough of them.
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class EventStream(StreamingResponse):
    """A stream of messages, which is closed as soon as its reader has hung up."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncGenerator[bytes], status_code: int = 200) -> None:
        """Take the messages, already as bytes; FastAPI reads the status off the signature."""
        super().__init__(content, status_code, headers=_HEADERS)
        self._content = content

    async def stream_response(self, send: Send) -> None:
        """Send the messages."""
        async with contextlib.aclosing(self._content):
            await super().stream_response(send)


async def messages(reading: Reading) -> AsyncGenerator[bytes]:
    """The messages of one stream, several at a time; it ends when nothing more can or may be read.

    No database connection is held between them. The reader comes back with its last id, and is read on to or told
    what is wrong.
    """
    watch, place = reading.gate.watch, reading.start
    yield server_sent.opening(place)
    with watch.keys.holding(reading.key.id), contextlib.suppress(GatewayError):
        while not watch.is_closing and watch.keys.is_good(reading.key.id):
            page = await reading.read_on(after=place, limit=BATCH)
            found = [placed.message for placed in page.events]
            told = page.events[-1].place if page.events else place
            if page.cursor != told:
                found.append(server_sent.progress(page.cursor))
            if found:
                yield b"".join(found)
            place = page.cursor
            if not page.has_more and not await watch.wait_beyond(place, at_most_seconds=HEARTBEAT_SECONDS):
                yield server_sent.HEARTBEAT
