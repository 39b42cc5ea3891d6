import json
from typing import Any

import pytest

from tests.simulator.stage import Stage


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
async def test_a_verdict_can_come_later_than_its_step(
    stage: Stage,
    body: dict[str, Any],
    status: str,
    flag: bool | None,  # noqa: FBT001 - a row of the table
) -> None:
    """It is told by a webhook, and the flag can be set apart from the status."""
    user = await stage.create_user()
    flow = await stage.create("background-check", user_id=user["id"])
    await stage.control(f"flows/{flow['id']}/complete-next", {"verdict": "pending"})
    await stage.settle()
    stage.receiver.requests.clear()

    await stage.control(f"users/{user['id']}/verdict", body)
    await stage.settle()

    compliance = (await stage.get(f"/api/v2/users/{user['id']}"))["compliance"]
    assert (compliance["background_check"]["status"], compliance["has_criminal_activity"]) == (status, flag)
    assert stage.receiver.bodies == [json.dumps({"event": "user.updated.background_check", "user_id": user["id"]})]


async def test_an_unknown_verdict_is_refused(stage: Stage) -> None:
    """The message lists the words there are."""
    user = await stage.create_user()

    response = await stage.client.post(f"/_control/users/{user['id']}/verdict", json={"status": "guilty"})

    assert response.status_code == 400
    assert "cleared" in response.json()["detail"]


async def test_an_identity_can_be_confirmed_and_taken_back(stage: Stage) -> None:
    """Both are told by a webhook."""
    user = await stage.create_user()

    confirmed = await stage.control(f"users/{user['id']}/id-verified")
    taken_back = await stage.control(f"users/{user['id']}/id-verified", {"id_verified": False})

    await stage.settle()
    assert (confirmed["compliance"]["id_verified"], taken_back["compliance"]["id_verified"]) == (True, False)
    assert [json.loads(body)["event"] for body in stage.receiver.bodies] == ["user.updated.id_verified"] * 2


async def test_a_merge_moves_flows_and_knowledge_to_the_user_that_stays(stage: Stage) -> None:
    """The old id answers 404 and the webhook names both."""
    old, new = await stage.create_user(verdict="flagged", id_verified=True), await stage.create_user()
    flow = await stage.create("payout", user_id=old["id"])

    await stage.control(f"users/{old['id']}/merge", {"into": new["id"]})

    await stage.settle()
    moved = await stage.get(f"/api/v2/flows/{flow['id']}")
    stayed = await stage.get(f"/api/v2/users/{new['id']}")
    gone = await stage.client.get(f"/api/v2/users/{old['id']}")
    assert moved["user_id"] == new["id"]
    assert (stayed["compliance"]["has_criminal_activity"], stayed["compliance"]["id_verified"]) == (True, True)
    assert gone.status_code == 404
    assert [json.loads(body) for body in stage.receiver.bodies] == [
        {
            "event": "user.updated.user_merged",
            "user_id": new["id"],
            "old_user_id": old["id"],
            "new_user_id": new["id"],
        }
    ]


async def test_a_user_cannot_be_merged_into_itself_or_nobody(stage: Stage) -> None:
    """Refused, and nothing changes."""
    user = await stage.create_user()

    itself = await stage.client.post(f"/_control/users/{user['id']}/merge", json={"into": user["id"]})
    nobody = await stage.client.post(f"/_control/users/{user['id']}/merge", json={"into": "nobody"})

    assert (itself.status_code, nobody.status_code) == (400, 404)
    assert (await stage.get("/_control/state"))["users"] == [user]
