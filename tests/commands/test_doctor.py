"""Doctor names each misconfiguration of the database and the settings on a line of its own."""

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
    """What doctor finds with these settings; nothing but the database is there."""
    return await doctor.examine({**SETTINGS, "DATABASE_URL": database_url, **more}, url=NOTHING_LISTENS)


def only(findings: list[Finding], check: str) -> Finding:
    """The one line of a check."""
    (found,) = [finding for finding in findings if finding.check == check]
    return found


async def test_database_as_it_should_be(database_url: str) -> None:
    """Each check of the database has a line that says what was seen."""
    findings = await examine(database_url)

    seen = {finding.check: finding.is_well for finding in findings}
    assert {check: seen[check] for check in ("database", "pooler", "writing", "schema", "apps")} == {
        "database": True,
        "pooler": True,
        "writing": True,
        "schema": True,
        "apps": True,
    }


# The settings that differ, and a line that is then there.
TROUBLES: Mapping[str, tuple[dict[str, str], str, str]] = {
    "a setting that is malformed": ({"DATABASE_SCHEMA": "No Such"}, "settings", "DATABASE_SCHEMA"),
    "a parameter that has no translation": (
        {"DATABASE_URL": "postgresql://h/d?gssencmode=require"},
        "settings",
        "gssencmode",
    ),
    "a CA that cannot be read": (
        {"DATABASE_URL": "postgresql://u@h/d?sslmode=verify-full&sslrootcert=/nonexistent"},
        "settings",
        "sslrootcert",
    ),
    "a secret that is missing": ({"DOTS_API_KEY": ""}, "settings", "DOTS_API_KEY must be set"),
    "a name that is misspelt": ({"DOTS_API_KEYS": "x"}, "settings", "DOTS_API_KEYS is not a setting"),
}


@pytest.mark.parametrize(("settings", "check", "says"), TROUBLES.values(), ids=TROUBLES.keys())
async def test_setting_that_is_wrong_is_named(
    database_url: str, settings: dict[str, str], check: str, says: str
) -> None:
    """What would keep a process from starting is a line of doctor too."""
    findings = await examine(database_url, **settings)

    assert any(finding.check == check and says in finding.detail for finding in findings), findings


async def test_two_malformed_settings_are_two_lines(database_url: str) -> None:
    """Each can be put right by itself."""
    findings = await examine(database_url, DATABASE_POOL_SIZE="none", LOG_LEVEL="loud")

    assert [finding.check for finding in findings] == ["settings", "settings"]


async def test_password_that_is_wrong_is_named(database_url: str) -> None:
    """With user, host and port, and without the password."""
    address = urlsplit(database_url)
    found = only(await examine(f"postgresql://postgres:s3cret@{address.hostname}:{address.port}/postgres"), "database")

    assert not found.is_well
    assert f"{address.hostname}:{address.port} refuses the password of user postgres" in found.detail
    assert "s3cret" not in found.detail


async def test_server_that_can_only_be_read_is_named(engine: AsyncEngine, database_url: str) -> None:
    """It says why: fenced off, or a standby."""
    name = urlsplit(database_url).path[1:]
    await stored.execute(engine, f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    found = only(await examine(database_url), "writing")

    assert not found.is_well
    assert "default_transaction_read_only is on" in found.detail


async def test_transaction_pooler_that_is_not_declared_is_named(database_url: str) -> None:
    """The line has the setting that helps; once it is set, the check passes."""
    async with pooling(database_url, mode="transaction", pool_size=2) as pooled_url:
        undeclared = only(await examine(pooled_url), "pooler")
        declared = only(await examine(pooled_url, DATABASE_POOLER="transaction"), "pooler")

    assert not undeclared.is_well
    assert "DATABASE_POOLER=transaction" in undeclared.detail
    assert declared.is_well


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE dots_gateway_version SET version_num = '9999'", "newer than this program"),
        ("DELETE FROM dots_gateway_version", "run `dots-gateway migrate`"),
        ("DROP TABLE dots_gateway_version", "tables of another program"),
    ],
)
async def test_schema_that_is_not_this_programs_is_named(
    engine: AsyncEngine, database_url: str, statement: str, says: str
) -> None:
    """What to do depends on whose it is."""
    await stored.execute(engine, statement)

    found = only(await examine(database_url), "schema")

    assert not found.is_well
    assert says in found.detail


async def test_apps_that_are_not_in_the_settings_are_counted(engine: AsyncEngine, database_url: str) -> None:
    """Their rows rest, which may be meant: the check passes and says so."""
    await stored.execute(
        engine,
        "INSERT INTO sync_rows (app, kind, subject_id, due_at, due_by, dirty_gen) "
        "VALUES ('eu', 'flow', 'f-1', now(), 'sweep', 0)",
    )

    found = only(await examine(database_url), "apps")

    assert found.is_well
    assert "rest until they are back: 1 of eu" in found.detail


async def test_what_payees_wait_for_is_counted(engine: AsyncEngine, database_url: str) -> None:
    """Checks to review, and flows that wait only for steps passed over, with the setting that lets them complete."""
    before = only(await examine(database_url), "payees")
    await stored.execute(
        engine,
        "INSERT INTO flows (ref, app, id, status, created_at, waits_for_passed_over) "
        "SELECT gen_random_uuid(), 'default', 'flow-' || n, 'open', now(), n < 3 FROM generate_series(1, 5) AS n",
        "INSERT INTO users (app, id, verdict, check_submitted_at, first_seen_at) "
        "VALUES ('default', 'user-1', 'needs_review', now() - interval '9 days', now())",
    )

    waiting = only(await examine(database_url), "payees")
    reported_to = only(await examine(database_url, DOTS_COMPLETE_PASSED_OVER="true"), "payees")

    assert before.detail == ("0 background check(s) need review; 0 flow(s) wait only for steps that were passed over.")
    assert waiting.is_well
    assert waiting.detail == (
        "1 background check(s) need review; 2 flow(s) wait only for steps that were passed over: "
        "DOTS_COMPLETE_PASSED_OVER=true lets such flows complete."
    )
    assert "flows refresh --status open" in reported_to.detail


async def test_api_with_another_database_is_named(database_url: str) -> None:
    """The api takes the test webhook, but the row is not in the database of these settings."""
    async with subscriber(writes(NO_CONTENT)) as api:
        url = f"http://127.0.0.1:{api.port}"
        found = only(
            await doctor.examine({**SETTINGS, "DATABASE_URL": database_url}, url=url),
            "webhook default",
        )

    assert not found.is_well
    assert "it uses another database" in found.detail
