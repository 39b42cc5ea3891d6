"""The message that an event becomes, and its address: what consumers bind, subscribe and grant access to."""

from dataclasses import dataclass

from app.feed import cloudevents
from app.feed.events import COMPLIANCE_TYPES, EventRecord

# The prefix of every address that only readers with compliance:read may see: one rule of a broker can guard them all.
COMPLIANCE = "compliance."
CONTENT_TYPE = "application/cloudevents+json"


@dataclass(frozen=True, kw_only=True)
class Message:
    """An event as a broker takes it. `key` is its subject: order is kept within it. `body` is what push sends too."""

    address: str
    id: str
    key: str
    body: bytes

    @property
    def is_compliance(self) -> bool:
        """Whether only readers with compliance:read may get it."""
        return self.address.startswith(COMPLIANCE)


def address(event_type: str) -> str:
    """The subject, routing key, topic or stream of events of this type."""
    return f"{COMPLIANCE}{event_type}" if event_type in COMPLIANCE_TYPES else event_type


def message(event: EventRecord) -> Message:
    """The event as a message; the bytes are the same every time."""
    return Message(address=address(event.type), id=str(event.id), key=event.subject, body=cloudevents.encoded(event))
