"""Every command that uses the database refuses one that is not at this program's schema."""

import asyncio

import pytest
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


def test_commands_are_all_there_are() -> None:
    """A new command of one of these nouns needs a line above."""
    nouns = typer.main.get_command(cli).commands  # type: ignore[attr-defined]  # a group's
    found = {f"{noun} {verb}" for noun, group in nouns.items() for verb in getattr(group, "commands", {})}

    assert {" ".join(command.split()[:2]) for command in COMMANDS} == found


@pytest.mark.parametrize("command", COMMANDS)
async def test_command_refuses_another_schema(engine: AsyncEngine, database_url: str, command: str) -> None:
    """A command of an older version would read and write what it does not understand."""
    await stored.execute(engine, "UPDATE dots_gateway_version SET version_num = '9999'")
    environment = {**SETTINGS, "DATABASE_URL": database_url}

    # In a thread of its own, because a command runs a loop of its own.
    result = await asyncio.to_thread(CliRunner().invoke, cli, command.split(), env=environment)

    assert "newer than this program" in str(result.exception), result.output
