"""Every webhook that Dots documents, signed and sent as Dots does."""

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.dots.fake_dots import NOW
from tests.dots.webhook_samples import SAMPLES, WebhookSample
from tests.storage import stored
from tests.webhooks.sending import PATH, signed

DUE = "SELECT app, kind, subject_id, due_at, due_by FROM sync_rows"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
async def test_documented_webhook_makes_its_subject_due(
    stranger: httpx.AsyncClient, engine: AsyncEngine, sample: WebhookSample
) -> None:
    """It is stored byte for byte. Only its flow or user is due, and only a merge is recorded as one."""
    answer = await stranger.post(PATH, headers=signed("msg_1", sample.raw), content=sample.raw)

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
    pair = {"old_user_id": sample.body.get("old_user_id"), "new_user_id": sample.body.get("new_user_id")}
    merges = await stored.rows(engine, "SELECT old_user_id, new_user_id FROM user_merges")
    assert merges == ([pair] if pair["old_user_id"] else [])


def test_documented_webhooks_name_three_subjects() -> None:
    """The table above has webhooks about flows and users, and webhooks about neither."""
    assert len({(sample.kind, sample.subject_id) for sample in SAMPLES if sample.kind}) == 3
    assert {sample.kind for sample in SAMPLES} == {"flow", "user", None}
