from datetime import timedelta

import httpx
import pytest

from app.flows.refresh_due import refresh_due
from tests.all_inputs import AllInputs, HandClock
from tests.dots.fake_dots import USER
from tests.dots.memory_dots import MemoryDots, flow_id_of, refusal
from tests.flows.creating_over_http import create
from tests.webhooks.sending import PATH, signed


async def test_refresh_asks_dots_now(client: httpx.AsyncClient, dots: MemoryDots, clock: HandClock) -> None:
    """200 with what Dots just said; a step found so was discovered by a refresh."""
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
    """Somebody is asking already: the flow as it is known, and it stays due for another look."""
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
        (refusal(500, "oops"), 502, "dots_failed"),
        (httpx.Response(200, content=b"junk"), 502, "dots_invalid_response"),
        (refusal(429, "slow-down"), 503, "dots_throttled"),
        (refusal(401, "unauthorized"), 422, "dots_forbidden"),
        (refusal(400, "resource-busy"), 503, "dots_busy"),
        (httpx.Response(404, content=b"<html>"), 502, "dots_misrouted"),
        (refusal(404, "not-found"), 404, "dots_not_found"),
        # Another flow than the one asked for.
        (httpx.Response(200, json={"id": "other", "steps": ["payout"]}), 502, "dots_invalid_response"),
    ],
    ids=str,
)
async def test_refresh_passes_dots_errors_on(
    client: httpx.AsyncClient, dots: MemoryDots, fault: httpx.Response | Exception, status: int, code: str
) -> None:
    """What went wrong at Dots is told in our words; the flow is left as it was."""
    flow = await create(client)
    dots.faults = [fault]

    answer = await client.post(f"/v1/flows/{flow['id']}/refresh")

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await client.get(f"/v1/flows/{flow['id']}")).json() == flow


async def test_flow_made_elsewhere_is_shown_without_a_caller(
    client: httpx.AsyncClient, dots: MemoryDots, inputs: AllInputs
) -> None:
    """A webhook may name a flow that we never made: it is adopted, with Dots' own time and metadata."""
    dots.add_flow(99, metadata={"theirs": True}, payout_link_id="plink_1", created="2026-11-23T11:59:00.846081")
    body = b'{"flow_id":"%s"}' % flow_id_of(99).encode()
    await client.post(PATH, headers=signed("msg_1", body), content=body)
    await refresh_due(inputs, limit=10)

    flow = (await client.get(f"/v1/flows/{flow_id_of(99)}")).json()

    assert (flow["caller"], flow["reference"], flow["payout_link_id"]) == (None, None, "plink_1")
    assert flow["metadata"] == {"theirs": True}
    assert flow["created_at"] == "2026-11-23T11:59:00.846081Z"
