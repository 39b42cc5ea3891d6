"""How an event is addressed: what consumers bind, subscribe and grant access to, the same at every broker."""

from dataclasses import dataclass

from app.feed import cloudevents
from app.feed.events import COMPLIANCE_TYPES, EventRecord

# Before every address that only readers with compliance:read may see, so that one rule of a broker guards them all.
COMPLIANCE = "compliance."
CONTENT_TYPE = "application/cloudevents+json"


@dataclass(frozen=True, kw_only=True)
class Letter:
    """An event as a broker takes it; `key` is its subject, within which order is kept, `body` what push sends too."""

    address: str
    id: str
    key: str
    body: bytes

    @property
    def is_compliance(self) -> bool:
        """Whether it may reach only readers with compliance:read."""
        return self.address.startswith(COMPLIANCE)


def address(event_type: str) -> str:
    """The subject, routing key, topic or stream of events of this type."""
    return f"{COMPLIANCE}{event_type}" if event_type in COMPLIANCE_TYPES else event_type


def letter(event: EventRecord) -> Letter:
    """The event, ready to be sent; the same bytes however often it is."""
    return Letter(address=address(event.type), id=str(event.id), key=event.subject, body=cloudevents.encoded(event))
