"""Doctor reports each misconfiguration of the database and the settings on its own line."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.commands import doctor
from app.commands.doctor import Finding
from tests.stack.pgbouncer import pooling
from tests.storage import stored
from tests.subscriptions.push.subscribers import NO_CONTENT, subscriber, writes

NOTHING_LISTENS = "http://127.0.0.1:9"
SETTINGS = {
    "DOTS_API_URL": f"{NOTHING_LISTENS}/api",
    "DOTS_CLIENT_ID": "id",
    "DOTS_API_KEY": "key",
    "DOTS_WEBHOOK_SECRETS": "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
}


async def examine(database_url: str, **more: str) -> list[Finding]:
    """Run doctor with these settings. Only the database is running."""
    return await doctor.examine({**SETTINGS, "DATABASE_URL": database_url, **more}, url=NOTHING_LISTENS)


def only(findings: list[Finding], check: str) -> Finding:
    """Return the one line of a check."""
    (found,) = [finding for finding in findings if finding.check == check]
    return found


async def test_healthy_database_passes_every_check(database_url: str) -> None:
    """Each check of the database has its line."""
    findings = await examine(database_url)

    seen = {finding.check: finding.is_well for finding in findings}
    assert {check: seen[check] for check in ("database", "pooler", "writing", "schema", "apps")} == {
        "database": True,
        "pooler": True,
        "writing": True,
        "schema": True,
        "apps": True,
    }


# The settings that differ, and a part of the line about them.
TROUBLES: Mapping[str, tuple[dict[str, str], str]] = {
    "a malformed setting": ({"DATABASE_SCHEMA": "No Such"}, "DATABASE_SCHEMA"),
    "an unreadable CA": (
        {"DATABASE_URL": "postgresql://u@h/d?sslmode=verify-full&sslrootcert=/nonexistent"},
        "sslrootcert",
    ),
    "a missing secret": ({"DOTS_API_KEY": ""}, "DOTS_API_KEY must be set"),
    "a misspelt name": ({"DOTS_API_KEYS": "x"}, "DOTS_API_KEYS is not a setting"),
}


@pytest.mark.parametrize(("settings", "text"), TROUBLES.values(), ids=TROUBLES.keys())
async def test_wrong_setting_is_named(database_url: str, settings: dict[str, str], text: str) -> None:
    """Doctor reports what would prevent a process from starting."""
    findings = await examine(database_url, **settings)

    assert any(finding.check == "settings" and text in finding.detail for finding in findings), findings


async def test_two_malformed_settings_are_two_lines(database_url: str) -> None:
    """An operator can correct each of them."""
    findings = await examine(database_url, DATABASE_POOL_SIZE="none", LOG_LEVEL="loud")

    assert [finding.check for finding in findings] == ["settings", "settings"]


async def test_wrong_password_is_reported(database_url: str) -> None:
    """The line has the user, the host and the port, without the password."""
    address = urlsplit(database_url)
    found = only(await examine(f"postgresql://postgres:s3cret@{address.hostname}:{address.port}/postgres"), "database")

    assert not found.is_well
    assert f"{address.hostname}:{address.port} refuses the password of user postgres" in found.detail
    assert "s3cret" not in found.detail


async def test_read_only_server_is_reported(engine: AsyncEngine, database_url: str) -> None:
    """The line says why the server is read-only."""
    name = urlsplit(database_url).path[1:]
    await stored.execute(engine, f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    found = only(await examine(database_url), "writing")

    assert not found.is_well
    assert "default_transaction_read_only is on" in found.detail


async def test_undeclared_transaction_pooler_is_reported(database_url: str) -> None:
    """The line names the setting to set. With that setting the check passes."""
    async with pooling(database_url, mode="transaction", pool_size=2) as pooled_url:
        undeclared = only(await examine(pooled_url), "pooler")
        declared = only(await examine(pooled_url, DATABASE_POOLER="transaction"), "pooler")

    assert not undeclared.is_well
    assert "DATABASE_POOLER=transaction" in undeclared.detail
    assert declared.is_well


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("UPDATE dots_gateway_version SET version_num = '9999'", "newer than this program"),
        ("DELETE FROM dots_gateway_version", "run `dots-gateway migrate`"),
        ("DROP TABLE dots_gateway_version", "tables of another program"),
    ],
)
async def test_wrong_schema_is_reported(engine: AsyncEngine, database_url: str, statement: str, text: str) -> None:
    """The advice depends on what is wrong with the schema."""
    await stored.execute(engine, statement)

    found = only(await examine(database_url), "schema")

    assert not found.is_well
    assert text in found.detail


async def test_apps_that_are_not_in_the_settings_are_counted(engine: AsyncEngine, database_url: str) -> None:
    """Their rows wait. That may be intended, so the check passes and names them."""
    await stored.execute(
        engine,
        "INSERT INTO sync_rows (app, kind, subject_id, due_at, due_by, dirty_gen) "
        "VALUES ('eu', 'flow', 'f-1', now(), 'sweep', 0)",
    )

    found = only(await examine(database_url), "apps")

    assert found.is_well
    assert "wait until the settings name the apps again: 1 of eu" in found.detail


async def test_waiting_payees_are_counted(engine: AsyncEngine, database_url: str) -> None:
    """The line counts checks to review and flows that wait for passed-over steps, and names the setting for those."""
    before = only(await examine(database_url), "payees")
    await stored.execute(
        engine,
        "INSERT INTO flows (ref, app, id, status, created_at, waits_for_passed_over) "
        "SELECT gen_random_uuid(), 'default', 'flow-' || n, 'open', now(), n < 3 FROM generate_series(1, 5) AS n",
        "INSERT INTO users (app, id, verdict, check_submitted_at, first_seen_at) "
        "VALUES ('default', 'user-1', 'needs_review', now() - interval '9 days', now())",
    )

    waiting = only(await examine(database_url), "payees")
    completing = only(await examine(database_url, DOTS_COMPLETE_PASSED_OVER="true"), "payees")

    assert before.detail == ("0 background check(s) need review; 0 flow(s) wait only for steps that were passed over.")
    assert waiting.is_well
    assert waiting.detail == (
        "1 background check(s) need review; 2 flow(s) wait only for steps that were passed over: "
        "DOTS_COMPLETE_PASSED_OVER=true lets such flows complete."
    )
    assert "flows refresh --status open" in completing.detail


async def test_api_with_another_database_is_reported(database_url: str) -> None:
    """The api accepts the test webhook, but the row is not in the database of these settings."""
    async with subscriber(writes(NO_CONTENT)) as api:
        url = f"http://127.0.0.1:{api.port}"
        found = only(
            await doctor.examine({**SETTINGS, "DATABASE_URL": database_url}, url=url),
            "webhook default",
        )

    assert not found.is_well
    assert "it uses another database" in found.detail
