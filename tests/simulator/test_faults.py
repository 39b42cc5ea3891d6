import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from simulator.api.middleware import ConnectionCutError
from tests.simulator.setup import Setup


async def queue(setup: Setup, *faults: Any) -> None:
    """Let these happen to the next calls."""
    await setup.turn(faults={"next_responses": list(faults)})


async def post(setup: Setup) -> httpx.Response:
    """Ask for a flow."""
    return await setup.client.post("/api/v2/flows", json={"steps": ["payout"]})


async def flows_made(setup: Setup) -> int:
    """How many flows there are."""
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
async def test_a_queued_fault_answers_one_call_and_does_nothing(
    setup: Setup, fault: Any, status: int, retry_after: str | None, error_code: str
) -> None:
    """The call after it is answered well."""
    await queue(setup, fault)

    failed, good = await post(setup), await post(setup)

    assert (failed.status_code, failed.headers.get("retry-after")) == (status, retry_after)
    assert failed.json()["error_code"] == error_code
    assert good.status_code == 200
    assert await flows_made(setup) == 1


async def test_junk_claims_success_after_the_work_was_done(setup: Setup) -> None:
    """200 with a body that is not JSON."""
    await queue(setup, "junk_body")

    response = await post(setup)

    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()
    assert await flows_made(setup) == 1


@pytest.mark.parametrize(("kind", "made"), [("create_then_cut", 1), ("cut", 0)])
async def test_a_cut_connection_answers_nothing(setup: Setup, kind: str, made: int) -> None:
    """With and without the flow having been made. Here, in process, the cut is an exception."""
    await queue(setup, kind)

    with pytest.raises(ConnectionCutError):
        await post(setup)

    assert await flows_made(setup) == made


async def test_a_create_can_fail_after_its_work(setup: Setup) -> None:
    """A 5xx that lies."""
    await queue(setup, {"kind": "create_then_fail", "status": 502})

    response = await post(setup)

    assert (response.status_code, await flows_made(setup)) == (502, 1)


@pytest.mark.parametrize(("kind", "made"), [("proxy_page", 0), ("create_then_proxy_page", 1)])
@pytest.mark.parametrize("status", [300, 302, 304, 404, 407, 499, 502, 599])
async def test_a_proxy_may_answer_with_a_page_of_its_own(setup: Setup, kind: str, status: int, made: int) -> None:
    """With any status from 300 on, before or after Dots has done the work; a redirect leads elsewhere."""
    await queue(setup, {"kind": kind, "status": status})

    response = await post(setup)

    assert (response.status_code, "<html>" in response.text) == (status, status != 304)
    assert ("location" in response.headers) is (status in (300, 302))
    assert await flows_made(setup) == made


@pytest.mark.parametrize("status", [300, 304, 400, 422, 499, 500])
async def test_dots_may_refuse_with_any_status(setup: Setup, status: int) -> None:
    """With an error of its own kind, where HTTP allows a body."""
    await queue(setup, {"kind": "error", "status": status, "error_code": "invalid-input"})

    response = await post(setup)

    assert response.status_code == status
    assert ("invalid-input" in response.text) is (status != 304)


async def test_a_lasting_fault_befalls_every_call_it_matches(setup: Setup) -> None:
    """Such as one forbidden flow, while all others are answered."""
    forbidden, other = [(await post(setup)).json()["id"] for _ in range(2)]
    fault = {"kind": "error", "status": 403, "error_code": "forbidden", "path_contains": forbidden}
    await setup.turn(faults={"lasting": [fault]})

    asked = [forbidden, other, forbidden, other]
    statuses = [(await setup.client.get(f"/api/v2/flows/{each}")).status_code for each in asked]

    assert statuses == [403, 200, 403, 200]


async def test_a_hang_does_the_work_and_answers_late(setup: Setup) -> None:
    """The caller may long be gone."""
    await queue(setup, {"kind": "hang", "seconds": 42})

    response = await post(setup)

    assert (response.status_code, setup.clock.slept) == (200, [42.0])


async def test_a_hang_ends_when_the_simulator_ends(setup: Setup) -> None:
    """So that SIGTERM need not wait for it."""
    await queue(setup, {"kind": "hang", "seconds": 42})
    setup.simulation.stopping.set()

    response = await post(setup)

    assert response.status_code == 200


async def test_a_fault_may_be_for_one_method_and_let_calls_through(setup: Setup) -> None:
    """Calls of another method leave it in the queue; `none` uses up one call."""
    await queue(setup, {"kind": "none", "method": "POST"}, {"kind": "server_error", "method": "POST"})

    statuses = [
        (await setup.client.get("/api/v2/flows")).status_code,
        (await post(setup)).status_code,
        (await post(setup)).status_code,
        (await post(setup)).status_code,
    ]

    assert statuses == [200, 200, 503, 200]
    assert (await setup.get("/_control/knobs"))["faults"]["next_responses"] == []


async def test_a_fault_may_be_for_some_paths_only(setup: Setup) -> None:
    """Others leave it in the queue."""
    await queue(setup, {"kind": "server_error", "path_contains": "/users/"})

    statuses = [(await setup.client.get(f"/api/v2/{path}")).status_code for path in ("flows", "users/x", "users/x")]

    assert statuses == [200, 503, 404]


async def test_a_hanging_call_is_noted_before_it_is_answered(setup: Setup) -> None:
    """So that a test can wait for it, and then kill the caller."""
    noted: list[object] = []
    calls = setup.simulation.api_calls
    setup.clock.while_sleeping = lambda: noted.extend(call.status for call in calls)
    await queue(setup, "hang")

    response = await post(setup)

    assert (noted, response.status_code) == ([None], 200)


async def test_faults_by_chance_repeat_with_their_seed(setup: Setup) -> None:
    """Some calls fail, some do not, and the same ones the next time."""
    rounds = []
    for _ in range(2):
        await setup.turn(seed=5, faults={"random_fault_probability": 0.5, "random_fault": "rate_limited"})
        rounds.append([(await post(setup)).status_code for _ in range(20)])

    assert rounds[0] == rounds[1]
    assert set(rounds[0]) == {200, 429}


async def test_every_api_call_is_counted_with_what_befell_it(setup: Setup) -> None:
    """So that a test can see how often the gateway asked."""
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
