"""`dots-gateway subscriptions` at a terminal."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner, Result

from app.commands.main import cli
from app.errors import GatewayError
from app.flows.rules.verdict import Verdict
from app.storage import database
from tests.feed import feeding
from tests.feed.feeding import step_events, verdict_events
from tests.storage import stored
from tests.subscriptions import subscriber
from tests.subscriptions.subscribed import stamp

ENVIRONMENT = {
    "DOTS_API_URL": "http://127.0.0.1:9/api",
    "DOTS_CLIENT_ID": "pk_dev_test",
    "DOTS_API_KEY": "sk_dev_test",
    "DOTS_WEBHOOK_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "ENCRYPTION_KEYS": f"test:{base64.b64encode(bytes(32)).decode()}",
    "SUBSCRIBERS_ALLOWED": "127.0.0.0/8:1-65535",
}
URL = "http://127.0.0.1:9/events"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000001"
SINCE = ("--since", "2026-11-23T00:00:00")

Run = Callable[..., Result]
Apart = Callable[[Callable[[AsyncEngine], Awaitable[Any]]], Any]


@pytest.fixture
def run(database_url: str) -> Run:
    """Runs the command."""

    def run(*arguments: str, **more: str) -> Result:
        environment = {**ENVIRONMENT, "DATABASE_URL": database_url, **more}
        return CliRunner().invoke(cli, ["subscriptions", *arguments], env=environment)

    return run


@pytest.fixture
def apart(database_url: str) -> Apart:
    """Runs a function on the database, between commands."""

    async def do(work: Callable[[AsyncEngine], Awaitable[Any]]) -> Any:
        engine = database.create_engine(database_url)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    return lambda work: asyncio.run(do(work))


async def two_steps_and_a_verdict(engine: AsyncEngine) -> None:
    """Append three events, and create their deliveries."""
    await feeding.append(engine, step_events(2))
    await feeding.append(engine, verdict_events(Verdict.FLAGGED))
    await stamp(engine)


async def deliver(engine: AsyncEngine) -> None:
    """Mark all deliveries as delivered."""
    await stored.execute(engine, "UPDATE deliveries SET state = 'delivered', settled_at = now()")


async def states(engine: AsyncEngine) -> list[str]:
    """Return the states of all deliveries, in feed order."""
    return [row["state"] for row in await stored.rows(engine, "SELECT state FROM deliveries ORDER BY position")]


def make(run: Run, *arguments: str, url: str = URL) -> dict[str, Any]:
    """Create a subscription."""
    result = run("create", url, "--json", *arguments)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.output))


def test_subscription_is_created_and_shown_for_people_and_programs(run: Run) -> None:
    """`create` prints the secret. `list` and `show` do not."""
    printed = run("create", URL, "--description", "Orders")
    made = make(run, "--type", "dots.flow.*", "--type", "dots.user.*", "--app", "default")
    secret = made.pop("secret")
    listed = json.loads(run("list", "--json").output)
    one = json.loads(run("show", made["id"], "--json").output)

    assert "whsec_" in printed.output
    assert secret.startswith("whsec_")
    assert (made["types"], made["app"], made["caller"]) == (["dots.flow.*", "dots.user.*"], "default", "operator")
    assert listed[0] == one == made
    assert [each["description"] for each in listed] == [None, "Orders"]
    assert "whsec_" not in run("list").output + run("show", made["id"]).output
    assert made["id"] in run("list").output


def test_subscription_is_paused_resumed_and_deleted(run: Run) -> None:
    """Each command prints the new state."""
    made = make(run)

    paused = json.loads(run("pause", made["id"], "--json").output)
    resumed = json.loads(run("resume", made["id"], "--json").output)
    deleted = run("delete", made["id"])

    assert (paused["status"], resumed["status"]) == ("paused (caller)", "active")
    assert (deleted.exit_code, json.loads(run("list", "--json").output)) == (0, [])


def test_rotated_secret_is_printed_once(run: Run) -> None:
    """The output has the time until which the old secret also signs."""
    made = make(run)

    rotated = json.loads(run("rotate-secret", made["id"], "--json").output)
    printed = run("rotate-secret", made["id"]).output

    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != made["secret"]
    assert "previous_until" in rotated
    assert "whsec_" in printed
    assert rotated["secret"] not in printed


async def test_exit_status_says_whether_a_test_event_was_delivered(run: Run) -> None:
    """It is 0 if the subscriber accepted the event, else 1."""
    async with subscriber.listening() as shop:
        made = await asyncio.to_thread(make, run, url=shop.url)
        good = await asyncio.to_thread(run, "test", made["id"])
    bad = await asyncio.to_thread(run, "test", made["id"], "--json")

    assert [received.event["type"] for received in shop.received] == ["dots.subscription.test"]
    assert (good.exit_code, good.output.startswith("Delivered")) == (0, True)
    assert (bad.exit_code, json.loads(bad.output)["error"]) == (1, "unreachable")


def test_deliveries_of_verdicts_are_not_listed(run: Run, apart: Apart) -> None:
    """The audit of such reads needs an API key, and a terminal has none."""
    made = make(run, "--with-compliance")
    apart(two_steps_and_a_verdict)

    listed = json.loads(run("deliveries", made["id"], "--json").output)
    table = run("deliveries", made["id"], "--state", "pending").output

    assert [each["event_id"] for each in listed] == [str(event.id) for event in reversed(step_events(2))]
    assert str(step_events(1)[0].id) in table
    assert "flagged" not in table
    assert json.loads(run("deliveries", made["id"], "--json", "--state", "dead").output) == []


def test_redelivery_only_counts_until_it_is_confirmed(run: Run, apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --yes nothing changes. With it all that matches is due, here in several calls."""
    monkeypatch.setattr("app.subscriptions.redeliver.BATCH", 1)
    monkeypatch.setattr("app.subscriptions.redeliver.CALL_LIMIT", 1)
    made = make(run, "--with-compliance")
    apart(two_steps_and_a_verdict)
    apart(deliver)

    counted = run("redeliver", made["id"], *SINCE)
    before = apart(states)
    done = json.loads(run("redeliver", made["id"], *SINCE, "--type", "dots.flow.*", "--yes", "--json").output)

    assert "3 event(s), 0 of them for the first time, would be due" in counted.output
    assert before == ["delivered"] * 3
    assert done == {"again": 2, "fresh": 0, "is_dry_run": False}
    assert apart(states) == ["pending", "pending", "delivered"]


