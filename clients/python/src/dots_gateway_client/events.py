"""Events as dataclasses, read from CloudEvents 1.0 JSON.

Source: the JSON Schemas of dots-gateway in docs/events, which a test holds these against.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import datetime
from typing import Any

from dots_gateway_client.errors import MalformedEventError


@dataclass(frozen=True, kw_only=True)
class Event:
    """What every event says: a fact about `subject` (`flow/<id>`, `user/<id>`), the `sequence`th one, from 1."""

    id: str
    type: str
    source: str
    subject: str
    sequence: int
    time: datetime
    dataschema: str

    @property
    def app(self) -> str:
        """The Dots app it is about."""
        return self.source.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class FlowName:
    """A flow that an event about a user concerns; `reference` is the caller's own id, None for flows made elsewhere."""

    flow_id: str
    reference: str | None


def _flow_names(value: Any) -> tuple[FlowName, ...]:
    """Raises TypeError, as the next one."""
    return tuple(FlowName(**_facts(FlowName, flow)) for flow in _listed(value, dict))


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_listed(value, str))


def _listed(value: Any, kind: type) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(each, kind) for each in value):
        raise TypeError
    return value


# How the value of a field is read that is not a text; a field with a default may be missing.
_READ = "read"


@dataclass(frozen=True, kw_only=True)
class _FlowEvent(Event):
    """`reference` is the caller's own id, None for flows made elsewhere; `user_id` is None while unclaimed."""

    flow_id: str
    reference: str | None
    user_id: str | None


@dataclass(frozen=True, kw_only=True)
class FlowCreated(_FlowEvent):
    """The flow exists at Dots."""


@dataclass(frozen=True, kw_only=True)
class FlowClaimed(_FlowEvent):
    """A user has taken a flow that was made without one."""


@dataclass(frozen=True, kw_only=True)
class StepCompleted(_FlowEvent):
    """The payee has completed a step; for a background check that means handed in, not passed."""

    step: str


@dataclass(frozen=True, kw_only=True)
class FlowCompleted(_FlowEvent):
    """Every step of the flow is done, but for `passed_over` if the gateway may complete flows with such steps."""

    passed_over: tuple[str, ...] = field(default=(), metadata={_READ: _texts})


@dataclass(frozen=True, kw_only=True)
class _UserEvent(Event):
    """`flows` are those of the user that it concerns, newest first, at most 100."""

    user_id: str
    flows: tuple[FlowName, ...] = field(default=(), metadata={_READ: _flow_names})


@dataclass(frozen=True, kw_only=True)
class IdVerified(_UserEvent):
    """Dots has verified the user's identity."""


@dataclass(frozen=True, kw_only=True)
class _CheckEvent(_UserEvent):
    """`previous` is the verdict told before, when this one reverses it."""

    previous: str | None


@dataclass(frozen=True, kw_only=True)
class CheckCleared(_CheckEvent):
    """A background check has passed."""


@dataclass(frozen=True, kw_only=True)
class CheckFlagged(_CheckEvent):
    """A background check has flagged criminal activity."""


@dataclass(frozen=True, kw_only=True)
class CheckNeedsReview(_CheckEvent):
    """A background check has ended or halted without a finding: a person must look at it. `check_status` is Dots'."""

    check_status: str


@dataclass(frozen=True, kw_only=True)
class SubscriptionTest(Event):
    """Somebody tries out a subscription: pushed to it alone, and in no feed."""

    subscription_id: str


@dataclass(frozen=True, kw_only=True)
class UnknownEvent(Event):
    """An event newer than this client, by its type or by the version of its data: pass over it, and update."""

    data: Mapping[str, Any]


# By schema and not by type: a second version of the data is told apart from the first.
KINDS: Mapping[str, type[Event]] = {
    "urn:dots-gateway:schemas/flow.created/v1.json": FlowCreated,
    "urn:dots-gateway:schemas/flow.claimed/v1.json": FlowClaimed,
    "urn:dots-gateway:schemas/flow.step_completed/v1.json": StepCompleted,
    "urn:dots-gateway:schemas/flow.completed/v1.json": FlowCompleted,
    "urn:dots-gateway:schemas/user.id_verified/v1.json": IdVerified,
    "urn:dots-gateway:schemas/background_check.cleared/v1.json": CheckCleared,
    "urn:dots-gateway:schemas/background_check.flagged/v1.json": CheckFlagged,
    "urn:dots-gateway:schemas/background_check.needs_review/v1.json": CheckNeedsReview,
    "urn:dots-gateway:schemas/subscription.test/v1.json": SubscriptionTest,
}

ENVELOPE = frozenset(each.name for each in fields(Event))


def parse_json(body: bytes) -> Event:
    """The event in a CloudEvent's JSON. Raises MalformedEventError."""
    try:
        return parse(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise MalformedEventError("This is not JSON.") from error


def parse(envelope: Any) -> Event:
    """The event in a decoded CloudEvent; fields unknown here are passed over. Raises MalformedEventError."""
    match envelope:
        case {
            "specversion": "1.0",
            "id": str(),
            "type": str(),
            "source": str(),
            "subject": str(),
            "sequence": str(sequence),
            "time": str(time),
            "dataschema": str(dataschema),
            "data": dict(data),
        }:
            said = {name: envelope[name] for name in ENVELOPE}
            said |= {"sequence": _sequence(sequence), "time": _time(time)}
        case _:
            raise MalformedEventError("This is not a CloudEvent of dots-gateway.")
    kind = KINDS.get(dataschema)
    if kind is None:
        return UnknownEvent(**said, data=data)
    return kind(**said, **_facts(kind, data))


def _facts(kind: type[Event] | type[FlowName], data: Mapping[str, Any]) -> dict[str, Any]:
    """The data that this kind has fields for. Raises MalformedEventError."""
    facts: dict[str, Any] = {}
    for each in fields(kind):
        if each.name in ENVELOPE or (each.name not in data and each.default is not MISSING):
            continue
        try:
            facts[each.name] = _fact(each, data[each.name])
        except (KeyError, TypeError) as error:
            raise MalformedEventError(f"The {each.name} of a {kind.__name__} is missing or of another type.") from error
    return facts


def _fact(wanted: Field[Any], value: object) -> object:
    """The value; a text, or None where that may be, unless the field says how it is read. Raises TypeError."""
    if _READ in wanted.metadata:
        return wanted.metadata[_READ](value)
    if not isinstance(value, wanted.type):  # type: ignore[arg-type]  # types, not their names: annotations are not postponed here
        raise TypeError
    return value


def _sequence(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise MalformedEventError("An event's sequence is a number.")
    return int(text)


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise MalformedEventError("An event's time is RFC 3339.") from error
