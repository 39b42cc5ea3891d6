"""`dots-gateway webhooks` at a terminal."""

import asyncio
import json

import pytest
from typer.testing import CliRunner, Result

from app.commands.main import cli
from app.storage import database
from app.storage.subjects import Subject
from app.webhooks import webhook_rows
from app.webhooks.webhook_rows import Webhook
from tests.databases import run_apart
from tests.dots.fake_dots import NOW
from tests.storage import stored

ENVIRONMENT = {
    "DOTS_API_URL": "http://127.0.0.1:9/api",
    "DOTS_CLIENT_ID": "pk_dev_test",
    "DOTS_API_KEY": "sk_dev_test",
    "DOTS_WEBHOOK_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}
SYNC = "SELECT subject_id, due_by, dirty_gen FROM sync_rows ORDER BY subject_id"


@pytest.fixture
def database_url_with_two(database_url: str) -> str:
    """A database with two webhooks, about two flows."""
    run_apart(_store(database_url))
    return database_url


async def _store(database_url: str) -> None:
    engine = database.create_engine(database_url)
    try:
        async with database.transaction(engine) as connection:
            await webhook_rows.store(connection, [_webhook("msg_1", "flow-1"), _webhook("msg_2", "flow-2")])
    finally:
        await engine.dispose()


def _webhook(message_id: str, flow_id: str) -> Webhook:
    subject = Subject(app="default", kind="flow", id=flow_id)
    return Webhook(
        app="default", message_id=message_id, received_at=NOW, body=b"{}", event="flow.updated", subject=subject
    )


def run(database_url: str, *arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["webhooks", *arguments], env={**ENVIRONMENT, "DATABASE_URL": database_url})


def sync_rows(database_url: str) -> list[tuple[str, str, int]]:
    """Return the id of each due flow or user, the reason, and the number of requests."""

    async def read() -> list[tuple[str, str, int]]:
        engine = database.create_engine(database_url)
        try:
            return [(row["subject_id"], row["due_by"], row["dirty_gen"]) for row in await stored.rows(engine, SYNC)]
        finally:
            await engine.dispose()

    return asyncio.run(read())


def test_webhooks_are_listed_for_people_and_programs(database_url_with_two: str) -> None:
    """The list is a table or JSON, latest first."""
    table = run(database_url_with_two, "list")
    listed = json.loads(run(database_url_with_two, "list", "--json", "--state", "pending").output)

    assert "msg_1" in table.output
    assert [webhook["message_id"] for webhook in listed] == ["msg_2", "msg_1"]
    assert {webhook["state"] for webhook in listed} == {"pending"}


def test_a_replay_only_counts_until_it_is_confirmed(database_url_with_two: str) -> None:
    """Without --yes nothing changes. With it only what matches is due again."""
    counted = run(database_url_with_two, "replay", "--subject", "flow-1")
    before = sync_rows(database_url_with_two)
    done = json.loads(run(database_url_with_two, "replay", "--subject", "flow-1", "--yes", "--json").output)

    assert "would be due" in counted.output
    assert before == [("flow-1", "webhook", 1), ("flow-2", "webhook", 1)]
    assert done == {"webhooks": 1, "subjects": 1, "is_dry_run": False, "is_at_least": False}
    assert sync_rows(database_url_with_two) == [("flow-1", "refresh", 2), ("flow-2", "webhook", 1)]


def test_one_webhook_is_replayed_by_its_id(database_url_with_two: str) -> None:
    """Only the flow of that webhook is due again."""
    done = run(database_url_with_two, "replay", "msg_2", "--yes")

    assert done.exit_code == 0
    assert sync_rows(database_url_with_two) == [("flow-1", "webhook", 1), ("flow-2", "refresh", 2)]


def test_an_unknown_state_is_wrong_use(database_url_with_two: str) -> None:
    """The exit status is 2, and the message has the valid states."""
    result = run(database_url_with_two, "list", "--state", "lost")

    assert result.exit_code == 2
    assert "must be handled, pending, failing or dead" in result.output
