"""One row or more for each knob about behaviour that Dots does not document."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from simulator.knobs import Unknowns
from tests.simulator.setup import Setup

Probe = Callable[[Setup], Awaitable[object]]

REDIRECT = {"name": "redirect", "redirect_url": "https://example.com/back"}
LONG_DOMAIN = {"name": "redirect", "redirect_url": "https://a.technology/"}
ABSENT = "absent"
USER_ID = "b3293101-35ef-451a-aad4-881da3697c2f"


def finished(*steps: Any) -> Probe:
    """`steps` and `completed_steps` of a flow that a payee has claimed and finished."""

    async def probe(setup: Setup) -> object:
        flow = await setup.create(*steps)
        while (walked := await setup.control(f"flows/{flow['id']}/complete-next"))["step"] is not None:
            pass
        return walked["flow"]["steps"], walked["flow"]["completed_steps"]

    return probe


def creation(*steps: Any, **fields: Any) -> Probe:
    """The status of a request for a flow."""

    async def probe(setup: Setup) -> object:
        response = await setup.client.post("/api/v2/flows", json={"steps": list(steps), **fields})
        return response.status_code

    return probe


def user(*path: str, **fields: Any) -> Probe:
    """A value in a new user; `ABSENT` if there is none."""

    async def probe(setup: Setup) -> object:
        value: Any = await setup.create_user(**fields)
        for key in path:
            value = value.get(key, ABSENT)
        return value

    return probe


async def onboarded(setup: Setup) -> object:
    """`steps` and `completed_steps` of a flow for a known user, and of a claimed flow."""
    known = await setup.create("payout", user_id=(await setup.create_user())["id"])
    flow = await setup.create("payout")
    claimed = (await setup.control(f"flows/{flow['id']}/claim"))["flow"]
    return [(each["steps"], each["completed_steps"]) for each in (known, claimed)]


async def created(setup: Setup) -> object:
    """The creation time of a flow."""
    return (await setup.create("payout"))["created"]


async def skipped(setup: Setup) -> object:
    """After a skip: the number of webhooks, the next step, and `completed_steps` at the end."""
    flow = await setup.create("compliance", "payout", user_id=(await setup.create_user())["id"])
    await setup.control(f"flows/{flow['id']}/skip", {"step": "compliance"})
    await setup.settle()
    webhooks = len(setup.receiver.bodies)
    walked = await setup.control(f"flows/{flow['id']}/complete-next")
    return webhooks, walked["step"], walked["flow"]["completed_steps"]


async def listed(setup: Setup) -> object:
    """The positions of three flows in the list, by their order of creation."""
    ids = [(await setup.create("payout"))["id"] for _ in range(3)]
    return [ids.index(flow["id"]) for flow in (await setup.get("/api/v2/flows"))["data"]]


async def bad_credentials(setup: Setup) -> object:
    """The status of a call with wrong credentials."""
    return (await setup.client.get("/api/v2/flows", auth=("a", "b"))).status_code


async def missing_flow(setup: Setup) -> object:
    """The body of a 404."""
    return (await setup.client.get("/api/v2/flows/nothing")).text


async def foreign(setup: Setup) -> object:
    """The statuses of GET for another app's flow and user and for unknown ids."""
    user_id = (await setup.create_user(api_app_id="app-7"))["id"]
    flow_id = (await setup.control("flows", {"steps": ["payout"], "api_app_id": "app-7"}))["id"]
    own = await setup.client.get(f"/api/v2/flows/{flow_id}", headers={"Api-App-Id": "app-7"})
    assert (own.status_code, (await setup.get("/api/v2/flows"))["data"]) == (200, [])
    paths = (f"flows/{flow_id}", f"users/{user_id}", "flows/nothing", "users/nothing")
    return {(await setup.client.get(f"/api/v2/{path}")).status_code for path in paths}


async def invented(setup: Setup) -> object:
    """The status of a user that a creation named before it existed."""
    await setup.create("payout", user_id=USER_ID)
    return (await setup.get(f"/api/v2/users/{USER_ID}"))["status"]


