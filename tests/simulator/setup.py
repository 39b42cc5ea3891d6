"""What an in-process simulator runs with: a manual clock, a receiver of webhooks, and a client."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from standardwebhooks.webhooks import Webhook

from simulator.settings import Settings
from simulator.simulation import Simulation

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RECEIVER_URL = "http://receiver.test/webhooks/dots"
SETTINGS = Settings(public_url="http://dots.test", webhook_url=RECEIVER_URL, webhook_secret=SECRET)


@dataclass(kw_only=True)
class ManualClock:
    """A clock that advances only when a test sets it or the simulator sleeps."""

    now: datetime = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    slept: list[float] = field(default_factory=list)
    while_sleeping: Callable[[], None] = lambda: None

    def read(self) -> datetime:
        """The current time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Advance the clock without waiting."""
        self.slept.append(seconds)
        self.while_sleeping()
        self.now += timedelta(seconds=seconds)
        await asyncio.sleep(0)


@dataclass(kw_only=True)
class Receiver:
    """Records requests. Answers with the queued responses, then 204. Raises a queued exception; hangs on None."""

    requests: list[httpx.Request] = field(default_factory=list)
    answers: list[httpx.Response | Exception | None] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Receive one webhook."""
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else httpx.Response(204)
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        assert answer is not None
        return answer

    @property
    def bodies(self) -> list[str]:
        """The bodies received, in order."""
        return [request.content.decode() for request in self.requests]

    @property
    def ids(self) -> list[str]:
        """The message ids received, in order."""
        return [request.headers["svix-id"] for request in self.requests]


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A simulation, a client, the clock and the receiver."""

    simulation: Simulation
    client: httpx.AsyncClient
    clock: ManualClock
    receiver: Receiver

    async def create(self, *steps: Any, **fields: Any) -> dict[str, Any]:
        """Create a flow; the API's answer."""
        response = await self.client.post("/api/v2/flows", json={"steps": list(steps), **fields})
        assert response.is_success, response.text
        return dict(response.json())

    async def create_user(self, **fields: Any) -> dict[str, Any]:
        """Create a user; the control API's answer."""
        response = await self.client.post("/_control/users", json=fields)
        assert response.status_code == 201, response.text
        return dict(response.json())

    async def create_known(self, *steps: Any, user_id: str | None = None, **fields: Any) -> dict[str, Any]:
        """Create a flow for a known user. Its link needs no code."""
        return await self.create(*steps, user_id=user_id or (await self.create_user())["id"], **fields)

    async def control(self, path: str, body: Any = None) -> Any:
        """POST to the control API; the JSON of the answer."""
        response = await self.client.post(f"/_control/{path}", json=body)
        assert response.is_success, response.text
        return response.json()

    async def turn(self, **changes: int | Mapping[str, Any]) -> None:
        """Change knobs, by group."""
        response = await self.client.patch("/_control/knobs", json=changes)
        assert response.is_success, response.text

    async def get(self, path: str) -> Any:
        """GET a path; the JSON of the answer."""
        response = await self.client.get(path)
        assert response.is_success, response.text
        return response.json()

    async def settle(self) -> None:
        """Wait until all deliveries are finished or held."""
        await self.simulation.sender.settle()


def is_signed_with(request: httpx.Request, secret: str, *, family: str = "svix") -> bool:
    """Whether the request has the signature that the standardwebhooks package makes with this secret."""
    at = datetime.fromtimestamp(int(request.headers[f"{family}-timestamp"]), UTC)
    expected = Webhook(secret).sign(request.headers[f"{family}-id"], at, request.content.decode())
    return expected in request.headers[f"{family}-signature"].split(" ")
