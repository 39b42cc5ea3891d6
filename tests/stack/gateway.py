"""The gateway as its callers see it: one api process, called with one key."""

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
        """Take the address of the api and the key to call it with."""
        self.url = url
        self.client = client
        self._headers = {"Authorization": f"Bearer {key}"}

    async def get(self, path: str, **query: str | int) -> httpx.Response:
        """GET a path, whatever comes of it."""
        return await self.client.get(f"{self.url}{path}", headers=self._headers, params=query)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """POST to a path, whatever comes of it."""
        return await self.client.post(f"{self.url}{path}", headers=self._headers | headers, json=body)

    async def read(self, path: str, **query: str | int) -> Any:
        """The JSON at a path, which has to be there."""
        response = await self.get(path, **query)
        assert response.status_code == 200, response.text
        return response.json()

    async def create(self, *steps: Any, **fields: Any) -> dict[str, Any]:
        """A new flow, as the caller was told of it."""
        response = await self.post("/v1/flows", {"steps": list(steps), **fields})
        assert response.status_code == 201, response.text
        return dict(response.json())

    async def subscribe(self, url: str, *types: str, **fields: Any) -> dict[str, Any]:
        """A new subscription, with its secret; to everything unless types are named."""
        response = await self.post("/v1/subscriptions", {"url": url, "types": types or ["*"], **fields})
        assert response.status_code == 201, response.text
        return dict(response.json())


class Feed:
    """A consumer: reads on from its cursor by long poll, in pages, and keeps what it has read."""

    def __init__(self, gateway: Gateway, *, page: int = 500) -> None:
        """Begin at the earliest event."""
        self._gateway = gateway
        self._page = page
        self._after: dict[str, str] = {}
        self.events: list[Event] = []

    async def until(self, is_enough: Callable[[list[Event]], bool], *, within: float = DEADLINE_SECONDS) -> list[Event]:
        """Read on until what was read is enough; all of it. AssertionError after `within` seconds."""
        deadline = monotonic() + within
        while not is_enough(self.events):
            assert monotonic() < deadline, f"only {[tell(event) for event in self.events]}"
            await self.read_on(wait=1)
        return self.events

    async def read_on(self, *, limit: int | None = None, wait: float = 0) -> list[Event]:
        """The next page, waiting up to `wait` seconds for a first event."""
        query: dict[str, str | int] = {"limit": limit or self._page, "wait": str(wait), **self._after}
        page = await self._gateway.read("/v1/events", **query)
        self._after = {"after": page["next_cursor"]}
        for event in page["events"]:
            emitted.check(event)
        self.events += page["events"]
        return list(page["events"])

    async def until_reported(self, subject: str, count: int) -> list[str]:
        """Read on until a subject has so many events; what they tell."""
        await self.until(lambda events: len(timeline(events, subject)) >= count)
        return timeline(self.events, subject)


def tell(event: Event) -> str:
    """An event in a few words: `flow.step_completed compliance`."""
    return " ".join(filter(None, (event["type"].removeprefix("dots."), event["data"].get("step"))))


def timeline(events: Sequence[Event], subject: str) -> list[str]:
    """What the events of one subject tell, in the order of the feed."""
    return [tell(event) for event in events if event["subject"] == subject]
