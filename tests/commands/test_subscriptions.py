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
NOBODY = "00000000-0000-4000-8000-000000000001"
SINCE = ("--since", "2026-11-23T00:00:00")

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str) -> Run:
    """The command, as typed."""

    def run(*arguments: str, **more: str) -> Result:
        environment = {**ENVIRONMENT, "DATABASE_URL": database_url, **more}
        return CliRunner().invoke(cli, ["subscriptions", *arguments], env=environment)

    return run


@pytest.fixture
def apart(database_url: str) -> Callable[[Callable[[AsyncEngine], Awaitable[Any]]], Any]:
    """Does something with the database, between commands."""

    async def do(work: Callable[[AsyncEngine], Awaitable[Any]]) -> Any:
        engine = database.create_engine(database_url)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    return lambda work: asyncio.run(do(work))


async def two_steps_and_a_verdict(engine: AsyncEngine) -> None:
    """Three events, with their deliveries."""
    await feeding.append(engine, step_events(2))
    await feeding.append(engine, verdict_events(Verdict.FLAGGED))
    await stamp(engine)


async def deliver(engine: AsyncEngine) -> None:
    """As if everything had been delivered."""
    await stored.execute(engine, "UPDATE deliveries SET state = 'delivered', settled_at = now()")


async def states(engine: AsyncEngine) -> list[str]:
    """The states of all deliveries, in feed order."""
    return [row["state"] for row in await stored.rows(engine, "SELECT state FROM deliveries ORDER BY position")]


def make(run: Run, *arguments: str, url: str = URL) -> dict[str, Any]:
    """A new subscription."""
    result = run("create", url, "--json", *arguments)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.output))


def test_subscription_is_made_and_shown_for_people_and_programs(run: Run) -> None:
    """Its secret is printed this once; then it is listed and shown without."""
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
    """Each command says what is so now."""
    made = make(run)

    paused = json.loads(run("pause", made["id"], "--json").output)
    resumed = json.loads(run("resume", made["id"], "--json").output)
    deleted = run("delete", made["id"])

    assert (paused["status"], resumed["status"]) == ("paused (caller)", "active")
    assert (deleted.exit_code, json.loads(run("list", "--json").output)) == (0, [])


def test_rotated_secret_is_printed_once(run: Run) -> None:
    """With the time until which the one before signs too."""
    made = make(run)

    rotated = json.loads(run("rotate-secret", made["id"], "--json").output)
    printed = run("rotate-secret", made["id"]).output

    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != made["secret"]
    assert "previous_until" in rotated
    assert "whsec_" in printed
    assert rotated["secret"] not in printed


async def test_test_event_ends_with_the_status_of_what_became_of_it(run: Run) -> None:
    """0 when it was taken, 1 when it was not."""
    async with subscriber.listening() as shop:
        made = await asyncio.to_thread(make, run, url=shop.url)
        good = await asyncio.to_thread(run, "test", made["id"])
    bad = await asyncio.to_thread(run, "test", made["id"], "--json")

    assert [received.event["type"] for received in shop.received] == ["dots.subscription.test"]
    assert (good.exit_code, good.output.startswith("Delivered")) == (0, True)
    assert (bad.exit_code, json.loads(bad.output)["error"]) == (1, "unreachable")


def test_deliveries_are_listed_without_those_of_verdicts(
    run: Run, apart: Callable[[Callable[[AsyncEngine], Awaitable[Any]]], Any]
) -> None:
    """A terminal has no key to leave a trail with."""
    made = make(run, "--with-compliance")
    apart(two_steps_and_a_verdict)

    listed = json.loads(run("deliveries", made["id"], "--json").output)
    table = run("deliveries", made["id"], "--state", "pending").output

    assert [each["event_id"] for each in listed] == [str(event.id) for event in reversed(step_events(2))]
    assert str(step_events(1)[0].id) in table
    assert "flagged" not in table
    assert json.loads(run("deliveries", made["id"], "--json", "--state", "dead").output) == []


def test_redelivery_only_counts_until_it_is_confirmed(
    run: Run,
    apart: Callable[[Callable[[AsyncEngine], Awaitable[Any]]], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without --yes nothing changes; with it everything that matches is due, in as many calls as it takes."""
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


def test_one_event_is_redelivered_by_its_id(
    run: Run, apart: Callable[[Callable[[AsyncEngine], Awaitable[Any]]], Any]
) -> None:
    """At once, for naming it is confirmation enough."""
    made = make(run)
    apart(two_steps_and_a_verdict)
    apart(deliver)

    done = run("redeliver", made["id"], str(step_events(2)[1].id))

    assert (done.exit_code, "is due now" in done.output) == (0, True)
    assert apart(states) == ["delivered", "pending"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("deliveries", NOBODY, "--state", "lost"), "must be pending, delivered or dead"),
        (("redeliver", NOBODY), "give either"),
        (("redeliver", NOBODY, NOBODY, *SINCE), "give either"),
        (("show", "orders"), "UUID"),
    ],
)
def test_wrong_use_ends_with_2(run: Run, arguments: tuple[str, ...], expected: str) -> None:
    """And says what would be right."""
    result = run(*arguments)

    assert result.exit_code == 2
    assert expected in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", NOBODY), "subscription_not_found"),
        (("delete", NOBODY), "subscription_not_found"),
        (("redeliver", NOBODY, NOBODY), "subscription_not_found"),
        (("redeliver", NOBODY, *SINCE), "subscription_not_found"),
        (("redeliver", NOBODY, *SINCE, "--type", "nonsense"), "invalid_fields"),
        (("create", "http://192.0.2.1/"), "destination_refused"),
        (("create", URL, "--type", "nonsense"), "invalid_fields"),
        (("create", URL, "--app", "nowhere"), "unknown_app"),
    ],
)
def test_what_cannot_be_is_one_of_our_errors(run: Run, arguments: tuple[str, ...], code: str) -> None:
    """Which the command's entry prints as one line, with status 1."""
    error = run(*arguments).exception

    assert isinstance(error, GatewayError)
    assert error.code == code


def test_without_encryption_keys_the_setting_is_named(run: Run) -> None:
    """What to set is in the message."""
    error = run("create", URL, ENCRYPTION_KEYS="").exception

    assert isinstance(error, GatewayError)
    assert (error.code, "ENCRYPTION_KEYS" in error.detail) == ("encryption_unavailable", True)
