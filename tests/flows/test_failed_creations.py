"""What a flow says of its creation: not known yet, failed and why, or nothing."""

from typing import Any

import httpx

from tests.dots.memory_dots import Fault, MemoryDots, refusal


async def create(client: httpx.AsyncClient, key: str = "key-1", *, reference: str = "payee-17") -> httpx.Response:
    """Create a flow under a key."""
    body: dict[str, Any] = {"steps": ["compliance"], "reference": reference}
    return await client.post("/v1/flows", json=body, headers={"Idempotency-Key": key})


async def test_unsettled_flow_is_listed_as_creating(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """What is not known yet can be seen, without an id, which is not known either."""
    dots.faults = [httpx.ReadTimeout("no answer")]
    await create(client)

    (flow,) = (await client.get("/v1/flows?status=creating")).json()["flows"]

    assert (flow["id"], flow["link"], flow["status"], flow["reference"]) == (None, None, "creating", "payee-17")
    assert [step["name"] for step in flow["steps"]] == ["compliance"]


async def test_refused_flow_is_listed_as_failed(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """A flow that Dots refused stays to be seen."""
    dots.faults = [refusal(400, "invalid-input")]
    await create(client)

    (flow,) = (await client.get("/v1/flows?status=failed")).json()["flows"]

    assert (flow["id"], flow["status"]) == (None, "failed")
    assert flow["error"] == {"code": "dots_refused", "dots_status": 400}


async def test_unreachable_dots_can_be_told_from_one_that_refuses(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """A flow says why there is none: what Dots answered, or that nothing did; a flow that is there says nothing."""
    faults: dict[str, list[Fault]] = {"1": [refusal(422, "app-info-missing")], "2": [httpx.ConnectError("no")], "3": []}
    for key, dots.faults in faults.items():
        await create(client, key, reference=key)

    flows = (await client.get("/v1/flows")).json()["flows"]

    assert {flow["reference"]: flow["error"] for flow in flows} == {
        "1": {"code": "dots_refused", "dots_status": 422},
        "2": {"code": "dots_unreachable", "dots_status": None},
        "3": None,
    }


async def test_failure_is_forgotten_when_another_try_succeeds(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """A flow that was made at last has no error."""
    dots.faults = [httpx.ConnectError("no")]
    await create(client)

    made = await create(client)

    assert (made.status_code, made.json()["error"]) == (201, None)
