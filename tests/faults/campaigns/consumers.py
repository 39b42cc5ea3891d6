"""Readers during a campaign: consumers of the feed, who may restart anywhere, and callers who read flows."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from tests.faults.campaigns import history
from tests.faults.campaigns.fleet import Fleet
from tests.faults.campaigns.history import Page, Seen


@dataclass(kw_only=True)
class Consumer:
    """Reads the feed in pages of random sizes from random apis, and sometimes from an earlier cursor."""

    fleet: Fleet
    dice: Random
    cursors: list[str | None] = field(default_factory=lambda: [None])
    after: str | None = None

    async def read_on(self, pages: int = 1, *, wait: float = 0.0) -> None:
        """Read some pages. A page that fails does not count."""
        for _ in range(pages):
            if self.dice.random() < 0.1:  # one in ten restarts from an earlier cursor
                self.after = self.dice.choice(self.cursors)
            query: dict[str, Any] = {"limit": self.dice.choice((1, 10, 100, 500)), "wait": wait}
            page = await _get(
                self.fleet, self.dice, "/v1/events", query | ({"after": self.after} if self.after else {})
            )
            if page is None:
                continue
            digests = history.digests(page["events"])
            self.fleet.history.note(Page(after=self.after, next_cursor=page["next_cursor"], digests=digests))
            self.after = page["next_cursor"]
            self.cursors.append(self.after)


async def look_at(fleet: Fleet, dice: Random, flow_id: str) -> None:
    """Read one flow, and record what was seen."""
    flow = await _get(fleet, dice, f"/v1/flows/{flow_id}", {})
    if flow is not None:
        completed = [step["name"] for step in flow["steps"] if step["state"] == "completed"]
        fleet.history.note(Seen(flow_id=flow_id, status=flow["status"], completed=completed))


async def _get(fleet: Fleet, dice: Random, path: str, query: dict[str, Any]) -> dict[str, Any] | None:
    url = f"{dice.choice(fleet.api_urls)}{path}"
    try:
        answer = await fleet.client.get(url, params=query, headers={"Authorization": f"Bearer {fleet.key}"})
    except httpx.TransportError:
        return None
    return dict(answer.json()) if answer.is_success else None
