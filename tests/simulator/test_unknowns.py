import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator.knobs import Unknowns
from tests.simulator.stage import Stage

REDIRECT = {"name": "redirect", "redirect_url": "https://example.com/back"}


async def assume(stage: Stage, **unknowns: Any) -> None:
    """Turn the knobs of what is not documented."""
    await stage.turn(unknowns=unknowns)


async def finished(stage: Stage, *steps: Any) -> dict[str, Any]:
    """A flow that was claimed and walked to its end."""
    flow = await stage.create(*steps)
    while (told := await stage.control(f"flows/{flow['id']}/complete-next"))["step"] is not None:
        pass
    return dict(told["flow"])


@pytest.mark.parametrize(("enters", "completed"), [(False, ["payout"]), (True, ["payout", "redirect"])])
async def test_redirect_may_enter_completed_steps(
    stage: Stage,
    enters: bool,  # noqa: FBT001 - a row of the table
    completed: list[str],
) -> None:
    """`redirect_enters_completed_steps`."""
    await assume(stage, redirect_enters_completed_steps=enters)

    flow = await finished(stage, "payout", REDIRECT)

    assert flow["completed_steps"] == completed


async def test_onboarding_may_be_echoed(stage: Stage) -> None:
    """`onboarding_in_completed_steps` and `onboarding_in_steps`, only for flows that needed it."""
    await assume(stage, onboarding_in_completed_steps=["authentication", "onboarding"], onboarding_in_steps=["onboard"])
    user = await stage.create_user()

    known = await stage.create("payout", user_id=user["id"])
    unknown = await stage.create("payout")
    claimed = (await stage.control(f"flows/{unknown['id']}/claim"))["flow"]

    assert (known["steps"], known["completed_steps"]) == (["payout"], [])
    assert (unknown["steps"], unknown["completed_steps"]) == (["onboard", "payout"], [])
    assert (claimed["steps"], claimed["completed_steps"]) == (["onboard", "payout"], ["authentication", "onboarding"])


@pytest.mark.parametrize(
    ("added", "steps", "completed"),
    [
        ("never", ["payout"], ["payout"]),
        ("listed", ["compliance", "payout"], ["compliance", "payout"]),
        ("unlisted", ["payout"], ["compliance", "payout"]),
    ],
)
async def test_compliance_may_be_added_by_dots(
    stage: Stage, added: str, steps: list[str], completed: list[str]
) -> None:
    """`added_compliance`: with or without listing it; the payee walks through it either way."""
    await assume(stage, added_compliance=added)

    flow = await finished(stage, "payout")

    assert (flow["steps"], flow["completed_steps"]) == (steps, completed)


async def test_compliance_that_was_asked_for_is_not_added_again(stage: Stage) -> None:
    """`added_compliance` leaves such flows alone."""
    await assume(stage, added_compliance="listed")

    assert (await stage.create("payout", "compliance"))["steps"] == ["payout", "compliance"]


async def test_flows_may_carry_updated_and_times_a_zone(stage: Stage) -> None:
    """`flow_has_updated` and `times`."""
    await assume(stage, flow_has_updated=True, times="utc")
    flow = await stage.create("payout")
    stage.clock.now += timedelta(seconds=5)

    claimed = (await stage.control(f"flows/{flow['id']}/claim"))["flow"]

    assert (claimed["created"], claimed["updated"]) == ("2026-11-23T12:00:00.000000Z", "2026-11-23T12:00:05.000000Z")
    assert list(claimed) == sorted(claimed)


async def test_a_creation_may_answer_201(stage: Stage) -> None:
    """`create_status`."""
    await assume(stage, create_status=201)

    response = await stage.client.post("/api/v2/flows", json={"steps": ["payout"]})

    assert response.status_code == 201


