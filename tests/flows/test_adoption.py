from typing import Any

import httpx

from app.errors import CreationOutcomeUnknownError
from app.flows.create_flow import Created
from app.flows.refresh_due import refresh_due
from app.flows.rules.flow_request import FlowRequest
from tests.all_inputs import AllInputs
from tests.dots.fake_dots import USER
from tests.dots.memory_dots import MemoryDots, flow_id_of
from tests.flows import creating
from tests.flows.due import event_types, flow, make_due
from tests.storage import stored

REQUEST = FlowRequest(app="default", steps=["compliance"], reference="payee-17", metadata={"team": "eu"})


async def create(inputs: AllInputs, key: str | None = "key-1") -> Created:
    """Create the flow with a key."""
    return await creating.create(inputs, REQUEST, key=key)


async def lose_the_answer(inputs: AllInputs, dots: MemoryDots) -> dict[str, Any]:
    """Begin a creation that Dots carries out without answering. Returns the flow at Dots."""
    made: dict[str, Any] = {}

    async def make() -> None:
        dots.on_request = None
        body = dots.posts[-1]
        made.update(dots.add_flow(7, steps=body["steps"], metadata=body["metadata"]))

    dots.on_request = make
    dots.faults = [httpx.ReadTimeout("no answer")]
    try:
        await create(inputs)
    except CreationOutcomeUnknownError:
        return made
    raise AssertionError("the creation was answered")


async def test_foreign_flow_is_adopted(inputs: AllInputs, dots: MemoryDots) -> None:
    """A flow created elsewhere, such as a payout link's, is stored without a caller."""
    dots.add_flow(1, metadata={"theirs": 1}, payout_link_id="plink_1", user_id=USER)
    await make_due(inputs, flow(flow_id_of(1)))
    await refresh_due(inputs, limit=10)

    kept = await stored.row(inputs.engine, "SELECT id, caller, reference, metadata, payout_link_id, status FROM flows")
    assert kept == {
        "id": flow_id_of(1),
        "caller": None,
        "reference": None,
        "metadata": {"theirs": 1},
        "payout_link_id": "plink_1",
        "status": "open",
    }
    assert await event_types(inputs) == ["dots.flow.created"]


async def test_webhook_finds_the_intent_of_a_lost_answer(inputs: AllInputs, dots: MemoryDots) -> None:
    """The flow has our reference in its metadata, so it becomes the caller's flow, with one creation event."""
    made = await lose_the_answer(inputs, dots)
    await make_due(inputs, flow(made["id"]))
    await refresh_due(inputs, limit=10)
    repeat = await create(inputs)

    kept = await stored.row(inputs.engine, "SELECT id, caller, reference, metadata, status, request FROM flows")
    assert kept == {
        "id": made["id"],
        "caller": "shop",
        "reference": "payee-17",
        "metadata": {"team": "eu"},
        "status": "open",
        "request": None,
    }
    assert await event_types(inputs) == ["dots.flow.created"]
    assert repeat.is_replay
    assert (repeat.answer["id"], repeat.answer["link"]) == (made["id"], made["link"])
    assert len(dots.posts) == 1


async def test_webhook_that_overtakes_the_answer_makes_one_flow(inputs: AllInputs, dots: MemoryDots) -> None:
    """If a webhook arrives before Dots answers the creation, there is one flow and one event."""

    async def webhook_first() -> None:
        dots.on_request = None
        body = dots.posts[-1]
        dots.add_flow(1, steps=body["steps"], metadata=body["metadata"])
        await make_due(inputs, flow(flow_id_of(1)))
        await refresh_due(inputs, limit=10)
        del dots.flows[flow_id_of(1)]

    dots.on_request = webhook_first
    created = await create(inputs)

    assert created.answer["id"] == flow_id_of(1)
    assert created.answer["reference"] == "payee-17"
    assert await stored.count(inputs.engine, "flows") == 1
    assert await stored.count(inputs.engine, "sync_rows") == 1
    assert await event_types(inputs) == ["dots.flow.created"]


async def test_second_flow_with_our_reference_is_not_the_intents(inputs: AllInputs, dots: MemoryDots) -> None:
    """If Dots has created two flows, the caller's flow is the first, and the second has no caller."""
    created = await create(inputs)
    twin = dict(dots.flows[created.answer["id"] or ""])
    dots.add_flow(9, steps=twin["steps"], metadata=twin["metadata"])
    await make_due(inputs, flow(flow_id_of(9)))
    await refresh_due(inputs, limit=10)

    kept = await stored.rows(inputs.engine, "SELECT id, caller, reference FROM flows ORDER BY id")
    assert kept == [
        {"id": created.answer["id"], "caller": "shop", "reference": "payee-17"},
        {"id": flow_id_of(9), "caller": None, "reference": None},
    ]


async def test_unknown_reference_is_ignored(inputs: AllInputs, dots: MemoryDots) -> None:
    """A flow with a malformed or unknown reference is adopted as a foreign flow."""
    for number, reference in enumerate(("not a uuid", "00000000-0000-4000-8000-000000000000", ""), start=1):
        dots.add_flow(number, metadata={"dots_gateway_ref": reference})
        await make_due(inputs, flow(flow_id_of(number)))

    step_counts = await refresh_due(inputs, limit=10)

    assert step_counts.failed == 0
    assert await stored.count(inputs.engine, "flows") == 3


async def test_reference_of_another_app_is_ignored(inputs: AllInputs, dots: MemoryDots, other_dots: MemoryDots) -> None:
    """A flow of another app cannot take an intent of this one."""
    await lose_the_answer(inputs, dots)
    ref = (await stored.row(inputs.engine, "SELECT ref FROM flows"))["ref"]
    other_dots.add_flow(3, metadata={"dots_gateway_ref": str(ref)})
    await make_due(inputs, flow(flow_id_of(3), app="eu"))
    await refresh_due(inputs, limit=10)

    kept = await stored.rows(inputs.engine, "SELECT app, id, status FROM flows ORDER BY app")
    assert kept == [
        {"app": "default", "id": None, "status": "creating"},
        {"app": "eu", "id": flow_id_of(3), "status": "open"},
    ]


async def test_changed_metadata_in_the_answer_does_not_matter(inputs: AllInputs, dots: MemoryDots) -> None:
    """The answer to our own request is our flow, even without our reference."""

    async def forget_metadata() -> None:
        dots.faults = [httpx.Response(200, json=dots.add_flow(1) | {"metadata": None})]

    dots.on_request = forget_metadata
    created = await create(inputs)

    assert (created.answer["id"], created.answer["reference"], created.answer["metadata"]) == (
        flow_id_of(1),
        "payee-17",
        {"team": "eu"},
    )
    assert await stored.count(inputs.engine, "flows") == 1
