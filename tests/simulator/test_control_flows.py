import json

from tests.simulator.setup import Setup


async def test_complete_next_performs_the_payees_actions_in_order(setup: Setup) -> None:
    """The claim, then each step, then null. After the claim `user_id` is set and `completed_steps` is empty."""
    flow = await setup.create("compliance", "background-check")

    answers = [await setup.control(f"flows/{flow['id']}/complete-next") for _ in range(4)]

    assert [each["step"] for each in answers] == ["onboarding", "compliance", "background-check", None]
    assert (answers[0]["flow"]["user_id"] is None, answers[0]["flow"]["completed_steps"]) == (False, [])
    assert answers[3]["flow"]["completed_steps"] == ["compliance", "background-check"]
    assert answers[3]["flow"] == await setup.get(f"/api/v2/flows/{flow['id']}")


VERDICTS = {
    "cleared": ("pass", False),
    "flagged": ("failed", True),
    "pending": ("pending", None),
    "consider": ("consider", None),
    "pass": ("pass", False),
    "failed": ("failed", True),
    "information_mismatch": ("information_mismatch", None),
}


async def test_the_request_decides_a_background_check(setup: Setup) -> None:
    """With a verdict or with one of Dots' statuses."""
    results = {}
    for word in VERDICTS:
        user = await setup.create_user()
        flow = await setup.create("background-check", user_id=user["id"])
        await setup.control(f"flows/{flow['id']}/complete-next", {"verdict": word})
        compliance = (await setup.get(f"/api/v2/users/{user['id']}"))["compliance"]
        results[word] = (compliance["background_check"]["status"], compliance["has_criminal_activity"])

    assert results == VERDICTS


async def test_one_call_can_perform_actions_of_many_payees(setup: Setup) -> None:
    """In order, up to the first action that fails. The actions before it are kept."""
    first, second = await setup.create("compliance"), await setup.create("payout")
    actions = [(first["id"], "onboarding"), (second["id"], "onboarding"), (first["id"], "compliance")]
    failing = [(second["id"], "payout"), (first["id"], "compliance")]

    done = await setup.control("flows/complete", [{"flow_id": flow_id, "step": step} for flow_id, step in actions])
    refused = await setup.client.post(
        "/_control/flows/complete", json=[{"flow_id": flow_id, "step": step} for flow_id, step in failing]
    )

    flows = (await setup.get("/_control/state"))["flows"]
    users = {flow["id"]: flow["user_id"] for flow in flows}
    assert done == {"user_ids": [users[first["id"]], users[second["id"]], users[first["id"]]]}
    assert refused.status_code == 409
    assert [flow["completed_steps"] for flow in flows] == [["compliance"], ["payout"]]


async def test_a_refused_outcome_changes_nothing(setup: Setup) -> None:
    """The user keeps its status, and no webhook is sent."""
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


async def test_a_named_step_can_be_completed_out_of_order(setup: Setup) -> None:
    """`completed_steps` has the order of completion."""
    flow = await setup.create("compliance", "payout")
    await setup.control(f"flows/{flow['id']}/claim")

    await setup.control(f"flows/{flow['id']}/complete", {"step": "payout"})
    last = await setup.control(f"flows/{flow['id']}/complete-next")

    assert last["flow"]["completed_steps"] == ["payout", "compliance"]


async def test_impossible_steps_are_refused(setup: Setup) -> None:
    """409 before the claim and for a completed step, 400 for a step that the flow does not have."""
    flow = await setup.create("payout")
    path = f"/_control/flows/{flow['id']}/complete"
    unclaimed = await setup.client.post(path, json={"step": "payout"})
    await setup.control(f"flows/{flow['id']}/claim")
    await setup.control(f"flows/{flow['id']}/complete", {"step": "payout"})

    twice = await setup.client.post(path, json={"step": "payout"})
    unknown = await setup.client.post(path, json={"step": "compliance"})

    assert (unclaimed.status_code, twice.status_code, unknown.status_code) == (409, 409, 400)


async def test_a_claim_can_name_a_user(setup: Setup) -> None:
    """An existing user claims the flow. A second claim is refused."""
    user = await setup.create_user()
    flow = await setup.create("payout")

    claimed = await setup.control(f"flows/{flow['id']}/claim", {"user_id": user["id"]})
    again = await setup.client.post(f"/_control/flows/{flow['id']}/claim")

    assert claimed["flow"]["user_id"] == user["id"]
    assert again.status_code == 409


async def test_each_step_sends_webhooks_with_ids_only(setup: Setup) -> None:
    """One `flow.updated` per step, without the step's name, and an event about the user if the user changed."""
    steps = ["compliance", "id-verification", "background-check", "manage-payments", "manage-payouts", "payout"]
    flow = await setup.create(*steps)
    await setup.control(f"flows/{flow['id']}/claim")
    user_id = (await setup.get(f"/api/v2/flows/{flow['id']}"))["user_id"]
    await setup.settle()
    received = [sorted(setup.receiver.bodies)]

    for _ in steps:
        setup.receiver.requests.clear()
        await setup.control(f"flows/{flow['id']}/complete-next")
        await setup.settle()
        received.append(sorted(setup.receiver.bodies))

    def of_flow(event: str) -> str:
        return json.dumps({"event": event, "flow_id": flow["id"]})

    def of_user(event: str) -> str:
        return json.dumps({"event": event, "user_id": user_id})

    assert received == [
        [of_flow("flow.updated"), of_user("user.updated")],
        [of_flow("flow.updated"), of_user("user.updated")],
        [of_flow("flow.updated"), of_user("user.updated.id_verified")],
        [of_flow("flow.updated"), of_user("user.updated.background_check")],
        [of_flow("flow.transaction_updated"), of_flow("flow.updated")],
        [of_flow("flow.updated"), of_user("user.updated.payout_method")],
        [of_flow("flow.updated")],
    ]


async def test_the_control_api_can_create_a_payout_link_flow(setup: Setup) -> None:
    """The gateway did not create this flow, but receives its webhooks."""
    made = await setup.control("flows", {"steps": ["payout"], "payout_link_id": "pl-1"})

    assert await setup.get(f"/api/v2/flows/{made['id']}") == made
    assert made["payout_link_id"] == "pl-1"
