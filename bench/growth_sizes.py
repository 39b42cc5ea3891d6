"""How many rows the grown database holds, and the names under which the fill and the measurements find them."""

import hashlib
from dataclasses import dataclass
from typing import Self
from uuid import UUID

FLOWS = 300_000
# Webhooks, events and users for each flow; see the issue: 3 million, 1.5 million and 200,000.
WEBHOOKS_PER_FLOW = 10
SMALLEST_FLOWS = 1000
# On a database of any size: what waits or is rare costs by its number, and it is growth that is measured.
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
        """The grown database, or a part of it."""
        return cls(flows=max(SMALLEST_FLOWS, round(FLOWS * scale)))

    @classmethod
    def empty(cls) -> Self:
        """As few rows as it takes for every question to get an answer as long as on the grown database."""
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
        """Of this many flows one has a failing sync row, and a user whose check is pending."""
        return self.flows // RARE

    @property
    def parameters(self) -> dict[str, int]:
        """The values that the statements of the fill take."""
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
    # Random-looking UUIDs, like Dots' own, that need no look-up.
    return str(UUID(hashlib.md5(f"{kind}-{number}".encode(), usedforsecurity=False).hexdigest()))
