from datetime import UTC, datetime
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.dots.fake_dots import USER
from tests.dots.memory_dots import MemoryDots, flow_id_of
from tests.storage import stored
from tests.surroundings import KeyWith

# Every step with every option. Dots must get it as the caller wrote it.
STEPS: list[Any] = [
    "compliance",
    {"name": "compliance", "hide_continue_button": True},
    {"name": "id-verification", "hide_continue_button": False},
    {"name": "background-check", "hide_continue_button": True},
    {"name": "manage-payments", "hide_continue_button": True},
    {
        "name": "manage-payouts",
        "hide_continue_button": True,
        "auto_payout_enabled": False,
        "require_default_payout_method": True,
        "require_auto_payout_method": True,
    },
    {"name": "payout", "auto_payout_enabled": True, "payout_fee_party": "user"},
    {"name": "payout", "payout_fee_party": "platform"},
    {"name": "redirect", "redirect_url": "https://example.com/thanks?for=all#it", "hide_continue_button": True},
    {"name": "pdf-form-fill", "template_id": "tpl_1"},
    # Unknown names and options.
    "moon-landing",
    {"name": "compliance", "some_new_option": {"deep": [1, 2.5, None, "é"]}},
]


async def test_step_reaches_dots_as_written(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """Known and unknown steps are sent to Dots unchanged."""
    answers = [await client.post("/v1/flows", json={"steps": [step]}) for step in STEPS]

    names = [step if isinstance(step, str) else step["name"] for step in STEPS]
    assert [answer.status_code for answer in answers] == [201] * len(STEPS)
    assert [body["steps"] for body in dots.posts] == [[step] for step in STEPS]
    assert [answer.json()["steps"] for answer in answers] == [
        [{"name": name, "state": "pending", "completed_at": None, "discovered_by": None}] for name in names
    ]


async def test_answer_has_the_whole_flow(client: httpx.AsyncClient) -> None:
    """The answer has every documented field and no others."""
    answer = await client.post(
        "/v1/flows",
        json={
            "steps": ["compliance", {"name": "manage-payouts", "hide_continue_button": True}],
            "user_id": USER.upper(),
            "require_auth": True,
            "hide_go_to_dashboard_on_complete": True,
            "reference": "payee-17",
            "metadata": {"team": "eu"},
        },
    )

    flow_id = flow_id_of(1)
    pending = {"state": "pending", "completed_at": None, "discovered_by": None}
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert "idempotent-replayed" not in answer.headers
    assert answer.json() == {
        "id": flow_id,
        "app": "default",
        "caller": "shop",
        "reference": "payee-17",
        "status": "open",
        "link": f"https://my-sandbox.dots.dev/flow/{flow_id}",
        "user_id": USER,
        "payout_link_id": None,
        "metadata": {"team": "eu"},
        "steps": [{"name": "compliance", **pending}, {"name": "manage-payouts", **pending}],
        "error": None,
        "created_at": "2026-11-23T12:00:00Z",
        "completed_at": None,
        "refreshed_at": "2026-11-23T12:00:00Z",
    }


async def test_dots_gets_the_request_and_our_reference(
    client: httpx.AsyncClient, dots: MemoryDots, engine: AsyncEngine
) -> None:
    """The body leaves out Dots' defaults and the caller's reference, and has ours in the metadata."""
    await client.post(
        "/v1/flows",
        json={
            "steps": ["payout"],
            "user_id": USER,
            "require_auth": True,
            "metadata": {"a": 1},
            "reference": "payee-17",
        },
    )

    ref = (await stored.row(engine, "SELECT ref FROM flows"))["ref"]
    assert dots.posts == [
        {
            "steps": ["payout"],
            "user_id": USER,
            "require_auth": True,
            "metadata": {"a": 1, "dots_gateway_ref": str(ref)},
        }
    ]


async def test_metadata_comes_back_as_given(client: httpx.AsyncClient) -> None:
    """Metadata comes back unchanged, without our reference, also after a refresh."""
    given: list[Any] = [None, {}, {"a": {"b": [1, None]}}, "a text", "", "null", '{"a": 1}', {"k" * 40: "v" * 500}]
    created = [await client.post("/v1/flows", json={"steps": ["payout"], "metadata": each}) for each in given]
    read = [await client.get(f"/v1/flows/{answer.json()['id']}") for answer in created]
    refreshed = [await client.post(f"/v1/flows/{answer.json()['id']}/refresh") for answer in created]

    for answers in (created, read, refreshed):
        assert [answer.json()["metadata"] for answer in answers] == given


async def test_created_flow_gives_an_event_and_a_sweep(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """The feed gets a creation event, and the flow is due for a sweep in a minute."""
    created = await client.post("/v1/flows", json={"steps": ["payout"], "reference": "payee-17"})

    event = await stored.row(engine, "SELECT type, subject, sequence, data FROM events")
    due = await stored.row(engine, "SELECT subject_id, due_at, due_by FROM sync_rows")
    flow_id = created.json()["id"]
    assert event == {
        "type": "dots.flow.created",
        "subject": f"flow/{flow_id}",
        "sequence": 1,
        "data": {"flow_id": flow_id, "reference": "payee-17", "user_id": None},
    }
    assert due == {
        "subject_id": flow_id,
        "due_at": datetime(2026, 11, 23, 12, 1, tzinfo=UTC),
        "due_by": "sweep",
    }


async def test_no_transaction_is_open_while_dots_is_asked(
    client: httpx.AsyncClient, dots: MemoryDots, engine: AsyncEngine
) -> None:
    """During the call to Dots, no lock is held on flows, and the intent row is committed."""
    # Other loops of the application may have short transactions, but not on flows.
    held = """
        SELECT mode FROM pg_locks
        WHERE relation = 'flows'::regclass AND pid <> pg_backend_pid()
          -- The databases of other tests are copies, in which the table has the same oid.
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    seen: list[dict[str, Any]] = []

    async def look() -> None:
        seen.extend(await stored.rows(engine, held))
        seen.extend(await stored.rows(engine, "SELECT status FROM flows"))

    dots.on_request = look
    answer = await client.post("/v1/flows", json={"steps": ["payout"]})

    assert answer.status_code == 201
    assert seen == [{"status": "creating"}]


async def test_other_app_is_asked_by_its_own_client(client: httpx.AsyncClient, other_dots: MemoryDots) -> None:
    """A flow of another Dots app is created with that app's client."""
    answer = await client.post("/v1/flows", json={"steps": ["payout"], "app": "eu"})

    assert answer.json()["app"] == "eu"
    assert [request.headers["api-app-id"] for request in other_dots.requests] == ["eu"]


async def test_unknown_app_is_404_and_leaves_nothing(
    client: httpx.AsyncClient, dots: MemoryDots, engine: AsyncEngine
) -> None:
    """An app that is not in the settings gets no row and no call."""
    answer = await client.post("/v1/flows", json={"steps": ["payout"], "app": "mars"})

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_app")
    assert dots.requests == []
    assert await stored.count(engine, "flows") == 0


async def test_database_that_fails_before_dots_is_asked_is_503(
    client: httpx.AsyncClient, dots: MemoryDots, engine: AsyncEngine
) -> None:
    """Without an intent row, Dots is not called."""
    await stored.execute(
        engine,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53100'; END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON flows FOR EACH ROW EXECUTE FUNCTION refuse()",
    )

    answer = await client.post("/v1/flows", json={"steps": ["payout"]})

    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert dots.requests == []


async def test_database_that_fails_after_dots_has_answered_is_an_unknown_outcome(
    client: httpx.AsyncClient, dots: MemoryDots, engine: AsyncEngine
) -> None:
    """The flow exists at Dots, so the answer must not say that a repeat is safe."""
    await stored.execute(
        engine,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53100'; END $$",
        "CREATE TRIGGER refuse BEFORE UPDATE ON flows FOR EACH ROW EXECUTE FUNCTION refuse()",
    )

    answer = await client.post("/v1/flows", json={"steps": ["payout"]})

    assert len(dots.flows) == 1
    assert (answer.status_code, answer.json()["code"]) == (504, "creation_outcome_unknown")
    assert (await stored.row(engine, "SELECT status FROM flows"))["status"] == "creating"


async def test_link_is_for_writers_only(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, key_with: KeyWith
) -> None:
    """The holder of the link can act as the payee, so keys that only read do not get it."""
    created = await client.post("/v1/flows", json={"steps": ["payout"]})
    path = f"/v1/flows/{created.json()['id']}"
    reader = await key_with("flows:read")

    one = await stranger.get(path, headers=reader)
    listed = await stranger.get("/v1/flows", headers=reader)
    own = await client.get(path)

    assert one.json()["link"] is None
    assert [flow["link"] for flow in listed.json()["flows"]] == [None]
    assert own.json()["link"] == created.json()["link"]
