"""A gateway of a few lines that does what a test wrote down: pages, refusals, failures, in that order."""

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
    """A transport's handler. Each answer is given once; nothing is asked for after the last."""

    answers: list[Answer]
    requests: list[httpx.Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer as written."""
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        """Note the pause, and be awake again at once."""
        self.pauses.append(seconds)

    def gateway(self) -> Gateway:
        """A client of this gateway, whose chance always falls in the middle."""
        transport = httpx.MockTransport(self)
        return Gateway("http://gateway", "dgw_key", transport=transport, sleep=self.sleep, jitter=lambda: 0.5)


def page(*numbers: int, cursor: str) -> httpx.Response:
    """A page with the events of these numbers, `cursor` behind it."""
    found = [envelope(number) for number in numbers]
    return httpx.Response(200, json={"events": found, "next_cursor": cursor, "has_more": False})


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    """A problem document as the service writes them."""
    body = {"type": "about:blank", "title": "No", "status": status, "code": code, "detail": "It cannot be."}
    return httpx.Response(status, json=body, headers={"content-type": "application/problem+json"} | headers)


def envelope(number: int, **fields: Any) -> dict[str, Any]:
    """The CloudEvent of a flow's step `step-<number>`, with some fields otherwise."""
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