def test_one_event_is_redelivered_by_its_id(run: Run, apart: Apart) -> None:
    """It is due immediately, without --yes."""
    made = make(run)
    apart(two_steps_and_a_verdict)
    apart(deliver)

    done = run("redeliver", made["id"], str(step_events(2)[1].id))

    assert (done.exit_code, "is due now" in done.output) == (0, True)
    assert apart(states) == ["delivered", "pending"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("deliveries", UNKNOWN_ID, "--state", "lost"), "must be pending, delivered or dead"),
        (("redeliver", UNKNOWN_ID), "give either"),
        (("redeliver", UNKNOWN_ID, UNKNOWN_ID, *SINCE), "give either"),
        (("show", "orders"), "UUID"),
    ],
)
def test_wrong_use_ends_with_2(run: Run, arguments: tuple[str, ...], expected: str) -> None:
    """The message says what is right."""
    result = run(*arguments)

    assert result.exit_code == 2
    assert expected in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", UNKNOWN_ID), "subscription_not_found"),
        (("delete", UNKNOWN_ID), "subscription_not_found"),
        (("redeliver", UNKNOWN_ID, UNKNOWN_ID), "subscription_not_found"),
        (("redeliver", UNKNOWN_ID, *SINCE), "subscription_not_found"),
        (("redeliver", UNKNOWN_ID, *SINCE, "--type", "nonsense"), "invalid_fields"),
        (("create", "http://192.0.2.1/"), "destination_refused"),
        (("create", URL, "--type", "nonsense"), "invalid_fields"),
        (("create", URL, "--app", "nowhere"), "unknown_app"),
    ],
)
def test_failures_are_our_own_errors(run: Run, arguments: tuple[str, ...], code: str) -> None:
    """The entry point prints such an error as one line, with exit status 1."""
    error = run(*arguments).exception

    assert isinstance(error, GatewayError)
    assert error.code == code


def test_missing_encryption_keys_are_named(run: Run) -> None:
    """The message names the setting."""
    error = run("create", URL, ENCRYPTION_KEYS="").exception

    assert isinstance(error, GatewayError)
    assert (error.code, "ENCRYPTION_KEYS" in error.detail) == ("encryption_unavailable", True)
