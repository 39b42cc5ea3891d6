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
    """A network that carries every request, and loses the first few answers."""

    def __init__(self, *, losses: int) -> None:
        """Take how many."""
        super().__init__()
        self.losses = losses
        self.keys: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request."""
        self.keys.append(request.headers["idempotency-key"])
        answer = await super().handle_async_request(request)
        if len(self.keys) <= self.losses:
            await answer.aread()
            raise httpx.ReadError("lost")
        return answer


async def at_once(_seconds: float) -> None:
    """Pause for no time."""


def test_flow_has_every_field_of_the_service() -> None:
    """What the service says of flows and steps is here, and nothing else is."""
    ours = [[field.name for field in fields(kind)] for kind in (Flow, CreatedFlow, Step)]

    assert ours == [
        list(FlowResponse.model_fields),
        list(CreatedResponse.model_fields),
        list(StepResponse.model_fields),
    ]


async def test_flow_is_created_and_read(engine: AsyncEngine, dots: MemoryDots) -> None:
    """Everything given arrives at Dots, and what the service says comes back typed."""
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
    assert dots.requests[0].headers["Dots-User-IP"] == "192.0.2.1"
    assert dots.posts[0]["require_auth"] is True


async def test_warnings_come_with_a_created_flow(engine: AsyncEngine, dots: MemoryDots) -> None:
    """A step that looks misspelt is created, and said."""
    async with serving.client_of(engine, dots, scopes=serving.CALLER) as gateway:
        flow = await gateway.create_flow(["complience"])

    assert flow.warnings == ("did you mean compliance?",)


async def test_link_is_in_no_log(engine: AsyncEngine, dots: MemoryDots) -> None:
    """Whoever holds the link may act as the payee, so that a flow in a log line is shown without it."""
    async with serving.client_of(engine, dots, scopes=serving.CALLER) as gateway:
        flow = await gateway.create_flow(["compliance"])

    assert flow.link is not None
    assert flow.link not in repr(flow)


async def test_lost_answer_makes_no_second_flow(engine: AsyncEngine, dots: MemoryDots) -> None:
    """The repeat has the first one's key, so that the service gives the first one's answer."""
    transport = LosingTransport(losses=2)

    async with serving.client_of(engine, dots, scopes=serving.CALLER, transport=transport, sleep=at_once) as gateway:
        flow = await gateway.create_flow(["compliance"], reference="payee-17")

    assert flow.status == "open"
    assert len(dots.posts) == 1
    assert len(transport.keys) == 3
    assert len(set(transport.keys)) == 1


async def test_two_calls_make_two_flows_unless_the_key_is_the_same(engine: AsyncEngine, dots: MemoryDots) -> None:
    """A key is made up for each call; the caller's own is the caller's."""
    async with serving.client_of(engine, dots, scopes=serving.CALLER) as gateway:
        flows = [await gateway.create_flow(["compliance"]) for _ in range(2)]
        same = [await gateway.create_flow(["compliance"], idempotency_key="payee-17") for _ in range(2)]

    assert flows[0].id != flows[1].id
    assert same[0].id == same[1].id
    assert len(dots.posts) == 3


async def test_caller_can_go_on_where_the_client_gave_up(engine: AsyncEngine, dots: MemoryDots) -> None:
    """The error has the key; when Dots is back, the same call makes the flow, and only one."""
    dots.fault = httpx.ConnectError("no way there")
    async with serving.client_of(engine, dots, scopes=serving.CALLER, sleep=at_once) as gateway:
        with pytest.raises(CreationUnsettledError, match="idempotency_key=") as raised:
            await gateway.create_flow(["compliance"], give_up_after=timedelta(seconds=12))
        tried = len(dots.posts)
        dots.fault = None
        flow = await gateway.create_flow(["compliance"], idempotency_key=raised.value.idempotency_key)

    assert (raised.value.status, raised.value.retry_after_seconds) == (503, 5)
    assert tried == 3, "pauses of more than 5 s each, 12 s in all"
    assert flow.status == "open"
    assert list(dots.flows) == [flow.id]


async def test_creation_under_way_is_waited_for() -> None:
    """409 `creation_running` is the same call, still at it; any other 409 is a refusal."""
    running = problem(409, "creation_running", **{"Retry-After": "2"})
    script = Script(answers=[httpx.ReadTimeout(""), running, problem(409, "another_code")])

    async with script.gateway() as gateway:
        with pytest.raises(RequestRefusedError, match="another_code"):
            await gateway.create_flow(["compliance"])

    assert script.pauses == [0.375, 2.75]
    assert len({request.headers["idempotency-key"] for request in script.requests}) == 1


async def test_malformed_flow_is_refused_by_field(engine: AsyncEngine, dots: MemoryDots) -> None:
    """What is wrong with which field, as the service has it."""
    async with serving.client_of(engine, dots, scopes=serving.CALLER) as gateway:
        with pytest.raises(RequestRefusedError, match=r"steps\.0\.redirect_url: ") as raised:
            await gateway.create_flow([{"name": "redirect"}])

    assert [field for field, _ in raised.value.fields] == ["steps.0.redirect_url"]
    assert dots.posts == []


@pytest.mark.parametrize("flow_id", ["../keys", "a/b?c#d", "%2e%2e"])
async def test_id_stays_one_part_of_the_path(flow_id: str) -> None:
    """Whatever it is made of, nothing else is asked for."""
    script = Script(answers=[problem(404, "flow_not_found")])

    async with script.gateway() as gateway:
        with pytest.raises(FlowNotFoundError):
            await gateway.get_flow(flow_id)

    (path,) = [request.url.raw_path.decode() for request in script.requests]
    assert path.count("/") == 3
    assert unquote(path.removeprefix("/v1/flows/")) == flow_id


async def test_unknown_flow_has_its_own_error(engine: AsyncEngine, dots: MemoryDots) -> None:
    """A caller tells it from a request that is wrong."""
    async with serving.client_of(engine, dots, scopes=serving.CALLER) as gateway:
        with pytest.raises(FlowNotFoundError, match="No flow with this id"):
            await gateway.get_flow("b3293101-35ef-451a-aad4-881da3697c2f")
