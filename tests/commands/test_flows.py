"""`dots-gateway flows` at a terminal."""

import json

import pytest
from typer.testing import CliRunner, Result

from app.commands.main import cli
from app.flows.rules.verdict import Verdict
from app.storage import database
from tests.commands.test_webhooks import ENVIRONMENT, sync_rows
from tests.databases import run_apart
from tests.dots.fake_dots import USER
from tests.feed import feeding
from tests.flows import syncing
from tests.flows.intents import answer, begin


@pytest.fixture
def database_url_with_steps(database_url: str) -> str:
    """A database with a completed flow that ends with a redirect, and a flow with a step that was passed over."""
    run_apart(_fill_steps(database_url))
    return database_url


async def _fill_steps(database_url: str) -> None:
    engine = database.create_engine(database_url)
    steps = ("compliance", "payout", "redirect")
    try:
        for number, completed_steps in ((1, ("compliance", "payout")), (2, ("payout",))):
            await begin(engine, number, minutes=number, reference=f"payee-{number}", step_names=steps)
            await answer(engine, number, steps=steps, completed_steps=completed_steps)
    finally:
        await engine.dispose()


@pytest.fixture
def database_url_with_two(database_url: str) -> str:
    """A database with two flows: the user of one is flagged, and the other is a dead letter."""
    run_apart(_fill(database_url))
    return database_url


async def _fill(database_url: str) -> None:
    engine = database.create_engine(database_url)
    try:
        await begin(engine, 1, minutes=1, reference="payee-1", user_id=USER)
        await answer(engine, 1, completed_steps=("compliance",))
        await feeding.feed(engine, feeding.step_events(1))
        await feeding.feed(engine, feeding.verdict_events(Verdict.FLAGGED))
        await begin(engine, 2, minutes=2, reference="payee-2")
        await answer(engine, 2)
        await syncing.mark_due(engine, syncing.subject(2))
        (claim,) = await syncing.claim_due(engine)
        await syncing.dead_letter(engine, claim)
    finally:
        await engine.dispose()


def run(database_url: str, *arguments: str) -> Result:
    """Run the command in a wide terminal."""
    environment = {**ENVIRONMENT, "DATABASE_URL": database_url, "COLUMNS": "200"}
    return CliRunner().invoke(cli, ["flows", *arguments], env=environment)


def test_flows_are_listed_for_people_and_programs(database_url_with_two: str) -> None:
    """The list is a table with each flow's next step, or JSON. Neither has the link, which is a secret."""
    table = run(database_url_with_two, "list").output
    listed = json.loads(run(database_url_with_two, "list", "--json").output)

    (row,) = (line for line in table.splitlines() if "payee-1" in line)
    assert [cell.strip() for cell in row.split("│")[2:-1]] == ["flow-1", "payee-1", "open", USER, "payout", "1 of 2"]
    assert [(flow["id"], flow["link"]) for flow in listed] == [("flow-2", None), ("flow-1", None)]
    assert "my-sandbox" not in table


def test_redirects_do_not_count_as_steps(database_url_with_steps: str) -> None:
    """A completed flow with a redirect has "2 of 2" steps. A step that was passed over is marked."""
    table = run(database_url_with_steps, "list").output

    rows = [[cell.strip() for cell in line.split("│")[3:-1]] for line in table.splitlines() if "payee-" in line]
    assert rows == [
        ["payee-2", "open", "", "compliance (passed over)", "1 of 2"],
        ["payee-1", "completed", "", "", "2 of 2"],
    ]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--reference", "payee-1"], ["flow-1"]),
        (["--user", USER], ["flow-1"]),
        (["--step", "compliance"], ["flow-2"]),
        (["--dead"], ["flow-2"]),
        (["--status", "completed"], []),
        (["--limit", "1"], ["flow-2"]),
    ],
)
def test_each_option_filters_the_list(database_url_with_two: str, options: list[str], found: list[str]) -> None:
    """The list has only the flows that match."""
    listed = json.loads(run(database_url_with_two, "list", "--json", *options).output)

    assert [flow["id"] for flow in listed] == found


def test_timeline_does_not_show_verdicts(database_url_with_two: str) -> None:
    """It is the timeline that the API shows to a key without compliance:read."""
    timeline = json.loads(run(database_url_with_two, "show", "flow-1", "--json").output)
    table = run(database_url_with_two, "show", "flow-1").output

    assert [(entry["kind"], entry.get("step") or entry.get("type")) for entry in timeline["entries"]] == [
        ("step", "compliance"),
        ("event", "dots.flow.step_completed"),
    ]
    assert "step=compliance, discovered_by=create" in table
    assert "flagged" not in table


def test_an_unknown_flow_is_a_failure(database_url_with_two: str) -> None:
    """The entry point prints this error as one line, with exit status 1."""
    result = run(database_url_with_two, "show", "flow-9")

    assert result.exit_code == 1
    assert type(result.exception).__name__ == "FlowNotFoundError"


def test_a_refresh_only_counts_until_it_is_confirmed(database_url_with_two: str) -> None:
    """Without --yes nothing changes. With it only what matches is due, including dead letters."""
    counted = run(database_url_with_two, "refresh", "--dead")
    before = sync_rows(database_url_with_two)
    done = json.loads(run(database_url_with_two, "refresh", "--dead", "--yes", "--json").output)
    after = sync_rows(database_url_with_two)
    one = run(database_url_with_two, "refresh", "flow-1", "--yes")

    assert counted.output == "1 flow(s) would be due; repeat with --yes.\n"
    assert before == [("flow-2", "webhook", 1)]
    assert done == {"flows": 1, "is_dry_run": False, "is_at_least": False}
    assert after == [("flow-2", "refresh", 2)]
    assert one.output == "1 flow(s) are due now.\n"
    assert sync_rows(database_url_with_two) == [("flow-1", "refresh", 1), ("flow-2", "refresh", 2)]


def test_an_unknown_status_is_wrong_use(database_url_with_two: str) -> None:
    """The exit status is 2, and the message has the valid statuses."""
    result = run(database_url_with_two, "list", "--status", "lost")

    assert result.exit_code == 2
    assert "must be creating, open, completed or failed" in result.output