async def limited(setup: Setup) -> object:
    """The statuses of three calls and one a minute later, and the `Retry-After` of the third."""
    answers = [await setup.client.get("/api/v2/flows") for _ in range(3)]
    setup.clock.now += timedelta(seconds=61)
    answers.append(await setup.client.get("/api/v2/flows"))
    return [answer.status_code for answer in answers], answers[2].headers.get("retry-after")


async def merged(setup: Setup) -> object:
    """Which of three users the first answers as after two merges, and its status."""
    ids = [(await setup.create_user())["id"] for _ in range(3)]
    await setup.control(f"users/{ids[0]}/merge", {"into": ids[1]})
    await setup.control(f"users/{ids[1]}/merge", {"into": ids[2]})
    response = await setup.client.get(f"/api/v2/users/{ids[0]}")
    return (ids.index(response.json()["id"]), response.json()["status"]) if response.is_success else 404


async def merge_webhook(setup: Setup) -> object:
    """The keys in the webhook of a merge."""
    old, new = await setup.create_user(), await setup.create_user()
    await setup.control(f"users/{old['id']}/merge", {"into": new["id"]})
    await setup.settle()
    return list(json.loads(setup.receiver.bodies[0]))


async def step_webhooks(setup: Setup) -> object:
    """The webhooks of a completed step, without ids."""
    owner = await setup.create_user(metadata="user's", api_app_id="app-7")
    request = {"steps": ["compliance"], "user_id": owner["id"], "metadata": {"team": "eu"}}
    response = await setup.client.post("/api/v2/flows", json=request, headers={"Api-App-Id": "app-7"})
    await setup.control(f"flows/{response.json()['id']}/complete-next")
    await setup.settle()
    bodies = [json.loads(body) for body in setup.receiver.bodies]
    return [{name: value for name, value in body.items() if name not in ("flow_id", "user_id")} for body in bodies]


async def id_webhook(setup: Setup) -> object:
    """The event of a confirmed identity."""
    await setup.control(f"users/{(await setup.create_user())['id']}/id-verified")
    await setup.settle()
    return json.loads(setup.receiver.bodies[0])["event"]


NAMES = {"onboarding_in_completed_steps": ["authentication", "onboarding"], "onboarding_in_steps": ["onboard"]}
CARRIED = {"flow_webhooks_carry_metadata": True, "user_webhooks_carry_metadata": True}
FLAG = ("compliance", "has_criminal_activity")
OLD_CHECK = "sex_offender_check_status"

