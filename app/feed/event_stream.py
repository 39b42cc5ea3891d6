"""Stream the feed as server-sent events."""

import asyncio
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
# The most events held in memory for one slow reader. The next batch is read once this one is sent.
BATCH = 200

CONTENT: dict[str, Any] = {
    "text/event-stream": {
        "schema": {
            "type": "string",
            "description": "Each message is a CloudEvent. Its name is the event's type, its id is the cursor after it. "
            "A message without data only updates the id. Comments keep the connection alive.",
        },
        "example": f"id: {examples.CURSOR}\nretry: {server_sent.RECONNECT_MILLISECONDS}\n\n"
        f"event: {examples.EVENT['type']}\ndata: {json.dumps(examples.EVENT)}\nid: {examples.CURSOR}\n\n",
    }
}

# Proxies must not buffer events.
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class EventStream(StreamingResponse):
    """A stream of messages. It is closed as soon as its reader disconnects."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncGenerator[bytes], status_code: int = 200) -> None:
        """Take the encoded messages. FastAPI reads the default status from this signature."""
        super().__init__(content, status_code, headers=_HEADERS)
        self._content = content

    async def stream_response(self, send: Send) -> None:
        """Send the messages."""
        async with contextlib.aclosing(self._content):
            await super().stream_response(send)


async def messages(reading: Reading) -> AsyncGenerator[bytes]:
    """Yield the messages of one stream, a batch at a time.

    The stream ends when the process closes, the key is revoked or the cursor expires. Its reader then reconnects with
    its last id. It continues there, or gets an error that says why it cannot. A stream holds no database connection
    between batches.
    """
    watch, cursor = reading.watch, reading.start
    yield server_sent.opening(cursor)
    heartbeat_at = _now() + HEARTBEAT_SECONDS
    with contextlib.suppress(GatewayError):
        while not watch.is_closing:
            if _now() >= heartbeat_at:
                await watch.require_live_key(reading.key.id)
                yield server_sent.HEARTBEAT
                heartbeat_at = _now() + HEARTBEAT_SECONDS
            if await watch.wait_beyond(cursor, at_most_seconds=heartbeat_at - _now()):
                page = await reading.next_page(after=cursor, limit=BATCH)
                if page.cursor != cursor:
                    yield server_sent.batch(page.events, page.cursor)
                cursor = page.cursor


def _now() -> float:
    return asyncio.get_running_loop().time()
