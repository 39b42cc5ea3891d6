"""Encode events as server-sent events.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream (read 2026-11-23).
"""

from collections.abc import Sequence

from app.feed import cloudevents
from app.feed.cursor import Cursor
from app.feed.events import EventRecord

RECONNECT_MILLISECONDS = 2000

# A comment. Readers skip it, and proxies see that the connection is alive.
HEARTBEAT = b": ping\n\n"


def opening(start: Cursor) -> bytes:
    """The first message: the cursor at which the stream starts, and the reconnection time."""
    return f"id: {start}\nretry: {RECONNECT_MILLISECONDS}\n\n".encode()


def batch(events: Sequence[EventRecord], end: Cursor) -> bytes:
    """Encode events. Each message has the event's type as its name and the cursor after the event as its id.

    If events after the last one were filtered out, an id without data moves the reader to `end`.
    """
    messages = [_message(event, Cursor(epoch=end.epoch, position=event.position or 0)) for event in events]
    if not events or events[-1].position != end.position:
        messages.append(f"id: {end}\n\n".encode())
    return b"".join(messages)


def _message(event: EventRecord, cursor: Cursor) -> bytes:
    # Compact JSON escapes line breaks, so it is always one line.
    return b"event: %b\ndata: %b\nid: %b\n\n" % (event.type.encode(), cloudevents.encoded(event), str(cursor).encode())