ROWS: list[tuple[dict[str, Any], Probe, object]] = [
    ({"redirect_enters_completed_steps": False}, finished("payout", REDIRECT), (["payout", "redirect"], ["payout"])),
    ({"redirect_enters_completed_steps": True}, finished(REDIRECT), (["redirect"], ["redirect"])),
    (NAMES, onboarded, [(["payout"], []), (["onboard", "payout"], ["authentication", "onboarding"])]),
    ({"added_compliance": "never"}, finished("payout"), (["payout"], ["payout"])),
    ({"added_compliance": "listed"}, finished("payout"), (["compliance", "payout"], ["compliance", "payout"])),
    ({"added_compliance": "unlisted"}, finished("payout"), (["payout"], ["compliance", "payout"])),
    ({"added_compliance": "listed"}, finished("compliance"), (["compliance"], ["compliance"])),
    ({"times": "utc"}, created, "2026-11-23T12:00:00.000000Z"),
    ({"skipped_in_completed_steps": False}, skipped, (0, "payout", ["payout"])),
    ({"skipped_in_completed_steps": True}, skipped, (0, "payout", ["compliance", "payout"])),
    ({"skip_sends_webhook": True}, skipped, (1, "payout", ["payout"])),
    ({"create_status": 201}, creation("payout"), 201),
    ({"unknown_steps": "refused"}, creation("dance"), 400),
    ({"unknown_steps": "refused"}, creation("onboard"), 400),
    ({"unknown_steps": "refused"}, creation("authorization"), 400),
    ({"redirect_url_pattern": "enforced"}, creation(LONG_DOMAIN), 400),
    ({"redirect_url_pattern": "ignored"}, creation(LONG_DOMAIN), 200),
    ({"unknown_user": "accepted"}, invented, "unverified"),
    ({"foreign_subject_status": 404}, foreign, {404}),
    ({"foreign_subject_status": 403}, foreign, {403}),
    ({"metadata_limits": False}, creation("payout", metadata={"k" * 41: "v" * 501}), 200),
    ({"metadata_limits": True}, creation("payout", metadata={str(number): "" for number in range(51)}), 400),
    ({"metadata_limits": True}, creation("payout", metadata={"k" * 41: ""}), 400),
    ({"metadata_limits": True}, creation("payout", metadata={"k": "v" * 501}), 400),
    ({"list_order": "newest_first"}, listed, [2, 1, 0]),
    ({"list_order": "oldest_first"}, listed, [0, 1, 2]),
    ({"bad_credentials_status": 403}, bad_credentials, 403),
    (
        {"error_format": "full"},
        missing_flow,
        '{"success":false,"message":"Flow not found","error_code":"not-found"}',
    ),
    ({"error_format": "message_only"}, missing_flow, '{"message":"Flow not found"}'),
    ({"error_format": "empty"}, missing_flow, "{}"),
    ({"error_format": "text"}, missing_flow, "Flow not found"),
    ({"rate_limit_per_minute": 2, "rate_limit_retry_after": True}, limited, ([200, 200, 429, 200], "60")),
    ({"rate_limit_per_minute": 2, "rate_limit_retry_after": False}, limited, ([200, 200, 429, 200], None)),
    ({"flag_place": "compliance"}, user("has_criminal_activity", verdict="flagged"), ABSENT),
    ({"flag_place": "top_level"}, user("has_criminal_activity", verdict="flagged"), True),
    ({"flag_place": "top_level"}, user(*FLAG, verdict="flagged"), ABSENT),
    ({"flag_place": "both"}, user("has_criminal_activity", verdict="flagged"), True),
    ({"flag_place": "both"}, user(*FLAG, verdict="flagged"), True),
    ({"undecided_flag": "null"}, user(*FLAG, verdict="pending"), None),
    ({"undecided_flag": "absent"}, user(*FLAG, verdict="pending"), ABSENT),
    ({"undecided_flag": "false"}, user(*FLAG, verdict="pending"), False),
    ({"consider_flag": True}, user(*FLAG, verdict="consider"), True),
    ({"consider_flag": False}, user(*FLAG, verdict="consider"), False),
    (
        {"submitted_check_status": "started"},
        user("compliance", "background_check", "status", verdict="pending"),
        "started",
    ),
    ({OLD_CHECK: "absent"}, user(OLD_CHECK), ABSENT),
    ({OLD_CHECK: "null"}, user(OLD_CHECK), None),
    ({OLD_CHECK: "failed"}, user(OLD_CHECK), "failed"),
    ({OLD_CHECK: "failed"}, user(OLD_CHECK, status="unverified"), ABSENT),
    ({"merged_user": "not_found"}, merged, 404),
    ({"merged_user": "new_user"}, merged, (2, "verified")),
    ({"merged_user": "disabled"}, merged, (0, "disabled")),
    ({"webhooks_omit_event": True}, merge_webhook, ["old_user_id", "new_user_id"]),
    ({"webhooks_omit_event": True}, step_webhooks, [{}, {}]),
    (
        CARRIED | {"webhooks_carry_api_app_id": True},
        step_webhooks,
        [
            {"event": "flow.updated", "metadata": {"team": "eu"}, "api_app_id": "app-7"},
            {"event": "user.updated", "metadata": "user's"},
        ],
    ),
    ({"id_verified_event": "user.updated.ide_verified"}, id_webhook, "user.updated.ide_verified"),
]


@pytest.mark.parametrize(("unknowns", "probe", "expected"), ROWS)
async def test_each_knob_changes_the_behaviour_it_describes(
    setup: Setup, unknowns: dict[str, Any], probe: Probe, expected: object
) -> None:
    """Each row sets a knob and checks the API or a webhook."""
    await setup.turn(unknowns=unknowns)

    assert await probe(setup) == expected


def test_every_knob_has_a_row() -> None:
    """A new knob needs a row in this table."""
    assert {name for unknowns, _, _ in ROWS for name in unknowns} == set(Unknowns.model_fields)
