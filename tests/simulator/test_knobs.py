from typing import Any

import pytest

from simulator.knobs import Knobs
from tests.simulator.setup import Setup


async def test_patch_sets_only_the_named_knobs(setup: Setup) -> None:
    """It keeps the knobs of an earlier PATCH."""
    await setup.turn(webhooks={"duplicate": 0.5})
    await setup.turn(webhooks={"drop": 0.1}, faults={"random_fault": "hang"})

    knobs = await setup.get("/_control/knobs")

    assert (knobs["webhooks"]["duplicate"], knobs["webhooks"]["drop"]) == (0.5, 0.1)
    assert knobs["faults"]["random_fault"]["kind"] == "hang"
    assert knobs["unknowns"] == Knobs().model_dump(mode="json")["unknowns"]


async def test_put_sets_all_knobs(setup: Setup) -> None:
    """Missing knobs get their defaults."""
    await setup.turn(webhooks={"duplicate": 0.5})

    response = await setup.client.put("/_control/knobs", json={"webhooks": {"drop": 1}})

    webhooks = response.json()["webhooks"]
    assert (webhooks["duplicate"], webhooks["drop"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook": {}},
        {"webhooks": {"drpo": 1}},
        {"webhooks": {"drop": 2}},
        {"webhooks": {"speed": 0}},
        {"webhooks": 1},
        {"faults": {"next_responses": ["explode"]}},
        {"unknowns": {"create_status": 204}},
    ],
)
async def test_an_invalid_knob_is_refused(setup: Setup, changes: dict[str, Any]) -> None:
    """By PATCH and PUT. Nothing changes."""
    before = await setup.get("/_control/knobs")

    patched = await setup.client.patch("/_control/knobs", json=changes)
    put = await setup.client.put("/_control/knobs", json=changes)

    assert (patched.status_code, put.status_code) == (422, 422)
    assert await setup.get("/_control/knobs") == before


async def test_a_seed_makes_deliveries_repeatable(setup: Setup) -> None:
    """The same messages are dropped and duplicated, and each waits as long. The ids differ."""
    rounds = []
    for _ in range(2):
        await setup.turn(seed=11, webhooks={"drop": 0.3, "duplicate": 0.3, "shuffle_seconds": 9})
        setup.clock.slept.clear()
        setup.receiver.requests.clear()
        for number in range(30):
            setup.simulation.sender.dispatch(str(number).encode())
        await setup.settle()
        rounds.append((setup.receiver.bodies, list(setup.clock.slept), setup.receiver.ids))

    assert rounds[0][:2] == rounds[1][:2]
    assert 15 < len(set(rounds[0][0])) < 30
    assert not set(rounds[0][2]) & set(rounds[1][2])


async def test_a_reset_restores_the_initial_state(setup: Setup) -> None:
    """Flows, users, logs, held messages, knobs and endpoints."""
    flow = await setup.create("payout")
    await setup.turn(webhooks={"paused": True})
    await setup.control(f"flows/{flow['id']}/claim")
    await setup.client.put("/_control/webhook-endpoints", json=[])

    await setup.control("reset")

    assert await setup.get("/_control/state") == {"flows": [], "users": []}
    assert await setup.get("/_control/webhooks") == {"webhooks": [], "under_way": 0}
    assert await setup.get("/_control/api-calls") == {"api_calls": []}
    assert await setup.get("/_control/knobs") == Knobs().model_dump(mode="json")
    assert len(await setup.get("/_control/webhook-endpoints")) == 1


async def test_the_control_api_describes_itself(setup: Setup) -> None:
    """Every route under /_control has a description in OpenAPI."""
    paths = (await setup.get("/openapi.json"))["paths"]

    described = [operation.get("description", "") for path in paths.values() for operation in path.values()]
    assert len(described) > 20
    assert all(described)
