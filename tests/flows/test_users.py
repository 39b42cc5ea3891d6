import json

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.flows.refresh_due import refresh_due
from tests.all_inputs import AllInputs
from tests.dots.fake_dots import NOW, USER
from tests.dots.memory_dots import MemoryDots
from tests.flows.due import make_due, user
from tests.storage import stored
from tests.surroundings import KeyWith
from tests.webhooks.sending import PATH, signed


@pytest.fixture
async def flagged(client: httpx.AsyncClient, dots: MemoryDots, inputs: AllInputs) -> None:
    """Store a user whose background check is flagged, after a webhook."""
    dots.add_user(
        id_verified=True,
        has_criminal_activity=True,
        background_check={"status": "consider", "updated": "2026-11-23T11:00:00"},
        flags={"a": True},
    )
    body = b'{"event":"user.updated.background_check","user_id":"%s"}' % USER.encode()
    await client.post(PATH, headers=signed("msg_1", body), content=body)
    await refresh_due(inputs, limit=10)


@pytest.mark.usefixtures("flagged")
async def test_user_with_compliance_read(stranger: httpx.AsyncClient, key_with: KeyWith, engine: AsyncEngine) -> None:
    """The answer has the verdict, and the read leaves an audit row."""
    entitled = await key_with("flows:read", "compliance:read", name="officer")

    answer = await stranger.get(f"/v1/users/{USER.upper()}", headers=entitled)

    assert answer.json() == {
        "id": USER,
        "app": "default",
        "status": "verified",
        "id_verified": True,
        "background_check": {
            "verdict": "flagged",
            "status": "consider",
            "has_criminal_activity": True,
            "older_check_failed": None,
        },
        "refreshed_at": "2026-11-23T12:00:00Z",
    }
    trail = await stored.row(engine, "SELECT read_at, key_id, caller, what FROM compliance_reads")
    key_id = entitled["Authorization"].split("_")[1]
    assert trail == {"read_at": NOW, "key_id": key_id, "caller": "officer", "what": f"user/{USER}"}


async def test_user_whose_check_needs_review(
    stranger: httpx.AsyncClient, key_with: KeyWith, dots: MemoryDots, inputs: AllInputs
) -> None:
    """The answer has Dots' status and the result of the older check."""
    dots.add_user(background_check={"status": "pass"})["sex_offender_check_status"] = "failed"
    await make_due(inputs, user())
    await refresh_due(inputs, limit=1)

    answer = await stranger.get(f"/v1/users/{USER}", headers=await key_with("flows:read", "compliance:read"))

    assert answer.json()["background_check"] == {
        "verdict": "needs_review",
        "status": "pass",
        "has_criminal_activity": None,
        "older_check_failed": True,
    }


async def test_an_older_check_that_failed_survives_a_merge(
    stranger: httpx.AsyncClient, key_with: KeyWith, dots: MemoryDots, inputs: AllInputs
) -> None:
    """Dots shows it only for the old user, and the new user is not cleared."""
    old_id = "00000000-0000-4000-8000-00000000000a"
    dots.add_user(old_id)["sex_offender_check_status"] = "failed"
    dots.add_user(background_check={"status": "pass"}, has_criminal_activity=False)
    merge = {"event": "user.updated.user_merged", "old_user_id": old_id, "new_user_id": USER}
    for number, reported in enumerate(({"event": "user.updated", "user_id": old_id}, merge)):
        body = json.dumps(reported).encode()
        await stranger.post(PATH, headers=signed(f"msg_{number}", body), content=body)
        await refresh_due(inputs, limit=10)

    answer = await stranger.get(f"/v1/users/{USER}", headers=await key_with("flows:read", "compliance:read"))

    assert answer.json()["background_check"]["verdict"] == "needs_review"


@pytest.mark.usefixtures("flagged")
async def test_user_without_compliance_read(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """The answer has no background check, and there is no audit row."""
    answer = await client.get(f"/v1/users/{USER}")

    assert answer.status_code == 200
    assert answer.json()["background_check"] is None
    assert "flagged" not in answer.text
    assert "consider" not in answer.text
    assert await stored.count(engine, "compliance_reads") == 0


@pytest.mark.usefixtures("flagged")
async def test_verdict_is_not_shown_without_an_audit_row(
    stranger: httpx.AsyncClient, key_with: KeyWith, engine: AsyncEngine
) -> None:
    """The audit row is written before the answer. If that fails, the request fails."""
    entitled = await key_with("flows:read", "compliance:read")
    await stored.execute(engine, "DROP TABLE compliance_reads")

    answer = await stranger.get(f"/v1/users/{USER}", headers=entitled)

    assert answer.status_code >= 500
    assert "flagged" not in answer.text


@pytest.mark.usefixtures("flagged")
async def test_nothing_personal_is_stored(engine: AsyncEngine) -> None:
    """Only six fields of Dots' user are stored."""
    columns = set(await stored.row(engine, "SELECT * FROM users"))
    everything = str(await stored.rows(engine, "SELECT * FROM users")) + str(
        await stored.rows(engine, "SELECT * FROM events")
    )

    assert columns >= {"id", "status", "id_verified", "check_status", "has_criminal_activity", "older_check_failed"}
    assert [word for word in ("Ada", "Lovelace", "ada@example.com", "4155550123") if word in everything] == []


@pytest.mark.parametrize("user_id", [USER, "no%20id", "%00"])
async def test_unknown_user_is_404(client: httpx.AsyncClient, user_id: str) -> None:
    """An unknown or malformed id is not found."""
    answer = await client.get(f"/v1/users/{user_id}")

    assert (answer.status_code, answer.json()["code"]) == (404, "user_not_found")
