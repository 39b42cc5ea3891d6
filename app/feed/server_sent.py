"""Events as the messages of a stream of server-sent events.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream (read 2026-11-23).
"""

from app.feed import cloudevents
from app.feed.cursor import Cursor
from app.feed.events import EventRecord

RECONNECT_MILLISECONDS = 2000

# A comment, which readers skip; proxies see that the connection is alive.
HEARTBEAT = b": ping\n\n"


def opening(place: Cursor) -> bytes:
    """The first message: where the stream begins, and how soon to come back when it breaks off."""
    return f"id: {place}\nretry: {RECONNECT_MILLISECONDS}\n\n".encode()


def message(event: EventRecord, place: Cursor) -> bytes:
    """The event under its type, with the cursor behind it as its id."""
    # JSON has no line break outside of an escape, so that it is one line and one field.
    return b"event: %b\ndata: %b\nid: %b\n\n" % (event.type.encode(), cloudevents.encoded(event), str(place).encode())


def progress(place: Cursor) -> bytes:
    """An id without data: it tells a reader nothing but how far it has come, past what was filtered out too."""
    return f"id: {place}\n\n".encode()
