"""The message for an event, and its address, which consumers subscribe to and operators grant access to."""

from dataclasses import dataclass

from app.feed import cloudevents
from app.feed.events import COMPLIANCE_TYPES, EventRecord

# The prefix of every address that needs compliance:read, so one access rule at the broker covers all of them.
COMPLIANCE = "compliance."
CONTENT_TYPE = "application/cloudevents+json"


@dataclass(frozen=True, kw_only=True)
class Message:
    """An event for a broker. `key` is the event's subject: order is kept within it. `body` is the same as for push."""

    address: str
    id: str
    key: str
    body: bytes

    @property
    def is_compliance(self) -> bool:
        """Whether readers need compliance:read."""
        return self.address.startswith(COMPLIANCE)


def address(event_type: str) -> str:
    """The subject, routing key, topic or stream of events of this type."""
    return f"{COMPLIANCE}{event_type}" if event_type in COMPLIANCE_TYPES else event_type


def message(event: EventRecord) -> Message:
    """The event as a message. The same event always gives the same bytes."""
    return Message(address=address(event.type), id=str(event.id), key=event.subject, body=cloudevents.encoded(event))
