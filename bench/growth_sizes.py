"""The row counts of the databases, and the ids that the fill and the measurements share."""

import hashlib
from dataclasses import dataclass
from typing import Self
from uuid import UUID

FLOWS = 300_000
# At full scale 3 million webhooks, 1.5 million events and 200,000 users.
WEBHOOKS_PER_FLOW = 10
SMALLEST_FLOWS = 1000
# The same on a database of any size, because the cost of waiting or rare rows depends on their number.
FAILED_FLOWS = 20
RARE = 200
# Webhook ids are kept for longer and bodies for 30 days, so that nothing expires while the bench runs.
DAYS = 88
BODY_DAYS = 29
RARE_EVENT = "flow.transaction_updated"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Row counts of one database."""

    flows: int

    @classmethod
    def grown(cls, scale: float) -> Self:
        """The grown database, at this scale."""
        return cls(flows=max(SMALLEST_FLOWS, round(FLOWS * scale)))

    @classmethod
    def empty(cls) -> Self:
        """The fewest rows with which every request gets an answer as long as on the grown database."""
        return cls(flows=SMALLEST_FLOWS)

    @property
    def users(self) -> int:
        """Two users for three flows."""
        return self.flows * 2 // 3

    @property
    def webhooks(self) -> int:
        """Ten webhooks for each flow."""
        return self.flows * WEBHOOKS_PER_FLOW

    @property
    def every(self) -> int:
        """One flow of this many has a failing sync row and a user with a pending check."""
        return self.flows // RARE

    @property
    def parameters(self) -> dict[str, int]:
        """The parameters of the fill's statements."""
        return {
            "flows": self.flows,
            "users": self.users,
            "webhooks": self.webhooks,
            "failed": FAILED_FLOWS,
            "every": self.every,
            "days": DAYS,
            "body_days": BODY_DAYS,
        }


def flow_id(number: int) -> str:
    """Dots' id of the flow with this number, as `pg_temp.name_of('flow', number)` makes it."""
    return _name_of("flow", number)


def user_id(flow_number: int) -> str:
    """Dots' id of the user of this flow."""
    return _name_of("user", 1 + (flow_number - 1) * 2 // 3)


def _name_of(kind: str, number: int) -> str:
    # UUIDs that look random like Dots' own, but are computed from the number.
    return str(UUID(hashlib.md5(f"{kind}-{number}".encode(), usedforsecurity=False).hexdigest()))
