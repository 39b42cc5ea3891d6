"""Invariants about deliveries to subscribers and the broker: every event, unchanged, in order per subject."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.faults.campaigns import history
from tests.faults.campaigns.evidence import Evidence, StoredEvent
from tests.faults.campaigns.history import Arrived

BROKER = "the broker"
# Only recipients with compliance:read may get these.
COMPLIANCE = "dots.background_check."


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """A subscriber or the broker: the events it must get, in feed order, and the copies it got, in their order."""

    name: str
    expected: Sequence[StoredEvent]
    given_up: frozenset[str]
    arrived: Sequence[Arrived]


def recipients(evidence: Evidence) -> Iterator[Recipient]:
    """All subscribers, and the broker."""
    arrived: defaultdict[str, list[Arrived]] = defaultdict(list)
    for copy in [*evidence.timeline.arrived, *evidence.published]:
        arrived[copy.recipient].append(copy)
    dead: defaultdict[str, set[str]] = defaultdict(set)
    for delivery in evidence.deliveries:
        if delivery.state == "dead":
            dead[delivery.subscriber].add(delivery.event_id)
    wishes = [(each.name, each.types, each.with_compliance) for each in evidence.subscriptions]
    wishes += [(BROKER, ("*",), True)] if evidence.cursors else []
    placed = sorted((event for event in evidence.events if event.position), key=lambda event: event.position or 0)
    for name, types, with_compliance in wishes:
        yield Recipient(
            name=name,
            expected=[event for event in placed if is_wanted(event.type, types, with_compliance=with_compliance)],
            given_up=frozenset(dead[name]),
            arrived=arrived[name],
        )


def each_event_arrives(evidence: Evidence) -> Iterator[str]:
    """I10: each recipient takes each of its events at least once, or it is a dead letter. All copies are alike."""
    digest = dict(zip((event["id"] for event in evidence.feed), history.digests(evidence.feed), strict=True))
    for recipient in recipients(evidence):
        taken = {copy.event_id for copy in recipient.arrived if is_taken(copy)}
        wanted = {event.id for event in recipient.expected}
        for event in recipient.expected:
            if event.id not in taken | recipient.given_up:
                yield f"{recipient.name} never got {event.type} {event.sequence} of {event.subject}"
        bodies: defaultdict[str, set[str]] = defaultdict(set)
        for copy in recipient.arrived:
            bodies[copy.event_id].add(copy.body)
            if copy.event_id not in wanted:
                yield f"{recipient.name} got {copy.event_id}, which it does not want"
            elif copy.digest != digest.get(copy.event_id):
                yield f"{recipient.name} got {copy.event_id} other than it is in the feed, or is not there"
            if not copy.is_marked:
                yield f"{recipient.name} got {copy.event_id} with a wrong signature or address"
        for event_id, different in bodies.items():
            if len(different) > 1:
                yield f"{recipient.name} got {event_id} with {len(different)} bodies"
    yield from _as_stored(evidence)


def first_arrivals_are_in_order(evidence: Evidence) -> Iterator[str]:
    """I11: an event first arrives after the earlier events of its subject were taken or given up."""
    for recipient in recipients(evidence):
        before: dict[str, str] = {}
        last: dict[str, str] = {}
        place = {event.id: f"{event.type} {event.sequence} of {event.subject}" for event in recipient.expected}
        for event in recipient.expected:
            if event.id not in recipient.given_up:
                if event.subject in last:
                    before[event.id] = last[event.subject]
                last[event.subject] = event.id
        taken: set[str] = set()
        seen: set[str] = set()
        for copy in recipient.arrived:
            waits_for = before.get(copy.event_id)
            if copy.event_id not in seen and waits_for and waits_for not in taken:
                yield f"{recipient.name} got {place[copy.event_id]} before it had taken {place[waits_for]}"
            seen.add(copy.event_id)
            if is_taken(copy):
                taken.add(copy.event_id)


def is_taken(copy: Arrived) -> bool:
    """Whether its recipient has acknowledged it."""
    return copy.status is not None and 200 <= copy.status < 300


def is_wanted(event_type: str, patterns: Sequence[str], *, with_compliance: bool) -> bool:
    """Whether these patterns include events of this type."""
    if event_type.startswith(COMPLIANCE) and not with_compliance:
        return False
    return any(
        event_type.startswith(pattern[:-1]) if pattern.endswith("*") else event_type == pattern for pattern in patterns
    )


def _as_stored(evidence: Evidence) -> Iterator[str]:
    """The gateway's deliveries agree with the subscribers' records, and a settled delivery never changes."""
    taken = {(copy.recipient, copy.event_id) for copy in evidence.timeline.arrived if is_taken(copy)}
    for delivery in evidence.deliveries:
        where = f"{delivery.event_id} for {delivery.subscriber}"
        if delivery.state == "delivered" and (delivery.subscriber, delivery.event_id) not in taken:
            yield f"{where} is stored as delivered, and was never taken"
        if delivery.is_attempted_after_success:
            yield f"{where} was settled again after it had been delivered"
    made = Counter((delivery.subscriber, delivery.event_id) for delivery in evidence.deliveries)
    for (subscriber, event_id), times in made.items():
        if times > 1:
            yield f"{event_id} for {subscriber} has {times} deliveries"