async def test_unknown_steps_may_be_refused(stage: Stage) -> None:
    """`unknown_steps`."""
    await assume(stage, unknown_steps="refused")

    response = await stage.client.post("/api/v2/flows", json={"steps": ["dance"]})

    assert response.json()["message"] == "steps: dance is not a valid step"


async def test_unknown_users_may_be_accepted(stage: Stage) -> None:
    """`unknown_user`: the user is invented under the id given."""
    await assume(stage, unknown_user="accepted")

    flow = await stage.create("payout", user_id="b3293101-35ef-451a-aad4-881da3697c2f")

    assert (await stage.get(f"/api/v2/users/{flow['user_id']}"))["status"] == "unverified"


@pytest.mark.parametrize("metadata", [{str(n): "" for n in range(51)}, {"k" * 41: ""}, {"k": "v" * 501}])
async def test_metadata_may_be_limited(stage: Stage, metadata: dict[str, str]) -> None:
    """`metadata_limits`; without it anything passes."""
    await stage.create("payout", metadata=metadata)
    await assume(stage, metadata_limits=True)

    response = await stage.client.post("/api/v2/flows", json={"steps": ["payout"], "metadata": metadata})

    assert response.status_code == 400


async def test_lists_may_come_oldest_first_with_another_default_limit(stage: Stage) -> None:
    """`list_order` and `list_default_limit`."""
    await assume(stage, list_order="oldest_first", list_default_limit=2)
    made = [await stage.create("payout") for _ in range(3)]

    page = await stage.get("/api/v2/flows")

    assert page == {"data": made[:2], "has_more": True}


@pytest.mark.parametrize(("slash", "statuses"), [("only_with", [404, 200]), ("only_without", [200, 404])])
async def test_one_form_of_paths_may_be_missing(stage: Stage, slash: str, statuses: list[int]) -> None:
    """`trailing_slash`."""
    await assume(stage, trailing_slash=slash)

    answers = [await stage.client.get(path) for path in ("/api/v2/flows", "/api/v2/flows/")]

    assert [answer.status_code for answer in answers] == statuses


async def test_wrong_credentials_may_be_answered_403(stage: Stage) -> None:
    """`bad_credentials_status`, as v1 did."""
    await assume(stage, bad_credentials_status=403)

    response = await stage.client.get("/api/v2/flows", auth=("a", "b"))

    assert response.status_code == 403


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ("full", '{"success":false,"message":"Flow not found","error_code":"not-found"}'),
        ("message_only", '{"message":"Flow not found"}'),
        ("empty", "{}"),
        ("text", "Flow not found"),
    ],
)
async def test_errors_may_lack_fields_or_not_be_json(stage: Stage, shape: str, text: str) -> None:
    """`error_shape`."""
    await assume(stage, error_shape=shape)

    response = await stage.client.get("/api/v2/flows/nothing")

    assert (response.status_code, response.text) == (404, text)


@pytest.mark.parametrize(("tells", "retry_after"), [(True, "60"), (False, None)])
async def test_calls_may_be_limited_per_minute(
    stage: Stage,
    tells: bool,  # noqa: FBT001 - a row of the table
    retry_after: str | None,
) -> None:
    """`rate_limit_per_minute` and `rate_limit_retry_after`; a minute later calls pass again."""
    await assume(stage, rate_limit_per_minute=2, rate_limit_retry_after=tells)
    answers = [await stage.client.get("/api/v2/flows") for _ in range(3)]
    stage.clock.now += timedelta(seconds=61)

    later = await stage.client.get("/api/v2/flows")

    assert [answer.status_code for answer in [*answers, later]] == [200, 200, 429, 200]
    assert answers[2].headers.get("retry-after") == retry_after


@pytest.mark.parametrize(
    ("place", "at_top", "inside"), [("compliance", False, True), ("top_level", True, False), ("both", True, True)]
)
async def test_the_flag_may_stand_elsewhere(
    stage: Stage,
    place: str,
    at_top: bool,  # noqa: FBT001 - a row of the table
    inside: bool,  # noqa: FBT001 - a row of the table
) -> None:
    """`flag_place`."""
    await assume(stage, flag_place=place)

    user = await stage.create_user(verdict="flagged")

    assert ("has_criminal_activity" in user, "has_criminal_activity" in user["compliance"]) == (at_top, inside)


