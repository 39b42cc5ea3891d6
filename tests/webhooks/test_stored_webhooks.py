"""Listing, showing and replaying stored webhooks over HTTP."""

import base64
from datetime import timedelta

import httpx
import pytest

from app import cursors
from app.flows.refresh_due import refresh_due
from tests.all_inputs import AllInputs, HandClock
from tests.dots.memory_dots import MemoryDots, flow_id_of
from tests.surroundings import KeyWith
from tests.webhooks.sending import PATH, signed


@pytest.fixture
async def operator(stranger: httpx.AsyncClient, key_with: KeyWith) -> httpx.AsyncClient:
    """A client with an operator's key."""
    stranger.headers.update(await key_with("ops:admin", name="operator"))
    return stranger


async def send(client: httpx.AsyncClient, message_id: str, number: int) -> bytes:
    """Send a webhook about a flow. Returns its body."""
    body = b'{"event":"flow.updated","flow_id":"%s"}' % flow_id_of(number).encode()
    answer = await client.post(PATH, headers=signed(message_id, body), content=body)
    assert answer.status_code == 204
    return body


async def listed(client: httpx.AsyncClient, **query: str | int) -> list[tuple[str, str]]:
    """Return the ids and states of the webhooks found."""
    answer = await client.get("/v1/webhooks", params=query)
    assert answer.status_code == 200, answer.text
    return [(webhook["message_id"], webhook["state"]) for webhook in answer.json()["webhooks"]]


async def test_webhooks_are_found_by_their_state(
    operator: httpx.AsyncClient, dots: MemoryDots, inputs: AllInputs
) -> None:
    """One is handled, one is about a flow that Dots does not know, and one is not refreshed yet."""
    dots.add_flow(1)
    await send(operator, "msg_1", 1)
    await send(operator, "msg_2", 2)
    await refresh_due(inputs, limit=10)
    await send(operator, "msg_3", 3)

    found = {state: await listed(operator, state=state) for state in ("handled", "failing", "pending", "dead")}

    assert found == {
        "handled": [("msg_1", "handled")],
        "failing": [("msg_2", "failing")],
        "pending": [("msg_3", "pending")],
        "dead": [],
    }


async def test_pages_together_have_every_webhook(operator: httpx.AsyncClient) -> None:
    """The cursors lead through pages of two, latest first."""
    for number in range(5):
        await send(operator, f"msg_{number}", number)
    pages = []
    query = {"limit": "2"}
    while True:
        page = (await operator.get("/v1/webhooks", params=query)).json()
        pages.append([webhook["message_id"] for webhook in page["webhooks"]])
        if not page["has_more"]:
            break
        query["after"] = page["next_cursor"]

    assert pages == [["msg_4", "msg_3"], ["msg_2", "msg_1"], ["msg_0"]]
    assert page["next_cursor"] is None


async def test_one_webhook_is_shown_with_its_body(operator: httpx.AsyncClient) -> None:
    """The body is shown byte for byte."""
    body = await send(operator, "msg_1", 1)

    answer = (await operator.get("/v1/webhooks/msg_1")).json()

    assert base64.b64decode(answer["body_base64"]) == body
    assert answer["webhook"]["event"] == "flow.updated"
    assert (answer["webhook"]["subject_kind"], answer["webhook"]["subject_id"]) == ("flow", flow_id_of(1))


async def test_a_replay_is_a_dry_run_by_default(
    operator: httpx.AsyncClient, dots: MemoryDots, inputs: AllInputs, clock: HandClock
) -> None:
    """A dry run only counts. A replay asks Dots again."""
    dots.add_flow(1)
    await send(operator, "msg_1", 1)
    await send(operator, "msg_2", 1)
    await refresh_due(inputs, limit=10)
    clock.advance(timedelta(seconds=1))
    dots.requests.clear()

    dry = (await operator.post("/v1/webhooks/replay", json={"event": "flow.updated"})).json()
    await refresh_due(inputs, limit=10)
    dry_run_requests = len(dots.requests)
    wet = (await operator.post("/v1/webhooks/replay", json={"event": "flow.updated", "dry_run": False})).json()
    await refresh_due(inputs, limit=10)
    one = (await operator.post("/v1/webhooks/msg_2/replay")).json()
    await refresh_due(inputs, limit=10)

    assert dry == {"webhooks": 2, "subjects": 1, "dry_run": True, "at_least": False}
    assert wet == {"webhooks": 2, "subjects": 1, "dry_run": False, "at_least": False}
    assert one == {"webhooks": 1, "subjects": 1, "dry_run": False, "at_least": False}
    assert (dry_run_requests, len(dots.requests)) == (0, 2)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/webhooks/msg_unknown", None, 404, "webhook_not_found"),
        ("GET", "/v1/webhooks/msg%00", None, 404, "webhook_not_found"),
        ("POST", "/v1/webhooks/msg_unknown/replay", None, 404, "webhook_not_found"),
        ("GET", "/v1/webhooks?state=lost", None, 422, "invalid_fields"),
        ("GET", "/v1/webhooks?after=junk", None, 422, "invalid_cursor"),
        # A cursor of another list.
        ("GET", f"/v1/webhooks?after={cursors.by_position('deliveries').write(7)}", None, 422, "invalid_cursor"),
        # A misspelt filter must not become a replay of everything.
        ("POST", "/v1/webhooks/replay", {"evnt": "flow.updated", "dry_run": False}, 422, "invalid_fields"),
    ],
)
async def test_wrong_requests_are_refused(
    operator: httpx.AsyncClient, *, method: str, path: str, body: dict[str, object] | None, status: int, code: str
) -> None:
    """The answer is a problem document."""
    answer = await operator.request(method, path, json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
