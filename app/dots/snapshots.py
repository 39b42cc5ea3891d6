"""What Dots said about a flow or a user at one moment, in our words; read by the merge rules only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class FlowSnapshot:
    """A flow as Dots described it; `metadata` is the caller's own, `client_ref` what we had put beside it."""

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
    """The six things kept of a user; None means Dots did not say, which is not false."""

    id: str
    status: str | None
    id_verified: bool | None
    check_status: str | None
    has_criminal_activity: bool | None
    older_check_failed: bool | None


@dataclass(frozen=True, kw_only=True)
class ListedFlow:
    """What a list of flows is read for; `id` is None where it is unreadable."""

    id: str | None
    client_ref: str | None
    created_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class FlowPage:
    """One page of Dots' list of flows, in Dots' order."""

    flows: tuple[ListedFlow, ...]
    has_more: bool
