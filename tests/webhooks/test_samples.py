"""Every webhook that Dots publishes, signed and sent to the service as Dots would."""

import json

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.dots.fake_dots import NOW
from tests.dots.webhook_samples import SAMPLES, WebhookSample
from tests.storage import stored
from tests.webhooks.sending import PATH, signed

DUE = "SELECT app, kind, subject_id, due_at, due_by FROM sync_rows"
NAMES = [sample.name for sample in SAMPLES]


async def send(client: httpx.AsyncClient, sample: WebhookSample, *, message_id: str = "msg_1") -> httpx.Response:
    """Send a sample."""
    return await client.post(PATH, headers=signed(message_id, sample.raw), content=sample.raw)


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
async def test_published_webhook_makes_its_subject_due_and_nothing_else(
    stranger: httpx.AsyncClient, engine: AsyncEngine, sample: WebhookSample
) -> None:
    """It is stored as it came and acknowledged; what it names is looked at."""
    answer = await send(stranger, sample)

    assert answer.status_code == 204
    assert await stored.rows(engine, "SELECT body, event, kind, subject_id FROM webhooks") == [
        {
            "body": sample.raw,
            "event": sample.body.get("event"),
            "kind": sample.kind,
            "subject_id": sample.subject_id,
        }
    ]
    due = {"app": "default", "kind": sample.kind, "subject_id": sample.subject_id, "due_at": NOW, "due_by": "webhook"}
    assert await stored.rows(engine, DUE) == ([due] if sample.kind else [])


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
async def test_published_merge_is_noted_and_nothing_else_is(
    stranger: httpx.AsyncClient, engine: AsyncEngine, sample: WebhookSample
) -> None:
    """The pair of ids, in the transaction that stores the webhook."""
    await send(stranger, sample)

    pair = {"old_user_id": sample.body.get("old_user_id"), "new_user_id": sample.body.get("new_user_id")}
    noted = await stored.rows(engine, "SELECT old_user_id, new_user_id FROM user_merges")
    assert noted == ([pair] if pair["old_user_id"] else [])


async def test_all_samples_at_once_make_due_what_they_name(stranger: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """One commit may take them all."""
    for number, sample in enumerate(SAMPLES):
        await send(stranger, sample, message_id=f"msg_{number}")

    named = {(sample.kind, sample.subject_id) for sample in SAMPLES if sample.kind}
    due = {(row["kind"], row["subject_id"]) for row in await stored.rows(engine, DUE)}
    assert due == named
    assert len(named) == 3
    assert json.loads((await stored.rows(engine, "SELECT body FROM webhooks LIMIT 1"))[0]["body"])
