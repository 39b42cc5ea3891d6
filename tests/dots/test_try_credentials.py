"""A process that starts checks the credentials of paused apps."""

from datetime import timedelta

import httpx
import pytest

from app.dots.try_credentials import try_credentials
from app.errors import DotsCredentialsError
from app.flows.refresh_due import refresh_due
from tests.all_inputs import AllInputs, HandClock, another_process
from tests.dots.fake_dots import NOW
from tests.dots.memory_dots import (
    Fault,
    MemoryDots,
    flow_id_of,
    refusal,
)
from tests.flows.due import flow, make_due
from tests.storage import stored

PAUSES = "SELECT app, pauses, paused_until FROM apps WHERE app = 'default'"


async def pause(inputs: AllInputs, dots: MemoryDots) -> None:
    """Pause the app: Dots refuses the credentials of a refresh."""
    dots.fault = refusal(401, "unauthorized")
    await make_due(inputs, flow(flow_id_of(1)))
    await refresh_due(inputs, limit=1)
    dots.requests.clear()


async def test_process_with_new_credentials_ends_the_pause(
    inputs: AllInputs, dots: MemoryDots, other_dots: MemoryDots, clock: HandClock
) -> None:
    """After a restart with the right key, no process waits for the rest of the pause."""
    dots.add_flow(1)
    await pause(inputs, dots)
    dots.fault = None
    restarted = another_process(inputs)

    await try_credentials(restarted.engine, restarted.clients, now=restarted.clock())
    clock.advance(timedelta(seconds=6))
    by_an_old_process = await refresh_due(inputs, limit=1)

    assert await stored.rows(inputs.engine, PAUSES) == [{"app": "default", "pauses": 0, "paused_until": None}]
    assert (by_an_old_process.claimed, by_an_old_process.failed) == (1, 0)
    assert other_dots.requests == []


@pytest.mark.parametrize(
    "fault", [refusal(401, "unauthorized"), refusal(500, "oops"), httpx.ConnectError("no")], ids=str
)
async def test_pause_goes_on_unless_dots_accepts_the_credentials(
    inputs: AllInputs, dots: MemoryDots, fault: Fault
) -> None:
    """The check makes one call. If that fails, the pause neither ends nor grows."""
    await pause(inputs, dots)
    dots.fault = fault

    restarted = another_process(inputs)
    await try_credentials(restarted.engine, restarted.clients, now=restarted.clock())

    assert len(dots.requests) == 1
    assert await stored.rows(inputs.engine, PAUSES) == [
        {"app": "default", "pauses": 1, "paused_until": NOW + timedelta(minutes=1)}
    ]


async def test_app_that_is_not_paused_is_not_called(inputs: AllInputs, dots: MemoryDots) -> None:
    """A starting process makes no call if no app is paused."""
    await try_credentials(inputs.engine, inputs.clients, now=inputs.clock())

    assert dots.requests == []


async def test_refusal_outside_of_the_service_pauses_nothing(inputs: AllInputs, dots: MemoryDots) -> None:
    """A trial does not pause the app: `doctor` may run with other credentials than the service."""
    dots.fault = refusal(401, "unauthorized")

    with pytest.raises(DotsCredentialsError):
        await inputs.clients.of("default").try_credentials()

    assert await stored.rows(inputs.engine, PAUSES) == [{"app": "default", "pauses": 0, "paused_until": None}]
