"""What is held against a history: the database, the feed read from zero, and the truth at the simulator."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.faults.campaigns.history import Story


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
class Truth:
    """Flows and users as Dots would answer them now, by id."""

    flows: Mapping[str, Mapping[str, Any]]
    users: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything at one quiet moment. `feed` and `feed_again` are two readings from zero, in pages of other sizes.

    `own_messages` are the ids of webhooks the simulator sent by itself.
    """

    story: Story
    webhooks: Mapping[str, StoredWebhook]
    sync_rows: list[SyncRow]
    flows: list[StoredFlow]
    users: Mapping[str, StoredUser]
    events: list[StoredEvent]
    truth: Truth
    feed: list[Mapping[str, Any]]
    feed_again: list[Mapping[str, Any]]
    own_messages: frozenset[str] = field(default_factory=frozenset)
