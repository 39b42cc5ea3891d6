"""A small fake Dots in the test's own process, with its data, recorded requests and planned failures."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx

from app.dots.client import DotsClient
from app.dots.gate import Gate
from tests.dots import fake_dots

Fault = httpx.Response | Exception


@dataclass(kw_only=True)
class MemoryDots:
    """A transport's handler. `faults` answer the next requests, `fault` answers all; a closed `gate` delays answers.

    `on_request` runs before each answer.
    """

    flows: dict[str, dict[str, Any]] = field(default_factory=dict)
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    fault: Fault | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)
    page_size: int = 100
    is_newest_first: bool = True
    on_request: Callable[[], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        """Open the gate."""
        self.gate.set()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer as Dots would."""
        self.requests.append(request)
        self.is_asked.set()
        if self.on_request:
            await self.on_request()
        await self.gate.wait()
        fault = self.faults.pop(0) if self.faults else self.fault
        if isinstance(fault, Exception):
            raise fault
        return fault or self._answer(request)

    def client(self, gate: Gate, now: Callable[[], datetime]) -> DotsClient:
        """A client of this Dots."""
        access = fake_dots.access(app_id=gate.app)
        return DotsClient(access, gate=gate, transport=httpx.MockTransport(self), now=now)

    @property
    def posts(self) -> list[dict[str, Any]]:
        """The bodies of the requested creations, in order."""
        return [json.loads(request.content) for request in self.requests if request.method == "POST"]

    def add_flow(self, number: int = 1, **fields: Any) -> dict[str, Any]:
        """Add a flow, which the test may change later. Its id follows from the number."""
        flow_id = flow_id_of(number)
        link = f"https://my-sandbox.dots.dev/flow/{flow_id}"
        flow = {
            "completed_steps": [],
            "created": "2026-11-23T12:00:00.000000",
            "id": flow_id,
            "link": link,
            "metadata": None,
            "payout_link_id": None,
            "steps": ["compliance"],
            "user_id": None,
        } | fields
        self.flows[flow_id] = flow
        return flow

    def add_user(self, user_id: str = fake_dots.USER, **compliance: Any) -> dict[str, Any]:
        """Add a user with personal data and these fields of `compliance`."""
        user = {
            "id": user_id,
            "first_name": "Ada",
            "last_name": "Lovelace",
            "email": "ada@example.com",
            "phone_number": {"country_code": "1", "phone_number": "4155550123"},
            "status": "verified",
            "compliance": compliance,
        }
        self.users[user_id] = user
        return user

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            body = json.loads(request.content)
            names = [step if isinstance(step, str) else step["name"] for step in body["steps"]]
            made = {"steps": names, "metadata": body["metadata"], "user_id": body.get("user_id")}
            return httpx.Response(200, json=self.add_flow(len(self.flows) + 1, **made))
        if request.url.path == "/api/v2/flows":
            return self._page(request.url.params.get("starting_after"), int(request.url.params["limit"]))
        collection, _, subject_id = request.url.path.removeprefix("/api/v2/").partition("/")
        known = self.flows if collection == "flows" else self.users
        if subject_id not in known:
            return refusal(404, "not-found")
        return httpx.Response(200, json=known[subject_id])

    def _page(self, after: str | None, limit: int) -> httpx.Response:
        """Return a page of the list, newest first unless the test sets another order."""
        newest = sorted(self.flows.values(), key=lambda flow: flow["created"], reverse=self.is_newest_first)
        begin = next((place + 1 for place, flow in enumerate(newest) if flow["id"] == after), 0)
        end = begin + min(limit, self.page_size)
        return httpx.Response(200, json={"data": newest[begin:end], "has_more": end < len(newest)})


def flow_id_of(number: int) -> str:
    """Return the id of the flow with this number."""
    return str(UUID(int=number, version=4))


def refusal(status: int, error_code: str, *, headers: dict[str, str] | None = None) -> httpx.Response:
    """Return an error of Dots. Its message quotes personal data that must not leave the gateway."""
    body = {"success": False, "message": "Ada Lovelace ada@example.com is not welcome", "error_code": error_code}
    return httpx.Response(status, json=body, headers=headers)
