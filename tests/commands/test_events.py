"""`dots-gateway events` at a terminal."""

import asyncio
import json
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.commands.events import events
from app.flows.rules.verdict import Verdict
from app.storage import database
from devstack.ports import free_port
from tests.brokers.real import servers
from tests.brokers.real.real_brokers import RealKafka
from tests.databases import run_apart
from tests.feed import feeding
from tests.feed.feeding import step_events, verdict_events

ENVIRONMENT = {
    "DOTS_API_URL": "http://127.0.0.1:9/api",
    "DOTS_CLIENT_ID": "pk_dev_test",
    "DOTS_API_KEY": "sk_dev_test",
    "DOTS_WEBHOOK_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


@pytest.fixture
def database_url_with_events(database_url: str) -> str:
    """A database with three completed steps of a flow and a flagged background check."""
    run_apart(_feed(database_url))
    return database_url


async def _feed(database_url: str) -> None:
    engine = database.create_engine(database_url)
    try:
        await feeding.feed(engine, step_events(3))
        await feeding.feed(engine, verdict_events(Verdict.FLAGGED))
    finally:
        await engine.dispose()


def run(database_url: str, *arguments: str, **settings: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(events, arguments, env={**ENVIRONMENT, "DATABASE_URL": database_url, **settings})


def test_events_are_listed_page_by_page(database_url_with_events: str) -> None:
    """Each page leads to the next. No page has a verdict of a background check."""
    first = json.loads(run(database_url_with_events, "list", "--json", "--limit", "2").output)
    second = json.loads(run(database_url_with_events, "list", "--json", "--after", first["next_cursor"]).output)
    table = run(database_url_with_events, "list")

    assert [event["data"]["step"] for event in first["events"]] == ["step-1", "step-2"]
    assert first["has_more"]
    assert [event["type"] for event in second["events"]] == ["dots.flow.step_completed"]
    assert not second["has_more"]
    assert "flow/flow-1" in table.output
    assert "background" not in table.output


def test_terminal_does_not_show_compliance_events(database_url_with_events: str) -> None:
    """The audit of such reads needs an API key, and a terminal has none."""
    result = run(database_url_with_events, "list", "--types", "dots.background_check.flagged")

    assert result.exit_code == 2


def test_a_replay_reaches_the_broker(database_url_with_events: str, tmp_path: Path) -> None:
    """It publishes all events since a time again."""
    with closing(servers.kafka(tmp_path)) as server:
        server.start()
        site = RealKafka(server=server)
        command = ("replay", "--to", "broker", "--from", "2020-01-01", "--json")
        result = run(database_url_with_events, *command, EVENT_BROKER_URL=site.url())
        received = asyncio.run(site.received())

    assert json.loads(result.output) == {"published": 4}, result.output
    assert sorted(message.place for message in received) == [
        "compliance.dots.background_check.flagged",
        *["dots.flow.step_completed"] * 3,
    ]


def test_a_replay_needs_a_broker(database_url_with_events: str) -> None:
    """The error names the missing setting."""
    result = run(database_url_with_events, "replay", "--to", "broker", "--from", "2020-01-01")

    assert result.exit_code == 1
    assert "EVENT_BROKER_URL" in str(result.exception)


def test_a_replay_to_an_unreachable_broker_fails(database_url_with_events: str) -> None:
    """The error says where to continue, and has no password."""
    url = f"redis://:s3cret@127.0.0.1:{free_port()}"
    result = run(database_url_with_events, "replay", "--to", "broker", "--from", "2020-01-01", EVENT_BROKER_URL=url)

    assert result.exit_code == 1
    assert "Continue with --from" in str(result.exception)
    assert "s3cret" not in str(result.exception)


@pytest.mark.parametrize("wrong", [("list", "--after", "x"), ("list", "--types", "x"), ("replay", "--from", "x")])
def test_invalid_options_are_wrong_use(wrong: tuple[str, ...], database_url: str) -> None:
    """The exit status is 2."""
    arguments = (*wrong, "--to", "broker") if wrong[0] == "replay" else wrong

    assert run(database_url, *arguments).exit_code == 2
