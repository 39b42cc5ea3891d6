"""How flows show their creation: unknown outcome, failure with its reason, or success."""

from typing import Any

import httpx

from tests.dots.memory_dots import Fault, MemoryDots, refusal


async def create(client: httpx.AsyncClient, key: str = "key-1", *, reference: str = "payee-17") -> httpx.Response:
    """Create a flow with a key."""
    body: dict[str, Any] = {"steps": ["compliance"], "reference": reference}
    return await client.post("/v1/flows", json=body, headers={"Idempotency-Key": key})


async def test_unsettled_flow_is_listed_as_creating(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """A flow with an unknown outcome is listed without an id."""
    dots.faults = [httpx.ReadTimeout("no answer")]
    await create(client)

    (flow,) = (await client.get("/v1/flows?status=creating")).json()["flows"]

    assert (flow["id"], flow["link"], flow["status"], flow["reference"]) == (None, None, "creating", "payee-17")
    assert [step["name"] for step in flow["steps"]] == ["compliance"]


async def test_unreachable_dots_can_be_told_from_one_that_refuses(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """A failed flow shows Dots' answer, or that Dots was unreachable. Other flows have no error."""
    faults: dict[str, list[Fault]] = {"1": [refusal(422, "app-info-missing")], "2": [httpx.ConnectError("no")], "3": []}
    for key, dots.faults in faults.items():
        await create(client, key, reference=key)

    flows = (await client.get("/v1/flows")).json()["flows"]
    failed = (await client.get("/v1/flows?status=failed")).json()["flows"]

    assert {flow["reference"]: flow["error"] for flow in flows} == {
        "1": {"code": "dots_refused", "dots_status": 422},
        "2": {"code": "dots_unreachable", "dots_status": None},
        "3": None,
    }
    assert {(flow["id"], flow["reference"]) for flow in failed} == {(None, "1"), (None, "2")}


async def test_failure_is_forgotten_when_another_try_succeeds(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """A flow that was created at the second try has no error."""
    dots.faults = [httpx.ConnectError("no")]
    await create(client)

    made = await create(client)

    assert (made.status_code, made.json()["error"]) == (201, None)
