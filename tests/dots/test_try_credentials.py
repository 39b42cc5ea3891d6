"""Checking the credentials of a paused app when a process starts."""

from datetime import timedelta

import httpx
import pytest

from app.dots.try_credentials import try_credentials
from app.errors import DotsCredentialsError
from app.flows.refresh_due import refresh_due
from app.tools import Tools
from tests.dots.fake_dots import NOW
from tests.dots.memory_dots import (
    Fault,
    MemoryDots,
    flow_id_of,
    refusal,
)
from tests.flows.due import flow, make_due
from tests.stand_in_tools import HandClock, another_process
from tests.storage import stored

PAUSES = "SELECT app, pauses, paused_until FROM apps WHERE app = 'default'"


async def pause(tools: Tools, dots: MemoryDots) -> None:
    """Have Dots refuse the credentials, and the gateway find out."""
    dots.fault = refusal(401, "unauthorized")
    await make_due(tools, flow(flow_id_of(1)))
    await refresh_due(tools, limit=1)
    dots.requests.clear()


async def test_process_with_new_credentials_ends_the_pause(
    tools: Tools, dots: MemoryDots, other_dots: MemoryDots, clock: HandClock
) -> None:
    """The operator restarts with the right key: nobody waits for the rest of the pause, in any process."""
    dots.add_flow(1)
    await pause(tools, dots)
    dots.fault = None
    restarted = another_process(tools)

    await try_credentials(restarted)
    clock.advance(timedelta(seconds=6))
    by_an_old_process = await refresh_due(tools, limit=1)

    assert await stored.rows(tools.engine, PAUSES) == [{"app": "default", "pauses": 0, "paused_until": None}]
    assert (by_an_old_process.claimed, by_an_old_process.failed) == (1, 0)
    assert other_dots.requests == []


@pytest.mark.parametrize(
    "fault", [refusal(401, "unauthorized"), refusal(500, "oops"), httpx.ConnectError("no")], ids=str
)
async def test_pause_goes_on_unless_dots_accepts_the_credentials(tools: Tools, dots: MemoryDots, fault: Fault) -> None:
    """One call, whatever comes of it; the pause is neither ended nor made longer."""
    await pause(tools, dots)
    dots.fault = fault

    await try_credentials(another_process(tools))

    assert len(dots.requests) == 1
    assert await stored.rows(tools.engine, PAUSES) == [
        {"app": "default", "pauses": 1, "paused_until": NOW + timedelta(minutes=1)}
    ]


async def test_app_that_is_not_paused_is_not_called(tools: Tools, dots: MemoryDots) -> None:
    """A process that starts costs nothing, however many there are."""
    await try_credentials(tools)

    assert dots.requests == []


async def test_refusal_outside_of_the_service_pauses_nothing(tools: Tools, dots: MemoryDots) -> None:
    """`doctor` may run with other credentials than the service: only what the service itself sends may pause it."""
    dots.fault = refusal(401, "unauthorized")

    with pytest.raises(DotsCredentialsError):
        await tools.client("default").try_credentials()

    assert await stored.rows(tools.engine, PAUSES) == [{"app": "default", "pauses": 0, "paused_until": None}]
