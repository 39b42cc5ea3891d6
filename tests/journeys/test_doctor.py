"""`dots-gateway doctor` against a running service reports problems and how to solve them."""

import json
import re

import pytest
from sqlalchemy import text

from app.storage import database
from tests.stack.processes import Stack, running_stack

DATABASE_CHECKS = ["database", "durability", "pooler", "writing", "schema", "apps"]
CHECKS = ["settings", *DATABASE_CHECKS, "worker", "payees", "deliveries", "dots default", "webhook default"]


async def examine(stack: Stack, *options: str) -> tuple[int | None, dict[str, str]]:
    """The exit status and the detail of each failed check."""
    status, output, errors = await stack.run("doctor", "--url", stack.gateway.url, "--json", *options)
    assert errors == ""
    findings = json.loads(output)
    assert [finding["check"] for finding in findings] == CHECKS
    return status, {finding["check"]: finding["detail"] for finding in findings if not finding["is_well"]}


async def write(database_url: str, statement: str) -> None:
    """Change the database directly."""
    engine = database.create_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


async def test_healthy_service_passes_every_check(database_url: str) -> None:
    """One check sends a signed webhook to the running api. Without an api, doctor says so."""
    async with running_stack(database_url) as stack:
        status, failed = await examine(stack)
        without_api = await stack.run("doctor", "--url", "http://127.0.0.1:9", "--json")

    # The tests' Postgres runs without fsync, which doctor reports.
    assert set(failed) <= {"durability"}
    assert status == (1 if failed else 0)
    assert without_api[0] == 1
    assert "No api answers at http://127.0.0.1:9" in without_api[1]


PROBLEMS = [
    pytest.param(
        "INSERT INTO sync_rows (app, kind, subject_id, due_by, dirty_gen, dead_at, last_error) "
        "VALUES ('default', 'flow', 'f-1', 'sweep', 1, now(), 'dots_not_found')",
        "worker",
        r"1 given up: flow/f-1 \(dots_not_found\); .*refresh",
        id="a dead letter",
    ),
    pytest.param(
        "INSERT INTO users (app, id, verdict, check_submitted_at, first_seen_at) "
        "VALUES ('default', 'u-1', 'pending', now() - interval '4 days', now())",
        "worker",
        r"1 background check\(s\) have been pending for too long",
        id="a background check that is pending for days",
    ),
    pytest.param(
        "INSERT INTO subscriptions (id, caller, url, types, with_compliance, created_at, paused_at, paused_by) "
        "VALUES (gen_random_uuid(), 'x', 'http://127.0.0.1:9', '{*}', false, now(), now(), 'gone')",
        "deliveries",
        r"1 subscription\(s\) are paused because they failed",
        id="a paused subscription",
    ),
]


@pytest.mark.parametrize(("statement", "check", "detail"), PROBLEMS)
async def test_check_reports_a_problem(database_url: str, statement: str, check: str, detail: str) -> None:
    """The check fails, and its detail says what to do."""
    await write(database_url, statement)
    async with running_stack(database_url, workers=0) as stack:
        status, failed = await examine(stack)

    assert status == 1
    assert re.search(detail, failed[check])


async def test_wrong_secrets_and_credentials_are_reported(database_url: str) -> None:
    """Doctor compares its webhook secrets with the api's and tries its credentials at Dots."""
    async with running_stack(database_url, workers=0) as stack:
        wrong = {"DOTS_WEBHOOK_SECRETS": "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "DOTS_API_KEY": "wrong"}
        status, failed = await examine_with(stack, wrong)

    assert status == 1
    assert "Dots refuses the client id and API key" in failed["dots default"]
    assert "same webhook secrets" in failed["webhook default"]


async def test_unreachable_broker_is_reported_without_its_password(database_url: str) -> None:
    """With EVENT_BROKER_URL doctor has one more check. Its detail has the broker's address."""
    async with running_stack(database_url, workers=0, EVENT_BROKER_URL="redis://shop:s3cret@127.0.0.1:9") as stack:
        status, output, errors = await stack.run("doctor", "--url", stack.gateway.url, "--json")

    findings = {finding["check"]: finding for finding in json.loads(output)}
    assert status == 1
    assert not findings["broker"]["is_well"]
    assert "redis://127.0.0.1:9" in findings["broker"]["detail"]
    assert "s3cret" not in output + errors


async def examine_with(stack: Stack, settings: dict[str, str]) -> tuple[int | None, dict[str, str]]:
    """Run doctor with settings that differ from the service's."""
    kept = dict(stack._settings)
    stack._settings.update(settings)
    try:
        return await examine(stack)
    finally:
        stack._settings.clear()
        stack._settings.update(kept)
