from datetime import timedelta

import httpx
import pytest

from app.flows.refresh_due import refresh_due
from tests.all_inputs import AllInputs, HandClock
from tests.dots.fake_dots import USER
from tests.dots.memory_dots import MemoryDots, refusal
from tests.flows.creating_over_http import create


async def test_refresh_asks_dots_now(client: httpx.AsyncClient, dots: MemoryDots, clock: HandClock) -> None:
    """The answer has Dots' current state. A new step is discovered by `refresh`."""
    flow = await create(client)
    dots.flows[flow["id"]] |= {"completed_steps": ["compliance"], "user_id": USER}
    clock.advance(timedelta(minutes=3))

    answer = await client.post(f"/v1/flows/{flow['id']}/refresh")

    assert answer.status_code == 200
    assert answer.json()["user_id"] == USER
    assert answer.json()["refreshed_at"] == "2026-11-23T12:03:00Z"
    assert answer.json()["steps"][0] == {
        "name": "compliance",
        "state": "completed",
        "completed_at": "2026-11-23T12:03:00Z",
        "discovered_by": "refresh",
    }


async def test_refresh_while_another_asks_is_202(
    client: httpx.AsyncClient, dots: MemoryDots, inputs: AllInputs
) -> None:
    """During another refresh, the answer is the known state, and the flow stays due."""
    flow = await create(client)
    seen: list[httpx.Response] = []

    async def refresh_meanwhile() -> None:
        dots.on_request = None
        seen.append(await client.post(f"/v1/flows/{flow['id']}/refresh"))

    dots.on_request = refresh_meanwhile
    first = await client.post(f"/v1/flows/{flow['id']}/refresh")

    assert first.status_code == 200
    assert [answer.status_code for answer in seen] == [202]
    assert (await refresh_due(inputs, limit=10)).claimed == 1


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (httpx.ConnectError("no"), 503, "dots_unreachable"),
        (httpx.ReadTimeout("no"), 504, "dots_unanswered"),
        (refusal(429, "slow-down"), 503, "dots_throttled"),
        (refusal(401, "unauthorized"), 422, "dots_forbidden"),
        (refusal(404, "not-found"), 404, "dots_not_found"),
        # Another flow than the requested one.
        (httpx.Response(200, json={"id": "other", "steps": ["payout"]}), 502, "dots_invalid_response"),
    ],
    ids=str,
)
async def test_refresh_passes_dots_errors_on(
    client: httpx.AsyncClient, dots: MemoryDots, fault: httpx.Response | Exception, status: int, code: str
) -> None:
    """The answer has our error code, and the flow is unchanged."""
    flow = await create(client)
    dots.faults = [fault]

    answer = await client.post(f"/v1/flows/{flow['id']}/refresh")

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await client.get(f"/v1/flows/{flow['id']}")).json() == flow
