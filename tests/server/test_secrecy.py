import httpx
import pytest

from app.feed.sequence_events import sequence_events
from app.flows.refresh_due import refresh_due
from app.subscriptions import delivery_rows
from tests.all_inputs import AllInputs
from tests.dots.fake_dots import USER
from tests.dots.memory_dots import MemoryDots, refusal
from tests.storage import stored
from tests.surroundings import Logs
from tests.webhooks.sending import PATH, signed

PERSONAL = ("Ada", "Lovelace", "ada@example.com", "4155550123")
SECRET = ("sk_dev", "pk_dev", "my-sandbox.dots.dev", "v1,")


async def test_logs_have_no_secrets_and_no_personal_data(
    client: httpx.AsyncClient,
    dots: MemoryDots,
    inputs: AllInputs,
    logs: Logs,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The logs of creations, webhooks, refreshes, verdicts and failures contain neither."""
    body = {"steps": ["background-check"], "user_id": USER, "metadata": {"of": "Ada Lovelace"}}
    created = await client.post("/v1/flows", json=body, headers={"Idempotency-Key": "Ada-Lovelace"})
    flow_id = created.json()["id"]
    dots.flows[flow_id]["completed_steps"] = ["background-check"]
    dots.add_user(has_criminal_activity=True, id_verified=True)
    webhook = b'{"event":"flow.updated","flow_id":"%s","metadata":"Ada Lovelace"}' % flow_id.encode()
    await client.post(PATH, headers=signed("msg_1", webhook), content=webhook)
    await client.post(PATH, headers=signed("msg_1", webhook), content=webhook + b" ")
    for _ in range(3):
        await refresh_due(inputs, limit=10)
    await sequence_events(inputs, delivery_rows, limit=10)
    for fault in (refusal(400, "invalid-input"), refusal(401, "unauthorized"), httpx.ReadError("Ada Lovelace")):
        dots.faults = [fault]
        await client.post("/v1/flows", json=body)
    await client.get(f"/v1/flows/{flow_id}/timeline")
    await client.get("/v1/flows", params={"reference": "Ada Lovelace"})
    await client.get("/v1/flows/Ada%20Lovelace")

    logged = str(logs) + caplog.text
    assert len(logs) > 10
    key = client.headers["Authorization"].rpartition("_")[2]
    assert [word for word in (*PERSONAL, *SECRET, key) if word in logged] == []


@pytest.mark.parametrize(
    ("verdict", "check_status"), [("flagged", "pass"), ("cleared", "pass"), ("needs_review", "consider")]
)
async def test_logs_and_metrics_do_not_have_verdicts(
    client: httpx.AsyncClient, dots: MemoryDots, inputs: AllInputs, logs: Logs, *, verdict: str, check_status: str
) -> None:
    """A verdict is sensitive, most of all beside a user's id."""
    dots.add_user(has_criminal_activity=verdict == "flagged", background_check={"status": check_status})
    webhook = b'{"event":"user.updated","user_id":"%s"}' % USER.encode()
    await client.post(PATH, headers=signed("msg_1", webhook), content=webhook)
    await refresh_due(inputs, limit=10)
    await sequence_events(inputs, delivery_rows, limit=10)
    metrics = await client.get("/metrics")

    assert (await stored.row(inputs.engine, "SELECT verdict FROM users"))["verdict"] == verdict
    assert verdict not in str(logs)
    assert verdict not in metrics.text
    assert USER not in metrics.text


async def test_webhook_bodies_are_not_logged(stranger: httpx.AsyncClient, logs: Logs) -> None:
    """A refused body may contain anything."""
    await stranger.post(PATH, content=b'{"ssn":"123-45-6789"}')

    assert len(logs) == 1
    assert "123-45-6789" not in str(logs)
