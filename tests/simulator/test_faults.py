import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from simulator.api.middleware import ConnectionCutError
from tests.simulator.setup import Setup


async def queue(setup: Setup, *faults: Any) -> None:
    """Queue faults for the next calls."""
    await setup.turn(faults={"next_responses": list(faults)})


async def post(setup: Setup) -> httpx.Response:
    """Request a flow."""
    return await setup.client.post("/api/v2/flows", json={"steps": ["payout"]})


async def flow_count(setup: Setup) -> int:
    """The number of flows."""
    return len((await setup.get("/_control/state"))["flows"])


@pytest.mark.parametrize(
    ("fault", "status", "retry_after", "error_code"),
    [
        ("rate_limited", 429, "1", "resource-busy"),
        ({"kind": "rate_limited", "retry_after_seconds": 9}, 429, "9", "resource-busy"),
        ({"kind": "rate_limited", "retry_after_seconds": None}, 429, None, "resource-busy"),
        ("server_error", 503, None, "service-unavailable"),
        ({"kind": "server_error", "status": 500}, 500, None, "service-unavailable"),
        ("unauthorized", 401, None, "unauthorized"),
        ({"kind": "stall", "seconds": 5}, 503, None, "service-unavailable"),
        ({"kind": "error", "status": 400, "error_code": "resource-busy"}, 400, None, "resource-busy"),
        ({"kind": "error", "status": 409, "error_code": "conflict"}, 409, None, "conflict"),
        ({"kind": "error", "status": 410}, 410, None, "service-unavailable"),
    ],
)
async def test_a_queued_fault_applies_to_one_call_and_creates_nothing(
    setup: Setup, fault: Any, status: int, retry_after: str | None, error_code: str
) -> None:
    """The next call succeeds."""
    await queue(setup, fault)

    failed, good = await post(setup), await post(setup)

    assert (failed.status_code, failed.headers.get("retry-after")) == (status, retry_after)
    assert failed.json()["error_code"] == error_code
    assert good.status_code == 200
    assert await flow_count(setup) == 1


async def test_a_junk_body_has_status_200_after_a_creation(setup: Setup) -> None:
    """The body is not JSON."""
    await queue(setup, "junk_body")

    response = await post(setup)

    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()
    assert await flow_count(setup) == 1


@pytest.mark.parametrize(("kind", "created"), [("create_then_cut", 1), ("cut", 0)])
async def test_a_cut_connection_has_no_answer(setup: Setup, kind: str, created: int) -> None:
    """With and without a creation. In this process the cut is an exception."""
    await queue(setup, kind)

    with pytest.raises(ConnectionCutError):
        await post(setup)

    assert await flow_count(setup) == created


async def test_a_creation_can_answer_an_error(setup: Setup) -> None:
    """The answer is a 5xx although the flow was created."""
    await queue(setup, {"kind": "create_then_fail", "status": 502})

    response = await post(setup)

    assert (response.status_code, await flow_count(setup)) == (502, 1)


@pytest.mark.parametrize(("kind", "created"), [("proxy_page", 0), ("create_then_proxy_page", 8)])
async def test_a_proxy_page_can_have_any_status_from_300(setup: Setup, kind: str, created: int) -> None:
    """Before or after the creation. A redirect has a location; 304 has no body."""
    statuses = [300, 302, 304, 404, 407, 499, 502, 599]
    await queue(setup, *({"kind": kind, "status": status} for status in statuses))

    answers = [await post(setup) for _ in statuses]

    assert [answer.status_code for answer in answers] == statuses
    assert [answer.status_code for answer in answers if "<html>" not in answer.text] == [304]
    assert [answer.status_code for answer in answers if "location" in answer.headers] == [300, 302]
    assert await flow_count(setup) == created


async def test_an_error_can_have_any_status_from_300(setup: Setup) -> None:
    """The body has the error code, except that 304 has no body."""
    statuses = [300, 304, 400, 422, 499, 500]
    await queue(setup, *({"kind": "error", "status": status, "error_code": "invalid-input"} for status in statuses))

    answers = [await post(setup) for _ in statuses]

    assert [answer.status_code for answer in answers] == statuses
    assert [answer.status_code for answer in answers if "invalid-input" not in answer.text] == [304]


