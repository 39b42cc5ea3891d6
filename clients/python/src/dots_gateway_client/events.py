"""Events as dataclasses, parsed from CloudEvents 1.0 JSON.

Source: the JSON Schemas of dots-gateway in docs/events. A test compares these classes with them.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import datetime
from typing import Any

from dots_gateway_client.errors import MalformedEventError


@dataclass(frozen=True, kw_only=True)
class Event:
    """The fields of every event. `sequence` counts the events about `subject` (`flow/<id>`, `user/<id>`) from 1."""

    id: str
    type: str
    source: str
    subject: str
    sequence: int
    time: datetime
    dataschema: str

    @property
    def app(self) -> str:
        """The name of the Dots app."""
        return self.source.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class FlowName:
    """A flow of the user in an event. `reference` is your id; None if the flow was created outside the gateway."""

    flow_id: str
    reference: str | None


def _flow_names(value: Any) -> tuple[FlowName, ...]:
    """Raises TypeError."""
    return tuple(FlowName(**_facts(FlowName, flow)) for flow in _listed(value, dict))


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_listed(value, str))


def _listed(value: Any, kind: type) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(each, kind) for each in value):
        raise TypeError
    return value


# The metadata key of a field's parser. Fields without a parser are text.
_READ = "read"


@dataclass(frozen=True, kw_only=True)
class _FlowEvent(Event):
    """`reference` is your id; None for flows created outside the gateway. `user_id` is None before the claim."""

    flow_id: str
    reference: str | None
    user_id: str | None


@dataclass(frozen=True, kw_only=True)
class FlowCreated(_FlowEvent):
    """The flow exists at Dots."""


@dataclass(frozen=True, kw_only=True)
class FlowClaimed(_FlowEvent):
    """A user has claimed a flow that had no user."""


@dataclass(frozen=True, kw_only=True)
class StepCompleted(_FlowEvent):
    """The payee has completed a step. A completed background check is submitted, not passed."""

    step: str


@dataclass(frozen=True, kw_only=True)
class FlowCompleted(_FlowEvent):
    """All steps are completed, except those in `passed_over`, which only some configurations of the gateway allow."""

    passed_over: tuple[str, ...] = field(default=(), metadata={_READ: _texts})


@dataclass(frozen=True, kw_only=True)
class _UserEvent(Event):
    """`flows` are the user's flows that the event concerns: newest first, at most 100."""

    user_id: str
    flows: tuple[FlowName, ...] = field(default=(), metadata={_READ: _flow_names})


@dataclass(frozen=True, kw_only=True)
class IdVerified(_UserEvent):
    """Dots has verified the user's identity."""


@dataclass(frozen=True, kw_only=True)
class _CheckEvent(_UserEvent):
    """`previous` is the earlier verdict that this one reverses, or None."""

    previous: str | None


@dataclass(frozen=True, kw_only=True)
class CheckCleared(_CheckEvent):
    """A background check has passed."""


@dataclass(frozen=True, kw_only=True)
class CheckFlagged(_CheckEvent):
    """A background check has flagged criminal activity."""


@dataclass(frozen=True, kw_only=True)
class CheckNeedsReview(_CheckEvent):
    """A background check has no result: a person must review it. `check_status` is Dots' status."""

    check_status: str


@dataclass(frozen=True, kw_only=True)
class SubscriptionTest(Event):
    """A test of a subscription. It is pushed to that subscription only and is not in the feed."""

    subscription_id: str


@dataclass(frozen=True, kw_only=True)
class UnknownEvent(Event):
    """An event whose type or data version this client does not know. Ignore it, and update the client."""

    data: Mapping[str, Any]


# The key is the schema, not the type, because a schema names the version of the data.
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
    """The event in a decoded CloudEvent. Ignores unknown fields. Raises MalformedEventError."""
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
            common = {name: envelope[name] for name in ENVELOPE}
            common |= {"sequence": _sequence(sequence), "time": _time(time)}
        case _:
            raise MalformedEventError("This is not a CloudEvent of dots-gateway.")
    kind = KINDS.get(dataschema)
    if kind is None:
        return UnknownEvent(**common, data=data)
    return kind(**common, **_facts(kind, data))


def _facts(kind: type[Event] | type[FlowName], data: Mapping[str, Any]) -> dict[str, Any]:
    """The values for the fields of this class. Raises MalformedEventError."""
    facts: dict[str, Any] = {}
    for each in fields(kind):
        if each.name in ENVELOPE or (each.name not in data and each.default is not MISSING):
            continue
        try:
            facts[each.name] = _fact(each, data[each.name])
        except (KeyError, TypeError) as error:
            raise MalformedEventError(
                f"The {each.name} of a {kind.__name__} is missing or has a wrong type."
            ) from error
    return facts


def _fact(wanted: Field[Any], value: object) -> object:
    """The parsed value, if the field has a parser, else the value with its type checked. Raises TypeError."""
    if _READ in wanted.metadata:
        return wanted.metadata[_READ](value)
    if not isinstance(value, wanted.type):  # type: ignore[arg-type]  # a real type: this module does not postpone annotations
        raise TypeError
    return value


def _sequence(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise MalformedEventError("An event's sequence must be a number.")
    return int(text)


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise MalformedEventError("An event's time must be RFC 3339.") from error