@pytest.mark.parametrize(("look", "flag"), [("null", None), ("absent", "absent"), ("false", False)])
async def test_an_undecided_flag_may_look_differently(stage: Stage, look: str, flag: object) -> None:
    """`undecided_flag`: absent or null is not false, but false may be a lie."""
    await assume(stage, undecided_flag=look)

    user = await stage.create_user(verdict="pending")

    assert user["compliance"].get("has_criminal_activity", "absent") == flag


@pytest.mark.parametrize("flag", [None, True, False])
async def test_consider_may_do_anything_to_the_flag(
    stage: Stage,
    flag: bool | None,  # noqa: FBT001 - a row of the table
) -> None:
    """`consider_flag`."""
    await assume(stage, consider_flag=flag)

    user = await stage.create_user(verdict="consider")

    assert user["compliance"]["has_criminal_activity"] is flag


async def test_a_submitted_check_may_have_another_status(stage: Stage) -> None:
    """`submitted_check_status`."""
    await assume(stage, submitted_check_status="started")

    user = await stage.create_user(verdict="pending")

    assert user["compliance"]["background_check"]["status"] == "started"


async def test_a_merged_user_may_answer_under_its_old_id(stage: Stage) -> None:
    """`merged_user`: as the new user, as a disabled one, or not at all; merges may chain."""
    first, second, third = [(await stage.create_user())["id"] for _ in range(3)]
    await stage.control(f"users/{first}/merge", {"into": second})
    await stage.control(f"users/{second}/merge", {"into": third})

    await assume(stage, merged_user="new_user")
    as_new = await stage.get(f"/api/v2/users/{first}")
    await assume(stage, merged_user="disabled")
    as_disabled = await stage.get(f"/api/v2/users/{first}")

    assert (as_new["id"], as_new["status"]) == (third, "verified")
    assert (as_disabled["id"], as_disabled["status"]) == (first, "disabled")


async def test_webhooks_may_carry_more_and_less(stage: Stage) -> None:
    """`flow_webhooks_carry_metadata`, `user_…`, `webhooks_carry_api_app_id`, `webhooks_omit_event`."""
    await assume(
        stage,
        flow_webhooks_carry_metadata=True,
        user_webhooks_carry_metadata=True,
        webhooks_carry_api_app_id=True,
        webhooks_omit_event=True,
    )
    user = await stage.create_user(metadata="of the user")
    response = await stage.client.post(
        "/api/v2/flows",
        json={"steps": ["compliance"], "user_id": user["id"], "metadata": {"team": "eu"}},
        headers={"Api-App-Id": "app-7"},
    )
    flow_id = response.json()["id"]

    await stage.control(f"flows/{flow_id}/complete-next")

    await stage.settle()
    assert [json.loads(body) for body in stage.receiver.bodies] == [
        {"flow_id": flow_id, "metadata": {"team": "eu"}, "api_app_id": "app-7"},
        {"user_id": user["id"], "metadata": "of the user"},
    ]


async def test_a_confirmed_identity_may_be_told_with_the_published_typo(stage: Stage) -> None:
    """`id_verified_event`."""
    await assume(stage, id_verified_event="user.updated.ide_verified")
    user = await stage.create_user()

    await stage.control(f"users/{user['id']}/id-verified")

    await stage.settle()
    assert json.loads(stage.receiver.bodies[0])["event"] == "user.updated.ide_verified"


def test_every_unknown_is_named_here() -> None:
    """A new knob needs a test in this file."""
    text = Path(__file__).read_text(encoding="utf-8")

    assert [name for name in Unknowns.model_fields if name not in text] == []
