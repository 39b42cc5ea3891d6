import json

import pytest

from tests.simulator.setup import Setup


async def test_complete_next_walks_a_payee_through_the_whole_flow(setup: Setup) -> None:
    """First the claim, then step by step, then null; `user_id` is set while `completed_steps` is still empty."""
    flow = await setup.create("compliance", "background-check")

    reported = [await setup.control(f"flows/{flow['id']}/complete-next") for _ in range(4)]

    assert [each["step"] for each in reported] == ["onboarding", "compliance", "background-check", None]
    assert (reported[0]["flow"]["user_id"] is None, reported[0]["flow"]["completed_steps"]) == (False, [])
    assert reported[3]["flow"]["completed_steps"] == ["compliance", "background-check"]
    assert reported[3]["flow"] == await setup.get(f"/api/v2/flows/{flow['id']}")


@pytest.mark.parametrize(
    ("word", "status", "flag"),
    [
        ("cleared", "pass", False),
        ("flagged", "failed", True),
        ("pending", "pending", None),
        ("consider", "consider", None),
        ("pass", "pass", False),
        ("failed", "failed", True),
        ("information_mismatch", "information_mismatch", None),
    ],
)
async def test_a_background_check_ends_as_it_is_told(setup: Setup, word: str, status: str, flag: bool | None) -> None:  # noqa: FBT001 - a row of the table
    """By a verdict or by one of Dots' own statuses."""
    user = await setup.create_user()
    flow = await setup.create("background-check", user_id=user["id"])

    await setup.control(f"flows/{flow['id']}/complete-next", {"verdict": word})

    compliance = (await setup.get(f"/api/v2/users/{user['id']}"))["compliance"]
    assert (compliance["background_check"]["status"], compliance["has_criminal_activity"]) == (status, flag)


async def test_many_payees_act_in_one_call(setup: Setup) -> None:
    """In the order given; a payee who cannot ends it, and what those before have done stays done."""
    first, second = await setup.create("compliance"), await setup.create("payout")
    acts = [(first["id"], "onboarding"), (second["id"], "onboarding"), (first["id"], "compliance")]
    beyond = [(second["id"], "payout"), (first["id"], "compliance")]

    done = await setup.control("flows/complete", [{"flow_id": flow_id, "step": step} for flow_id, step in acts])
    refused = await setup.client.post(
        "/_control/flows/complete", json=[{"flow_id": flow_id, "step": step} for flow_id, step in beyond]
    )

    flows = (await setup.get("/_control/state"))["flows"]
    users = {flow["id"]: flow["user_id"] for flow in flows}
    assert done == {"user_ids": [users[first["id"]], users[second["id"]], users[first["id"]]]}
    assert refused.status_code == 409
    assert [flow["completed_steps"] for flow in flows] == [["compliance"], ["payout"]]


async def test_a_refused_outcome_changes_nothing(setup: Setup) -> None:
    """Not even the status of the user, and nothing is sent."""
    user = await setup.create_user(status="unverified")
    flow = await setup.create("background-check", "id-verification", user_id=user["id"])

    answers = [
        await setup.client.post(
            f"/_control/flows/{flow['id']}/complete", json={"step": step, "outcome": "perhaps", "verdict": "perhaps"}
        )
        for step in flow["steps"]
    ]

    await setup.settle()
    assert [answer.status_code for answer in answers] == [400, 400]
    assert await setup.get("/_control/state") == {"flows": [flow], "users": [user]}
    assert setup.receiver.requests == []


async def test_a_named_step_may_be_completed_out_of_order(setup: Setup) -> None:
    """The order in `completed_steps` is the order of completion."""
    flow = await setup.create("compliance", "payout")
    await setup.control(f"flows/{flow['id']}/claim")

    await setup.control(f"flows/{flow['id']}/complete", {"step": "payout"})
    last = await setup.control(f"flows/{flow['id']}/complete-next")

    assert last["flow"]["completed_steps"] == ["payout", "compliance"]


async def test_steps_are_refused_before_a_claim_twice_and_when_unknown(setup: Setup) -> None:
    """409 for the wrong moment, 400 for a step the flow does not have."""
    flow = await setup.create("payout")
    path = f"/_control/flows/{flow['id']}/complete"
    unclaimed = await setup.client.post(path, json={"step": "payout"})
    await setup.control(f"flows/{flow['id']}/claim")
    await setup.control(f"flows/{flow['id']}/complete", {"step": "payout"})

    twice = await setup.client.post(path, json={"step": "payout"})
    unknown = await setup.client.post(path, json={"step": "compliance"})

    assert (unclaimed.status_code, twice.status_code, unknown.status_code) == (409, 409, 400)


async def test_a_claim_may_name_its_user_and_happens_once(setup: Setup) -> None:
    """An existing payee takes the flow; a second claim is refused."""
    user = await setup.create_user()
    flow = await setup.create("payout")

    claimed = await setup.control(f"flows/{flow['id']}/claim", {"user_id": user["id"]})
    again = await setup.client.post(f"/_control/flows/{flow['id']}/claim")

    assert claimed["flow"]["user_id"] == user["id"]
    assert again.status_code == 409


async def test_each_step_is_told_by_thin_webhooks(setup: Setup) -> None:
    """One `flow.updated` a step, which never names it, and what changed about the user."""
    steps = ["compliance", "id-verification", "background-check", "manage-payments", "manage-payouts", "payout"]
    flow = await setup.create(*steps)
    await setup.control(f"flows/{flow['id']}/claim")
    user_id = (await setup.get(f"/api/v2/flows/{flow['id']}"))["user_id"]
    await setup.settle()
    reported = [sorted(setup.receiver.bodies)]

    for _ in steps:
        setup.receiver.requests.clear()
        await setup.control(f"flows/{flow['id']}/complete-next")
        await setup.settle()
        reported.append(sorted(setup.receiver.bodies))

    def of_flow(event: str) -> str:
        return json.dumps({"event": event, "flow_id": flow["id"]})

    def of_user(event: str) -> str:
        return json.dumps({"event": event, "user_id": user_id})

    assert reported == [
        [of_flow("flow.updated"), of_user("user.updated")],
        [of_flow("flow.updated"), of_user("user.updated")],
        [of_flow("flow.updated"), of_user("user.updated.id_verified")],
        [of_flow("flow.updated"), of_user("user.updated.background_check")],
        [of_flow("flow.transaction_updated"), of_flow("flow.updated")],
        [of_flow("flow.updated"), of_user("user.updated.payout_method")],
        [of_flow("flow.updated")],
    ]


async def test_control_can_make_a_payout_link_flow_that_nobody_asked_for(setup: Setup) -> None:
    """Webhooks can name flows the gateway never created."""
    made = await setup.control("flows", {"steps": ["payout"], "payout_link_id": "pl-1"})

    assert await setup.get(f"/api/v2/flows/{made['id']}") == made
    assert made["payout_link_id"] == "pl-1"
