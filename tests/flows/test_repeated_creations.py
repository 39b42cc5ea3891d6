"""Creations that a worker repeats, because the first POST got no answer."""

from datetime import timedelta

import httpx
import pytest

from app.errors import CreationOutcomeUnknownError
from app.flows.create_flow import create_flow
from app.flows.discover_flows import discover_flows
from app.flows.rules.flow_request import FlowRequest
from app.flows.settle_creations import settle_creations
from tests.all_inputs import AllInputs, HandClock
from tests.dots.memory_dots import Fault, MemoryDots, refusal
from tests.flows import creating
from tests.storage import stored

REQUEST = FlowRequest(app="default", steps=["compliance"], reference="payee-17")


async def lose_the_answer(inputs: AllInputs, dots: MemoryDots, *, user_ip: str | None = None) -> None:
    """Begin a creation whose POST does not arrive at Dots."""
    dots.faults = [httpx.ReadTimeout("never arrived")]
    with pytest.raises(CreationOutcomeUnknownError):
        await create_flow(
            inputs, REQUEST, caller="shop", idempotency_key="key-1", describe=creating.describe, user_ip=user_ip
        )


async def repeat(inputs: AllInputs, clock: HandClock) -> None:
    """Run a worker until it sends the POST again."""
    for _ in range(5):
        clock.advance(timedelta(seconds=30))
        await discover_flows(inputs)
        await settle_creations(inputs)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (refusal(404, "not-found"), "failed"),
        (refusal(403, "forbidden"), "failed"),
        (httpx.Response(404, text="<html>"), "failed"),
        (refusal(422, "invalid-input"), "failed"),
        (httpx.ConnectError("no"), "creating"),
        (refusal(400, "resource-busy"), "creating"),
    ],
    ids=str,
)
async def test_repeat_that_dots_refuses_frees_the_key(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock, fault: Fault, status: str
) -> None:
    """The creation has failed, unless the error is temporary. Otherwise the caller would get 409 for ever."""
    await lose_the_answer(inputs, dots)

    async def fail_posts() -> None:
        dots.faults = [fault] if dots.requests[-1].method == "POST" else []

    dots.on_request = fail_posts
    await repeat(inputs, clock)

    assert len(dots.posts) == 2
    assert (await stored.row(inputs.engine, "SELECT status FROM flows"))["status"] == status


async def test_repeat_goes_without_the_address_of_the_payee(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """The address is not stored, so only the caller's own attempt sends it."""
    await lose_the_answer(inputs, dots, user_ip="203.0.113.9")

    await repeat(inputs, clock)

    posts = [request for request in dots.requests if request.method == "POST"]
    assert [request.headers.get("dots-user-ip") for request in posts] == ["203.0.113.9", None]
