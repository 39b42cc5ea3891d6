import json
from typing import Any

import pytest

from tests.simulator.setup import Setup


@pytest.mark.parametrize(
    ("body", "status", "flag"),
    [
        ({"status": "failed"}, "failed", True),
        ({"status": "cleared"}, "pass", False),
        ({"status": "consider", "has_criminal_activity": True}, "consider", True),
        ({"status": "failed", "has_criminal_activity": None}, "failed", None),
        ({"status": "pass", "has_criminal_activity": True}, "pass", True),
    ],
)
async def test_a_verdict_can_change_after_its_step(
    setup: Setup,
    body: dict[str, Any],
    status: str,
    flag: bool | None,  # noqa: FBT001 - a row of the table
) -> None:
    """A webhook reports it. The flag can be set independently of the status."""
    user = await setup.create_user()
    flow = await setup.create("background-check", user_id=user["id"])
    await setup.control(f"flows/{flow['id']}/complete-next", {"verdict": "pending"})
    await setup.settle()
    setup.receiver.requests.clear()

    await setup.control(f"users/{user['id']}/verdict", body)
    await setup.settle()

    compliance = (await setup.get(f"/api/v2/users/{user['id']}"))["compliance"]
    assert (compliance["background_check"]["status"], compliance["has_criminal_activity"]) == (status, flag)
    assert setup.receiver.bodies == [json.dumps({"event": "user.updated.background_check", "user_id": user["id"]})]


async def test_an_unknown_verdict_is_refused(setup: Setup) -> None:
    """The message lists the valid words."""
    user = await setup.create_user()

    response = await setup.client.post(f"/_control/users/{user['id']}/verdict", json={"status": "guilty"})

    assert response.status_code == 400
    assert "cleared" in response.json()["detail"]


async def test_an_id_verification_can_be_set_and_revoked(setup: Setup) -> None:
    """A webhook reports both changes."""
    user = await setup.create_user()

    confirmed = await setup.control(f"users/{user['id']}/id-verified")
    revoked = await setup.control(f"users/{user['id']}/id-verified", {"id_verified": False})

    await setup.settle()
    assert (confirmed["compliance"]["id_verified"], revoked["compliance"]["id_verified"]) == (True, False)
    assert [json.loads(body)["event"] for body in setup.receiver.bodies] == ["user.updated.id_verified"] * 2


async def test_a_merge_moves_flows_and_checks_to_the_other_user(setup: Setup) -> None:
    """The old id answers 404, and the webhook has both ids."""
    old, new = await setup.create_user(verdict="flagged", id_verified=True), await setup.create_user()
    flow = await setup.create("payout", user_id=old["id"])

    await setup.control(f"users/{old['id']}/merge", {"into": new["id"]})

    await setup.settle()
    moved = await setup.get(f"/api/v2/flows/{flow['id']}")
    stayed = await setup.get(f"/api/v2/users/{new['id']}")
    gone = await setup.client.get(f"/api/v2/users/{old['id']}")
    assert moved["user_id"] == new["id"]
    assert (stayed["compliance"]["has_criminal_activity"], stayed["compliance"]["id_verified"]) == (True, True)
    assert gone.status_code == 404
    assert [json.loads(body) for body in setup.receiver.bodies] == [
        {
            "event": "user.updated.user_merged",
            "user_id": new["id"],
            "old_user_id": old["id"],
            "new_user_id": new["id"],
        }
    ]


async def test_a_user_cannot_be_merged_into_itself_or_an_unknown_user(setup: Setup) -> None:
    """Both requests are refused and change nothing."""
    user = await setup.create_user()

    itself = await setup.client.post(f"/_control/users/{user['id']}/merge", json={"into": user["id"]})
    nobody = await setup.client.post(f"/_control/users/{user['id']}/merge", json={"into": "nobody"})

    assert (itself.status_code, nobody.status_code) == (400, 404)
    assert (await setup.get("/_control/state"))["users"] == [user]
