"""The gateway does not store, log or report secrets and personal data."""

import base64

import httpx
import pytest

from tests.stack import database, dots
from tests.stack.gateway import Feed
from tests.stack.processes import Stack, empty_stack

METADATA = "text-that-only-the-caller-understands"
# These columns store the link and the metadata: of the flow, of the request to Dots, of the answer to repeat.
MAY_HOLD_LINK = {"flows.link", "answers.answer"}
MAY_HOLD_METADATA = {"flows.metadata", "flows.request", "answers.answer"}


async def test_no_secret_or_personal_data_is_logged_reported_or_stored(database_url: str) -> None:
    """A payee completes a flow with failures. Then logs, metrics, events and tables are searched."""
    async with empty_stack(database_url) as stack:
        await stack.start_simulator()
        await stack.create_key()
        api = await stack.start_api("--with-worker")
        await stack.dots.send_webhooks_to(api.url)
        flow = await complete_a_flow(stack)
        await fail_in_many_ways(stack, api.url, flow["id"])
        state = await stack.dots.ask("state")
        secrets = {*credentials(stack), *personal_data(state)}
        metrics = (await stack.gateway.get("/metrics")).text
        events = (await stack.gateway.get("/v1/events")).text
        api.ask_to_end()
        status = await api.exit_status()
        logs = stack.logs.text("api")
        stored = await database.everything(database_url)

    assert status == 0
    assert len(secrets) >= 9
    for place, text in {**stored, "logs": logs, "metrics": metrics, "events": events}.items():
        assert not [secret for secret in secrets if secret in text], place
        assert place in MAY_HOLD_LINK or flow["link"] not in text, place
        assert place in MAY_HOLD_METADATA or METADATA not in text, place
    assert not [word for word in ("flagged", flow["id"], state["users"][0]["id"]) if word in metrics]
    assert '"event": "refreshed"' in logs
    assert flow["link"] in stored["flows.link"]


async def complete_a_flow(stack: Stack) -> dict[str, str]:
    """Complete a flow with a flagged check, and read it from every endpoint; its id and link."""
    body = {"steps": ["compliance", "id-verification", "background-check"], "metadata": {"note": METADATA}}
    answer = await stack.gateway.post("/v1/flows", body, **{"Idempotency-Key": "one"})
    flow = answer.json()
    await stack.dots.walk(flow, verdict="flagged")
    await Feed(stack.gateway).until(lambda events: len(events) == 8)
    user_id = (await stack.gateway.read(f"/v1/flows/{flow['id']}"))["user_id"]
    for path in ("/v1/flows", f"/v1/flows/{flow['id']}/timeline", f"/v1/users/{user_id}"):
        await stack.gateway.read(path)
    return {"id": flow["id"], "link": flow["link"]}


async def fail_in_many_ways(stack: Stack, api_url: str, flow_id: str) -> None:
    """Cause failures that are logged: failures of Dots, a forged webhook, an invalid body, a closed connection."""
    for fault in ("server_error", "unauthorized", "junk_body", "cut", "rate_limited"):
        await stack.dots.turn(faults={"next_responses": [fault, fault]})
        assert (await stack.gateway.post(f"/v1/flows/{flow_id}/refresh")).status_code >= 500
        assert (await stack.gateway.post("/v1/flows", {"steps": ["payout"]})).status_code >= 500
    wrong = {"steps": [{"name": "redirect", "redirect_url": METADATA}], "metadata": {"x": [METADATA]}}
    assert (await stack.gateway.post("/v1/flows", wrong)).status_code == 422
    signed = {"svix-id": "msg_1", "svix-timestamp": "1", "svix-signature": f"v1,{METADATA}"}
    assert (await stack.client.post(f"{api_url}/webhooks/dots", content=METADATA, headers=signed)).status_code == 401
    with pytest.raises(httpx.ReadTimeout):
        await stack.client.get(
            f"{api_url}/v1/events",
            headers={"Authorization": f"Bearer {stack.key}"},
            params={"after": "latest", "wait": 20},
            timeout=0.5,
        )


def credentials(stack: Stack) -> set[str]:
    """Keys, secrets and passwords, also as they are sent over HTTP."""
    basic = base64.b64encode(f"{dots.CLIENT_ID}:{dots.API_KEY}".encode()).decode()
    webhook_key = dots.WEBHOOK_SECRET.removeprefix("whsec_")
    password = httpx.URL(stack.database_url).password
    return {stack.key, stack.key.rpartition("_")[2], dots.API_KEY, basic, webhook_key} | ({password} - {""})


def personal_data(state: dict[str, list[dict[str, str]]]) -> set[str]:
    """The personal data in Dots' users."""
    found: set[str] = set()
    for user in state["users"]:
        phone: dict[str, str] = user["phone_number"]  # type: ignore[assignment]  # JSON
        found |= {user["email"], user["last_name"], f"{user['first_name']} {user['last_name']}", phone["phone_number"]}
    return found
