"""Snapshots: what Dots answered about a flow or a user at one time, in our terms."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class FlowSnapshot:
    """A flow as Dots described it. `metadata` is the caller's; `client_ref` is the reference that we added to it."""

    id: str
    steps: tuple[str, ...]
    completed_steps: tuple[str, ...]
    user_id: str | None
    link: str | None
    metadata: dict[str, Any] | str | None
    client_ref: str | None
    payout_link_id: str | None
    created_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class UserSnapshot:
    """The six fields that we keep of a user. None means that Dots did not give the field. It does not mean false."""

    id: str
    status: str | None
    id_verified: bool | None
    check_status: str | None
    has_criminal_activity: bool | None
    older_check_failed: bool | None


@dataclass(frozen=True, kw_only=True)
class ListedFlow:
    """The fields that we read of a flow in a list. `id` is None if it is unreadable."""

    id: str | None
    client_ref: str | None
    created_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class FlowPage:
    """One page of Dots' list of flows, in Dots' order."""

    flows: tuple[ListedFlow, ...]
    has_more: bool
