"""Announces merges of users, and reads their results."""

import json
from datetime import timedelta
from typing import Any

from app.dots.signature import Attestation
from app.flows.refresh_due import refresh_due
from app.webhooks.receive_webhook import WebhookReceiver
from tests.all_inputs import AllInputs, HandClock
from tests.dots.memory_dots import MemoryDots, flow_id_of
from tests.storage import stored

OLD, MIDDLE, NEW = (f"00000000-0000-4000-8000-00000000000{letter}" for letter in "abc")
MERGE = {"old_user_id": OLD, "new_user_id": NEW}
OWNERS = "SELECT user_id FROM flows ORDER BY id"
USERS = "SELECT id, verdict, merged_into FROM users ORDER BY id"


class Announcer:
    """Sends webhooks to the receiver."""

    def __init__(self, receiver: WebhookReceiver, clock: HandClock) -> None:
        """Number messages from 1."""
        self._receiver = receiver
        self._clock = clock
        self._count = 0

    async def __call__(self, body: dict[str, Any], *, message_id: str | None = None, app: str = "default") -> None:
        """Send a webhook, a second after the one before."""
        self._count += 1
        self._clock.advance(timedelta(seconds=1))
        attestation = Attestation(message_id=message_id or f"msg_{self._count}", attempted_at=self._clock.now)
        await self._receiver.receive(app, attestation, json.dumps(body).encode(), received_at=self._clock.now)


async def refresh(inputs: AllInputs) -> None:
    """Refresh until nothing is due."""
    while (await refresh_due(inputs, limit=50)).claimed:
        pass


async def own_flow(
    inputs: AllInputs, dots: MemoryDots, announce: Announcer, user_id: str = OLD, *, number: int = 1
) -> None:
    """Add a flow of this user, with a submitted background check that is pending."""
    dots.add_flow(number, steps=["background-check"], completed_steps=["background-check"], user_id=user_id)
    dots.add_user(user_id, background_check={"status": "pending"})
    await announce({"flow_id": flow_id_of(number)})
    await refresh(inputs)


async def owners(inputs: AllInputs) -> set[str]:
    """Return the users that have flows."""
    return {row["user_id"] for row in await stored.rows(inputs.engine, OWNERS)}
