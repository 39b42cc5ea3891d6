"""A user and a background check."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from simulator.world.apps import SIMULATED_APP_ID

UserStatus = Literal["verified", "unverified", "disabled", "in_review"]

CheckStatus = Literal[
    "not_started",
    "started",
    "pending",
    "consider",
    "pass",
    "failed",
    "canceled",
    "expired",
    "information_mismatch",
]

CHECK_STATUSES: tuple[str, ...] = get_args(CheckStatus)


@dataclass(frozen=True, kw_only=True)
class BackgroundCheck:
    """The state of a user's criminal-history check. `has_activity` None: not decided."""

    status: CheckStatus
    has_activity: bool | None
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class User:
    """One payee. Name, e-mail address and phone number are always invented.

    `payout_choice` is the number of the payout method saved last.
    """

    id: str
    created_at: datetime
    first_name: str
    last_name: str
    email: str
    phone_number: str
    status: UserStatus
    id_verified: bool = False
    background_check: BackgroundCheck | None = None
    payout_choice: str | None = None
    api_app_id: str = SIMULATED_APP_ID
    metadata: Any = None
