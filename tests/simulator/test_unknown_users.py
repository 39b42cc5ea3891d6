import json
from typing import Any

import pytest

from tests.simulator.setup import Setup


async def assume(setup: Setup, **unknowns: Any) -> None:
    """Turn the knobs of what is not documented."""
    await setup.turn(unknowns=unknowns)


@pytest.mark.parametrize(
    ("says", "carried"), [("absent", "absent"), ("null", None), ("passed", "passed"), ("failed", "failed")]
)
async def test_an_older_check_may_still_stand_in_a_user(setup: Setup, says: str, carried: object) -> None:
    """`sex_offender_check_status`, at the top level as before 2026; unverified users have none."""
    await assume(setup, sex_offender_check_status=says)

    users = [await setup.create_user(status=status) for status in ("verified", "unverified")]

    assert [user.get("sex_offender_check_status", "absent") for user in users] == [carried, "absent"]


async def test_a_merge_may_be_told_by_its_two_ids_alone(setup: Setup) -> None:
    """`webhooks_omit_event`, as the sample is published."""
    await assume(setup, webhooks_omit_event=True)
    old, new = await setup.create_user(), await setup.create_user()

    await setup.control(f"users/{old['id']}/merge", {"into": new["id"]})

    await setup.settle()
    assert json.loads(setup.receiver.bodies[0]) == {"old_user_id": old["id"], "new_user_id": new["id"]}


@pytest.mark.parametrize(
    ("place", "at_top", "inside"), [("compliance", False, True), ("top_level", True, False), ("both", True, True)]
)
async def test_the_flag_may_stand_elsewhere(
    setup: Setup,
    place: str,
    at_top: bool,  # noqa: FBT001 - a row of the table
    inside: bool,  # noqa: FBT001 - a row of the table
) -> None:
    """`flag_place`."""
    await assume(setup, flag_place=place)

    user = await setup.create_user(verdict="flagged")

    assert ("has_criminal_activity" in user, "has_criminal_activity" in user["compliance"]) == (at_top, inside)


@pytest.mark.parametrize(("look", "flag"), [("null", None), ("absent", "absent"), ("false", False)])
async def test_an_undecided_flag_may_look_differently(setup: Setup, look: str, flag: object) -> None:
    """`undecided_flag`: absent or null is not false, but false may be a lie."""
    await assume(setup, undecided_flag=look)

    user = await setup.create_user(verdict="pending")

    assert user["compliance"].get("has_criminal_activity", "absent") == flag


@pytest.mark.parametrize("flag", [None, True, False])
async def test_consider_may_do_anything_to_the_flag(
    setup: Setup,
    flag: bool | None,  # noqa: FBT001 - a row of the table
) -> None:
    """`consider_flag`."""
    await assume(setup, consider_flag=flag)

    user = await setup.create_user(verdict="consider")

    assert user["compliance"]["has_criminal_activity"] is flag


async def test_a_submitted_check_may_have_another_status(setup: Setup) -> None:
    """`submitted_check_status`."""
    await assume(setup, submitted_check_status="started")

    user = await setup.create_user(verdict="pending")

    assert user["compliance"]["background_check"]["status"] == "started"


async def test_a_merged_user_may_answer_under_its_old_id(setup: Setup) -> None:
    """`merged_user`: as the new user, as a disabled one, or not at all; merges may chain."""
    first, second, third = [(await setup.create_user())["id"] for _ in range(3)]
    await setup.control(f"users/{first}/merge", {"into": second})
    await setup.control(f"users/{second}/merge", {"into": third})

    await assume(setup, merged_user="new_user")
    as_new = await setup.get(f"/api/v2/users/{first}")
    await assume(setup, merged_user="disabled")
    as_disabled = await setup.get(f"/api/v2/users/{first}")

    assert (as_new["id"], as_new["status"]) == (third, "verified")
    assert (as_disabled["id"], as_disabled["status"]) == (first, "disabled")


async def test_webhooks_may_carry_more_and_less(setup: Setup) -> None:
    """`flow_webhooks_carry_metadata`, `user_…`, `webhooks_carry_api_app_id`, `webhooks_omit_event`."""
    await assume(
        setup,
        flow_webhooks_carry_metadata=True,
        user_webhooks_carry_metadata=True,
        webhooks_carry_api_app_id=True,
        webhooks_omit_event=True,
    )
    user = await setup.create_user(metadata="of the user", api_app_id="app-7")
    response = await setup.client.post(
        "/api/v2/flows",
        json={"steps": ["compliance"], "user_id": user["id"], "metadata": {"team": "eu"}},
        headers={"Api-App-Id": "app-7"},
    )
    flow_id = response.json()["id"]

    await setup.control(f"flows/{flow_id}/complete-next")

    await setup.settle()
    assert [json.loads(body) for body in setup.receiver.bodies] == [
        {"flow_id": flow_id, "metadata": {"team": "eu"}, "api_app_id": "app-7"},
        {"user_id": user["id"], "metadata": "of the user"},
    ]


async def test_a_confirmed_identity_may_be_told_with_the_published_typo(setup: Setup) -> None:
    """`id_verified_event`."""
    await assume(setup, id_verified_event="user.updated.ide_verified")
    user = await setup.create_user()

    await setup.control(f"users/{user['id']}/id-verified")

    await setup.settle()
    assert json.loads(setup.receiver.bodies[0])["event"] == "user.updated.ide_verified"
