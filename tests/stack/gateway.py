"""Clients of an api process: a caller with a key, and a consumer of the feed."""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

import httpx

from tests.contracts import emitted
from tests.stack.waiting import DEADLINE_SECONDS

Event = dict[str, Any]


class Gateway:
    """A client of an api process, with an API key."""

    def __init__(self, url: str, client: httpx.AsyncClient, key: str) -> None:
        """Use the api at this URL with this key."""
        self.url = url
        self.client = client
        self._headers = {"Authorization": f"Bearer {key}"}

    async def get(self, path: str, **query: str | int) -> httpx.Response:
        """GET a path; the response with any status."""
        return await self.client.get(f"{self.url}{path}", headers=self._headers, params=query)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """POST to a path; the response with any status."""
        return await self.client.post(f"{self.url}{path}", headers=self._headers | headers, json=body)

    async def read(self, path: str, **query: str | int) -> Any:
        """GET a path; the JSON of its 200 answer."""
        response = await self.get(path, **query)
        assert response.status_code == 200, response.text
        return response.json()

    async def create(self, *steps: Any, **fields: Any) -> dict[str, Any]:
        """Create a flow; the JSON of the answer."""
        response = await self.post("/v1/flows", {"steps": list(steps), **fields})
        assert response.status_code == 201, response.text
        return dict(response.json())

    async def subscribe(self, url: str, *types: str, **fields: Any) -> dict[str, Any]:
        """Create a subscription to these types (default: all); the JSON of the answer, with the secret."""
        response = await self.post("/v1/subscriptions", {"url": url, "types": types or ["*"], **fields})
        assert response.status_code == 201, response.text
        return dict(response.json())


class Feed:
    """A consumer: reads pages from its cursor by long poll and keeps all events."""

    def __init__(self, gateway: Gateway, *, page: int = 500) -> None:
        """Start at the earliest event."""
        self._gateway = gateway
        self._page = page
        self._after: dict[str, str] = {}
        self.events: list[Event] = []

    async def until(self, is_enough: Callable[[list[Event]], bool], *, within: float = DEADLINE_SECONDS) -> list[Event]:
        """Read until `is_enough` accepts the events; all events. AssertionError after `within` seconds."""
        deadline = monotonic() + within
        while not is_enough(self.events):
            assert monotonic() < deadline, f"only {[tell(event) for event in self.events]}"
            await self.read_on(wait=1)
        return self.events

    async def read_on(self, *, limit: int | None = None, wait: float = 0) -> list[Event]:
        """Read the next page. Waits up to `wait` seconds for an event."""
        query: dict[str, str | int] = {"limit": limit or self._page, "wait": str(wait), **self._after}
        page = await self._gateway.read("/v1/events", **query)
        self._after = {"after": page["next_cursor"]}
        for event in page["events"]:
            emitted.check(event)
        self.events += page["events"]
        return list(page["events"])

    async def until_reported(self, subject: str, count: int) -> list[str]:
        """Read until a subject has `count` events; its events in short form."""
        await self.until(lambda events: len(timeline(events, subject)) >= count)
        return timeline(self.events, subject)


def tell(event: Event) -> str:
    """The short form of an event, such as `flow.step_completed compliance`."""
    return " ".join(filter(None, (event["type"].removeprefix("dots."), event["data"].get("step"))))


def timeline(events: Sequence[Event], subject: str) -> list[str]:
    """The short forms of one subject's events, in the feed's order."""
    return [tell(event) for event in events if event["subject"] == subject]
