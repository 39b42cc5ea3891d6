"""Every command that uses the database refuses a database with another schema version."""

import asyncio

import typer.main
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from app.commands.main import cli
from tests.storage import stored

SOME_ID = "00000000-0000-4000-8000-000000000000"
COMMANDS = [
    "keys list",
    "keys create --name shop --scopes flows:read",
    "keys revoke 0123456789ab",
    "flows list",
    "flows show f-1",
    "flows refresh f-1",
    "webhooks list",
    "webhooks replay --state dead",
    "events list",
    "events replay --to broker --from 2026-11-23T10:00",
    "subscriptions create http://127.0.0.1:9/events",
    "subscriptions list",
    f"subscriptions show {SOME_ID}",
    f"subscriptions pause {SOME_ID}",
    f"subscriptions resume {SOME_ID}",
    f"subscriptions rotate-secret {SOME_ID}",
    f"subscriptions test {SOME_ID}",
    f"subscriptions deliveries {SOME_ID}",
    f"subscriptions redeliver {SOME_ID} --since 2026-11-23T10:00",
    f"subscriptions delete {SOME_ID}",
]
SETTINGS = {
    "DOTS_API_URL": "http://127.0.0.1:9/api",
    "DOTS_CLIENT_ID": "id",
    "DOTS_API_KEY": "key",
    "DOTS_WEBHOOK_SECRETS": "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "ENCRYPTION_KEYS": "one:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "EVENT_BROKER_URL": "redis://127.0.0.1:9",
}


def test_table_has_every_command() -> None:
    """A new command must be added to the table above."""
    nouns = typer.main.get_command(cli).commands  # type: ignore[attr-defined]  # a group's
    found = {f"{noun} {verb}" for noun, group in nouns.items() for verb in getattr(group, "commands", {})}

    assert {" ".join(command.split()[:2]) for command in COMMANDS} == found


async def test_every_command_refuses_another_schema(engine: AsyncEngine, database_url: str) -> None:
    """An older program would misread a newer schema."""
    await stored.execute(engine, "UPDATE dots_gateway_version SET version_num = '9999'")
    environment = {**SETTINGS, "DATABASE_URL": database_url}

    # A command runs its own event loop, so it needs its own thread.
    results = {
        command: await asyncio.to_thread(CliRunner().invoke, cli, command.split(), env=environment)
        for command in COMMANDS
    }

    refusals = {command: str(result.exception) for command, result in results.items()}
    assert {command: text for command, text in refusals.items() if "newer than this program" not in text} == {}
