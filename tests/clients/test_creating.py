from dataclasses import fields
from datetime import timedelta
from urllib.parse import unquote

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.flows.schemas import CreatedFlow as CreatedResponse
from app.flows.schemas import FlowResponse, StepResponse
from dots_gateway_client import CreatedFlow, CreationUnsettledError, Flow, FlowNotFoundError, RequestRefusedError, Step
from tests.clients import serving
from tests.clients.script import Script, problem
from tests.dots.memory_dots import MemoryDots


class LosingTransport(httpx.AsyncHTTPTransport):
    """A transport that sends every request and loses the first answers."""

    def __init__(self, *, losses: int) -> None:
        """Set the number of lost answers."""
        super().__init__()
        self.losses = losses
        self.keys: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        self.keys.append(request.headers["idempotency-key"])
        answer = await super().handle_async_request(request)
        if len(self.keys) <= self.losses:
            await answer.aread()
            raise httpx.ReadError("lost")
        return answer


async def no_sleep(_seconds: float) -> None:
    """Return immediately."""


def test_flow_classes_have_the_fields_of_the_service() -> None:
    """The same fields in the same order."""
    ours = [[field.name for field in fields(kind)] for kind in (Flow, CreatedFlow, Step)]

    assert ours == [
        list(FlowResponse.model_fields),
        list(CreatedResponse.model_fields),
        list(StepResponse.model_fields),
    ]


async def test_flow_is_created_and_read(engine: AsyncEngine, dots: MemoryDots) -> None:
    """All parameters reach Dots, and the answer has typed fields. The representation does not show the link."""
    async with serving.client_of(engine, dots, scopes=serving.CALLER) as gateway:
        flow = await gateway.create_flow(
            ["compliance", {"name": "manage-payouts", "hide_continue_button": True}],
            reference="payee-17",
            metadata={"team": "eu"},
            require_auth=True,
            app="default",
            user_ip="192.0.2.1",
        )
        read = await gateway.get_flow(flow.id or "")

    assert (flow.app, flow.caller, flow.reference, flow.status) == ("default", "shop", "payee-17", "open")
    assert flow.metadata == {"team": "eu"}
    assert flow.steps == tuple(
        Step(name=name, state="pending", completed_at=None, discovered_by=None)
        for name in ("compliance", "manage-payouts")
    )
    assert flow.created_at.utcoffset() == timedelta(0)
    assert vars(flow) == vars(read) | {"warnings": ()}
    assert flow.link is not None
    assert flow.link not in repr(flow)
    assert dots.requests[0].headers["Dots-User-IP"] == "192.0.2.1"
    assert dots.posts[0]["require_auth"] is True


async def test_lost_answer_creates_no_second_flow(engine: AsyncEngine, dots: MemoryDots) -> None:
    """All attempts have the same key, so the service returns the first answer again."""
    transport = LosingTransport(losses=2)

    async with serving.client_of(engine, dots, scopes=serving.CALLER, transport=transport, sleep=no_sleep) as gateway:
        flow = await gateway.create_flow(["compliance"], reference="payee-17")

    assert flow.status == "open"
    assert len(dots.posts) == 1
    assert len(transport.keys) == 3
    assert len(set(transport.keys)) == 1


async def test_only_calls_with_the_same_key_return_the_same_flow(engine: AsyncEngine, dots: MemoryDots) -> None:
    """The default key differs for each call. A misspelt step gives a warning."""
    async with serving.client_of(engine, dots, scopes=serving.CALLER) as gateway:
        flows = [await gateway.create_flow(["complience"]) for _ in range(2)]
        same = [await gateway.create_flow(["compliance"], idempotency_key="payee-17") for _ in range(2)]

    assert flows[0].id != flows[1].id
    assert flows[0].warnings == ("did you mean compliance?",)
    assert same[0].id == same[1].id
    assert len(dots.posts) == 3


async def test_caller_can_repeat_after_the_client_gave_up(engine: AsyncEngine, dots: MemoryDots) -> None:
    """The error has the key. When Dots is available again, the same call creates one flow."""
    dots.fault = httpx.ConnectError("no route")
    async with serving.client_of(engine, dots, scopes=serving.CALLER, sleep=no_sleep) as gateway:
        with pytest.raises(CreationUnsettledError, match="idempotency_key=") as raised:
            await gateway.create_flow(["compliance"], give_up_after=timedelta(seconds=12))
        attempts = len(dots.posts)
        dots.fault = None
        flow = await gateway.create_flow(["compliance"], idempotency_key=raised.value.idempotency_key)

    assert (raised.value.status, raised.value.retry_after_seconds) == (503, 5)
    assert attempts == 3, "each pause takes more than 5 s, and 12 s are allowed"
    assert flow.status == "open"
    assert list(dots.flows) == [flow.id]


async def test_running_creation_is_retried() -> None:
    """409 `creation_running` is an unfinished earlier attempt. Every other 409 is a refusal."""
    running = problem(409, "creation_running", **{"Retry-After": "2"})
    script = Script(answers=[httpx.ReadTimeout(""), running, problem(409, "another_code")])

    async with script.gateway() as gateway:
        with pytest.raises(RequestRefusedError, match="another_code"):
            await gateway.create_flow(["compliance"])

    assert script.pauses == [0.375, 2.75]
    assert len({request.headers["idempotency-key"] for request in script.requests}) == 1


async def test_refused_creation_names_the_field_and_an_unknown_flow_has_its_own_error(
    engine: AsyncEngine, dots: MemoryDots
) -> None:
    """Both errors come from the service."""
    async with serving.client_of(engine, dots, scopes=serving.CALLER) as gateway:
        with pytest.raises(RequestRefusedError, match=r"steps\.0\.redirect_url: ") as raised:
            await gateway.create_flow([{"name": "redirect"}])
        with pytest.raises(FlowNotFoundError, match="No flow with this id"):
            await gateway.get_flow("b3293101-35ef-451a-aad4-881da3697c2f")

    assert [field for field, _ in raised.value.fields] == ["steps.0.redirect_url"]
    assert dots.posts == []


@pytest.mark.parametrize("flow_id", ["../keys", "a/b?c#d", "%2e%2e"])
async def test_flow_id_is_one_escaped_part_of_the_path(flow_id: str) -> None:
    """A malformed id cannot reach another endpoint."""
    script = Script(answers=[problem(404, "flow_not_found")])

    async with script.gateway() as gateway:
        with pytest.raises(FlowNotFoundError):
            await gateway.get_flow(flow_id)

    (path,) = [request.url.raw_path.decode() for request in script.requests]
    assert path.count("/") == 3
    assert unquote(path.removeprefix("/v1/flows/")) == flow_id
