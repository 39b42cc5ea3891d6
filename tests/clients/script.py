"""A fake gateway that gives the answers of a test in order: pages, refusals, failures."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

from app.feed import cloudevents
from app.feed.events import EventRecord
from app.flows.rules import events
from dots_gateway_client import Gateway
from tests.dots.fake_dots import NOW

Answer = httpx.Response | Exception


@dataclass(kw_only=True)
class Script:
    """A handler for a mock transport. It gives each answer once and fails after the last one."""

    answers: list[Answer]
    requests: list[httpx.Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Give the next answer."""
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        """Record the pause and return immediately."""
        self.pauses.append(seconds)

    def gateway(self) -> Gateway:
        """A client of this gateway with a fixed jitter of 0.5."""
        transport = httpx.MockTransport(self)
        return Gateway("http://gateway", "dgw_key", transport=transport, sleep=self.sleep, jitter=lambda: 0.5)


def page(*numbers: int, cursor: str) -> httpx.Response:
    """A page with the events of these numbers and the next cursor."""
    found = [envelope(number) for number in numbers]
    return httpx.Response(200, json={"events": found, "next_cursor": cursor, "has_more": False})


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    """A problem document in the service's format."""
    body = {"type": "about:blank", "title": "No", "status": status, "code": code, "detail": "It cannot be."}
    return httpx.Response(status, json=body, headers={"content-type": "application/problem+json"} | headers)


def envelope(number: int, **fields: Any) -> dict[str, Any]:
    """The CloudEvent for the completed step `step-<number>`, with some fields replaced."""
    facts = events.FlowFacts(app="default", flow_id="flow-1", reference="payee-17", user_id=None)
    event = events.step_completed(facts, NOW, step=f"step-{number}")
    record = EventRecord(
        id=UUID(int=number),
        app=event.app,
        type=event.type,
        subject=event.subject,
        sequence=number,
        occurred_at=event.occurred_at,
        data=event.data,
        position=number,
    )
    return cloudevents.envelope(record) | fields