async def test_a_lasting_fault_applies_to_every_matching_call(setup: Setup) -> None:
    """For example, one flow is forbidden and all others are answered."""
    forbidden, other = [(await post(setup)).json()["id"] for _ in range(2)]
    fault = {"kind": "error", "status": 403, "error_code": "forbidden", "path_contains": forbidden}
    await setup.turn(faults={"lasting": [fault]})

    flow_ids = [forbidden, other, forbidden, other]
    statuses = [(await setup.client.get(f"/api/v2/flows/{flow_id}")).status_code for flow_id in flow_ids]

    assert statuses == [403, 200, 403, 200]


async def test_a_hang_delays_the_answer_of_a_creation(setup: Setup) -> None:
    """The call is logged before the answer, so that a test can wait for it and then kill the caller."""
    logged: list[object] = []
    calls = setup.simulation.api_calls
    setup.clock.while_sleeping = lambda: logged.extend(call.status for call in calls)
    await queue(setup, {"kind": "hang", "seconds": 42})

    response = await post(setup)

    assert (response.status_code, setup.clock.slept, logged) == (200, [42.0], [None])


async def test_a_hang_ends_when_the_simulator_stops(setup: Setup) -> None:
    """SIGTERM does not wait for it."""
    await queue(setup, {"kind": "hang", "seconds": 42})
    setup.simulation.stopping.set()

    response = await post(setup)

    assert response.status_code == 200


async def test_a_fault_can_match_one_method(setup: Setup) -> None:
    """Calls with another method leave it in the queue. `none` lets one call through."""
    await queue(setup, {"kind": "none", "method": "POST"}, {"kind": "server_error", "method": "POST"})

    statuses = [
        (await setup.client.get("/api/v2/flows")).status_code,
        (await post(setup)).status_code,
        (await post(setup)).status_code,
        (await post(setup)).status_code,
    ]

    assert statuses == [200, 200, 503, 200]
    assert (await setup.get("/_control/knobs"))["faults"]["next_responses"] == []


async def test_a_fault_can_match_some_paths(setup: Setup) -> None:
    """Calls of other paths leave it in the queue."""
    await queue(setup, {"kind": "server_error", "path_contains": "/users/"})

    statuses = [(await setup.client.get(f"/api/v2/{path}")).status_code for path in ("flows", "users/x", "users/x")]

    assert statuses == [200, 503, 404]


async def test_random_faults_repeat_with_a_seed(setup: Setup) -> None:
    """Some calls fail, and the same calls fail in the second round."""
    rounds = []
    for _ in range(2):
        await setup.turn(seed=5, faults={"random_fault_probability": 0.5, "random_fault": "rate_limited"})
        rounds.append([(await post(setup)).status_code for _ in range(20)])

    assert rounds[0] == rounds[1]
    assert set(rounds[0]) == {200, 429}


async def test_the_log_has_every_api_call_with_its_fault(setup: Setup) -> None:
    """Tests count the gateway's calls with it."""
    await queue(setup, "server_error", "cut")
    await post(setup)
    with pytest.raises(ConnectionCutError):
        await post(setup)
    setup.clock.now += timedelta(seconds=1)
    await setup.client.get("/api/v2/flows/nothing?limit=1")

    calls = (await setup.get("/_control/api-calls"))["api_calls"]

    at = "2026-11-23T12:00:0"
    assert calls == [
        {"method": "POST", "path": "/api/v2/flows", "at": f"{at}0Z", "status": 503, "fault": "server_error"},
        {"method": "POST", "path": "/api/v2/flows", "at": f"{at}0Z", "status": None, "fault": "cut"},
        {"method": "GET", "path": "/api/v2/flows/nothing", "at": f"{at}1Z", "status": 404, "fault": None},
    ]
