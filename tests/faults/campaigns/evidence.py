"""What is compared with a history: the database, the whole feed, the broker, and Dots' state at the simulator."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.faults.campaigns.history import Arrived, Timeline


@dataclass(frozen=True, kw_only=True)
class StoredWebhook:
    """A row of `webhooks`."""

    body: bytes | None
    received_count: int


@dataclass(frozen=True, kw_only=True)
class SyncRow:
    """A row of `sync_rows`; `is_late` when it has been due for long."""

    subject_id: str
    kind: str
    dirty_gen: int
    clean_gen: int
    is_late: bool
    is_dead: bool
    last_error: str | None


@dataclass(frozen=True, kw_only=True)
class StoredFlow:
    """A row of `flows` with its steps."""

    ref: str
    id: str | None
    status: str
    caller: str | None
    idempotency_key: str | None
    user_id: str | None
    steps: tuple[str, ...]
    completed: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class StoredUser:
    """A row of `users`."""

    id: str
    verdict: str
    was_id_verified: bool
    is_awaited: bool


@dataclass(frozen=True, kw_only=True)
class StoredEvent:
    """A row of `events`."""

    id: str
    type: str
    subject: str
    sequence: int
    position: int | None
    step: str | None
    occurred_at: datetime


@dataclass(frozen=True, kw_only=True)
class StoredSubscription:
    """A row of `subscriptions`; its `name` is kept as its description."""

    name: str
    types: tuple[str, ...]
    with_compliance: bool


@dataclass(frozen=True, kw_only=True)
class StoredDelivery:
    """A row of `deliveries`, with what `delivery_attempts` has of it."""

    subscriber: str
    event_id: str
    state: str
    last_error: str | None
    is_attempted_after_success: bool


@dataclass(frozen=True, kw_only=True)
class StoredCursor:
    """A row of `broker_offsets`: how many events it is `behind` the feed."""

    broker: str
    behind: int


@dataclass(frozen=True, kw_only=True)
class DotsState:
    """Flows and users by id, as Dots would report them now."""

    flows: Mapping[str, Mapping[str, Any]]
    users: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything at one moment. `feed` and `feed_again` are two readings of the whole feed, in pages of other sizes.

    `published` is what the broker keeps, in the order of arrival.
    """

    timeline: Timeline
    webhooks: Mapping[str, StoredWebhook]
    sync_rows: list[SyncRow]
    flows: list[StoredFlow]
    users: Mapping[str, StoredUser]
    events: list[StoredEvent]
    dots_state: DotsState
    feed: list[Mapping[str, Any]]
    feed_again: list[Mapping[str, Any]]
    subscriptions: list[StoredSubscription] = field(default_factory=list)
    deliveries: list[StoredDelivery] = field(default_factory=list)
    cursors: list[StoredCursor] = field(default_factory=list)
    published: list[Arrived] = field(default_factory=list)
