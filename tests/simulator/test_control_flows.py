import json

import pytest

from tests.simulator.stage import Stage


async def test_complete_next_walks_a_payee_through_the_whole_flow(stage: Stage) -> None:
    """First the claim, then step by step, then null; `user_id` is set while `completed_steps` is still empty."""
    flow = await stage.create("compliance", "background-check")

    told = [await stage.control(f"flows/{flow['id']}/complete-next") for _ in range(4)]

    assert [each["step"] for each in told] == ["onboarding", "compliance", "background-check", None]
    assert (told[0]["flow"]["user_id"] is None, told[0]["flow"]["completed_steps"]) == (False, [])
    assert told[3]["flow"]["completed_steps"] == ["compliance", "background-check"]
    assert told[3]["flow"] == await stage.get(f"/api/v2/flows/{flow['id']}")


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
async def test_a_background_check_ends_as_it_is_told(stage: Stage, word: str, status: str, flag: bool | None) -> None:  # noqa: FBT001 - a row of the table
    """By a verdict or by one of Dots' own statuses."""
    user = await stage.create_user()
    flow = await stage.create("background-check", user_id=user["id"])

    await stage.control(f"flows/{flow['id']}/complete-next", {"verdict": word})

    compliance = (await stage.get(f"/api/v2/users/{user['id']}"))["compliance"]
    assert (compliance["background_check"]["status"], compliance["has_criminal_activity"]) == (status, flag)


async def test_many_payees_act_in_one_call(stage: Stage) -> None:
    """In the order given; a payee who cannot ends it, and what those before have done stays done."""
    first, second = await stage.create("compliance"), await stage.create("payout")
    acts = [(first["id"], "onboarding"), (second["id"], "onboarding"), (first["id"], "compliance")]
    beyond = [(second["id"], "payout"), (first["id"], "compliance")]

    done = await stage.control("flows/complete", [{"flow_id": flow_id, "step": step} for flow_id, step in acts])
    refused = await stage.client.post(
        "/_control/flows/complete", json=[{"flow_id": flow_id, "step": step} for flow_id, step in beyond]
    )

    flows = (await stage.get("/_control/state"))["flows"]
    users = {flow["id"]: flow["user_id"] for flow in flows}
    assert done == {"user_ids": [users[first["id"]], users[second["id"]], users[first["id"]]]}
    assert refused.status_code == 409
    assert [flow["completed_steps"] for flow in flows] == [["compliance"], ["payout"]]


async def test_a_refused_outcome_changes_nothing(stage: Stage) -> None:
    """Not even the status of the user, and nothing is sent."""
    user = await stage.create_user(status="unverified")
    flow = await stage.create("background-check", "id-verification", user_id=user["id"])

    answers = [
        await stage.client.post(
            f"/_control/flows/{flow['id']}/complete", json={"step": step, "outcome": "perhaps", "verdict": "perhaps"}
        )
        for step in flow["steps"]
    ]

    await stage.settle()
    assert [answer.status_code for answer in answers] == [400, 400]
    assert await stage.get("/_control/state") == {"flows": [flow], "users": [user]}
    assert stage.receiver.requests == []


async def test_a_named_step_may_be_completed_out_of_order(stage: Stage) -> None:
    """The order in `completed_steps` is the order of completion."""
    flow = await stage.create("compliance", "payout")
    await stage.control(f"flows/{flow['id']}/claim")

    await stage.control(f"flows/{flow['id']}/complete", {"step": "payout"})
    last = await stage.control(f"flows/{flow['id']}/complete-next")

    assert last["flow"]["completed_steps"] == ["payout", "compliance"]


async def test_steps_are_refused_before_a_claim_twice_and_when_unknown(stage: Stage) -> None:
    """409 for the wrong moment, 400 for a step the flow does not have."""
    flow = await stage.create("payout")
    path = f"/_control/flows/{flow['id']}/complete"
    unclaimed = await stage.client.post(path, json={"step": "payout"})
    await stage.control(f"flows/{flow['id']}/claim")
    await stage.control(f"flows/{flow['id']}/complete", {"step": "payout"})

    twice = await stage.client.post(path, json={"step": "payout"})
    unknown = await stage.client.post(path, json={"step": "compliance"})

    assert (unclaimed.status_code, twice.status_code, unknown.status_code) == (409, 409, 400)


async def test_a_claim_may_name_its_user_and_happens_once(stage: Stage) -> None:
    """An existing payee takes the flow; a second claim is refused."""
    user = await stage.create_user()
    flow = await stage.create("payout")

    claimed = await stage.control(f"flows/{flow['id']}/claim", {"user_id": user["id"]})
    again = await stage.client.post(f"/_control/flows/{flow['id']}/claim")

    assert claimed["flow"]["user_id"] == user["id"]
    assert again.status_code == 409


async def test_each_step_is_told_by_thin_webhooks(stage: Stage) -> None:
    """One `flow.updated` a step, which never names it, and what changed about the user."""
    steps = ["compliance", "id-verification", "background-check", "manage-payments", "manage-payouts", "payout"]
    flow = await stage.create(*steps)
    await stage.control(f"flows/{flow['id']}/claim")
    user_id = (await stage.get(f"/api/v2/flows/{flow['id']}"))["user_id"]
    await stage.settle()
    told = [sorted(stage.receiver.bodies)]

    for _ in steps:
        stage.receiver.requests.clear()
        await stage.control(f"flows/{flow['id']}/complete-next")
        await stage.settle()
        told.append(sorted(stage.receiver.bodies))

    def of_flow(event: str) -> str:
        return json.dumps({"event": event, "flow_id": flow["id"]})

    def of_user(event: str) -> str:
        return json.dumps({"event": event, "user_id": user_id})

    assert told == [
        [of_flow("flow.updated"), of_user("user.updated")],
        [of_flow("flow.updated"), of_user("user.updated")],
        [of_flow("flow.updated"), of_user("user.updated.id_verified")],
        [of_flow("flow.updated"), of_user("user.updated.background_check")],
        [of_flow("flow.transaction_updated"), of_flow("flow.updated")],
        [of_flow("flow.updated"), of_user("user.updated.payout_method")],
        [of_flow("flow.updated")],
    ]


async def test_control_can_make_a_payout_link_flow_that_nobody_asked_for(stage: Stage) -> None:
    """Webhooks can name flows the gateway never created."""
    made = await stage.control("flows", {"steps": ["payout"], "payout_link_id": "pl-1"})

    assert await stage.get(f"/api/v2/flows/{made['id']}") == made
    assert made["payout_link_id"] == "pl-1"
