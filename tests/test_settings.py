"""Settings are read from an environment, and errors name the settings that are wrong."""

from datetime import timedelta
from pathlib import Path

import pytest

from app import settings
from app.errors import SettingsError

DEFAULT_APP = {
    "DOTS_API_URL": "https://dots.example/api",
    "DOTS_CLIENT_ID": "pk_dev_1",
    "DOTS_API_KEY": "sk_dev_1",
    "DOTS_WEBHOOK_SECRETS": "whsec_one, whsec_two",
}
EU_APP = {
    "DOTS_APPS__EU__API_URL": "https://eu.dots.example/api",
    "DOTS_APPS__EU__CLIENT_ID": "pk_dev_2",
    "DOTS_APPS__EU__API_KEY": "sk_dev_2",
    "DOTS_APPS__EU__WEBHOOK_SECRETS": "whsec_three",
}
DATABASE_URL = "postgresql://user:password@host/name"
OUTGOING = {"ENCRYPTION_KEYS": "2026-11:a2V5, 2026-10:a2V5", "EVENT_BROKER_URL": "nats://user:password@host:4222"}

# A setting, an invalid value, and a part of the error text.
MALFORMED: list[tuple[str, str, str]] = [
    ("DATABASE_POOL_SIZE", "2", "greater than or equal to 3"),
    ("DATABASE_POOL_SIZE", "201", "less than or equal to 200"),
    ("DATABASE_POOL_SIZE", "eleven", "valid integer"),
    ("DOTS_TIMEOUT_SECONDS", "0", "greater than or equal to 1"),
    ("DOTS_TIMEOUT_SECONDS", "61", "less than or equal to 60"),
    ("DOTS_WEBHOOK_SECRETS", " , ", "at least 1 item"),
    ("DOTS_WEBHOOK_SECRETS", ",".join(["whsec_x"] * 9), "at most 8 items"),
    ("REFRESHES_IN_FLIGHT", "1025", "less than or equal to 1024"),
    ("REFRESHES_IN_FLIGHT", "0", "greater than or equal to 1"),
    ("LEASE_SECONDS", "3601", "less than or equal to 3600"),
    ("PAUSE_SECONDS", "-7", "greater than or equal to 1"),
    ("SWEEP_SECONDS", "60, soon", "valid integer"),
    ("SWEEP_SECONDS", "60, -7", "greater than 0"),
    ("VERDICT_POLL_SECONDS", ",", "at least 1 item"),
    ("WEBHOOK_BODY_DAYS", "0.5", "valid integer"),
    # Dots may send a webhook again by hand for 90 days.
    ("WEBHOOK_ID_DAYS", "99", "greater than or equal to 100"),
    ("EVENT_DAYS", "0", "greater than or equal to 1"),
    ("METRICS_PORT", "65536", "less than or equal to 65535"),
    ("LOG_FORMAT", "xml", "should be 'json' or 'text'"),
    ("LOG_LEVEL", "DEBUG!", "should be 'debug', 'info', 'warning' or 'error'"),
    ("DATABASE_POOLER", "statement", "should be 'none', 'session' or 'transaction'"),
    ("DATABASE_SCHEMA", "Payouts", "lower-case letters, digits and underscores"),
    ("DATABASE_SCHEMA", "pay-outs", "lower-case letters, digits and underscores"),
    ("DATABASE_SCHEMA", "pay;outs", "lower-case letters, digits and underscores"),
    ("DATABASE_SCHEMA", "1payouts", "lower-case letters, digits and underscores"),
    ("DATABASE_SCHEMA", "pg_catalog", "not begin with pg_"),
    ("DATABASE_SCHEMA", "information_schema", "lower-case letters, digits and underscores"),
    ("DATABASE_SCHEMA", "p" * 64, "at most 63"),
    ("DATABASE_WAIT_SECONDS", "3601", "less than or equal to 3600"),
    ("DATABASE_WAIT_SECONDS", "-1", "greater than or equal to 0"),
]

# An invalid environment of a further app, and a part of the error text.
MALFORMED_APPS: list[tuple[dict[str, str], str]] = [
    ({"DOTS_APPS__EU__CLIENT_ID": "pk_unique"}, "DOTS_APPS__EU__API_URL: Field required"),
    (EU_APP | {"DOTS_APPS__EU__WEBHOOK_SECRETS": ""}, "DOTS_APPS__EU__WEBHOOK_SECRETS: Field required"),
    (
        {name.replace("__EU__", "__E_U__"): value for name, value in EU_APP.items()},
        "DOTS_APPS__E_U__[KEY]: String should match pattern",
    ),
    ({"DOTS_APPS": "no-json-unique"}, "dots_apps"),
    ({"DOTS_APPS": '["unique"]'}, "DOTS_APPS: Input should be a valid dictionary"),
]


def refusal_of(environ: dict[str, str]) -> str:
    """Return the error text about settings that cannot be read."""
    with pytest.raises(SettingsError) as caught:
        settings.read(environ)
    return caught.value.detail


def test_no_setting_is_needed_to_read_the_settings() -> None:
    """Commands that need neither the database nor Dots run without settings."""
    found = settings.read({})

    assert found.database_url is None
    assert (found.log_format, found.log_level, found.metrics_port) == ("json", "info", None)
    assert (found.database_pooler, found.database_schema, found.database_wait_seconds) == ("none", "public", 60)
    assert found.lease == timedelta(seconds=60)


def test_settings_are_read_from_text() -> None:
    """The case of names does not matter. Numbers and lists are read from text."""
    found = settings.read(
        {
            "DATABASE_URL": DATABASE_URL,
            "database_pool_size": "5",
            "SWEEP_SECONDS": "1, 2\n3",
            "VERDICT_POLL_SECONDS": "4",
            "LEASE_SECONDS": "90",
            "METRICS_PORT": "9000",
            "LOG_FORMAT": "text",
        }
    )

    assert found.required_database_url == DATABASE_URL
    assert (found.database_pool_size, found.metrics_port, found.log_format) == (5, 9000, "text")
    assert (found.sweep_seconds, found.verdict_poll_seconds) == ([1, 2, 3], [4])
    assert found.lease == timedelta(seconds=90)


def test_only_the_given_variables_are_read(tmp_path: Path) -> None:
    """Other programs' variables, the process's own environment and a file `.env` change nothing."""
    (tmp_path / ".env").write_text("LEASE_SECONDS=90\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setenv("LEASE_SECONDS", "91")

        found = settings.read({"PATH": "/bin", "HTTPS_PROXY": "http://proxy", "DOTS_NEW_SETTING": "7"})

    assert found == settings.read({})


@pytest.mark.parametrize(("name", "value", "message"), MALFORMED)
def test_malformed_setting_is_named(name: str, value: str, message: str) -> None:
    """The error says what is allowed. It does not quote the value, which may be a misplaced secret."""
    refusal = refusal_of({name: value})

    assert name in refusal
    assert message in refusal
    assert len(value.strip()) < 3 or value not in refusal


@pytest.mark.parametrize(("environ", "message"), MALFORMED_APPS, ids=range(len(MALFORMED_APPS)))
def test_malformed_app_is_named(environ: dict[str, str], message: str) -> None:
    """The error has the name of the variable."""
    refusal = refusal_of(environ)

    assert message in refusal
    assert [value for value in environ.values() if value and value in refusal] == []
    assert "unique" not in refusal


def test_one_error_names_all_malformed_settings() -> None:
    """An operator can correct all mistakes before the next start."""
    refusal = refusal_of({"DATABASE_POOL_SIZE": "x", "EVENT_DAYS": "y", "LOG_LEVEL": "z"})

    assert [name for name in ("DATABASE_POOL_SIZE", "EVENT_DAYS", "LOG_LEVEL") if name not in refusal] == []


@pytest.mark.parametrize(("lease", "is_fine"), [("10", False), ("9", False), ("11", True)])
def test_lease_outlasts_a_request(lease: str, *, is_fine: bool) -> None:
    """Otherwise another worker could claim a refresh before Dots has answered."""
    environ = {"DOTS_TIMEOUT_SECONDS": "10", "LEASE_SECONDS": lease}

    if is_fine:
        assert settings.read(environ).lease == timedelta(seconds=int(lease))
    else:
        assert "LEASE_SECONDS must be greater than DOTS_TIMEOUT_SECONDS" in refusal_of(environ)


def test_missing_database_url_is_named() -> None:
    """The error appears only when the database is needed."""
    found = settings.read({})

    with pytest.raises(SettingsError, match="DATABASE_URL must be set"):
        _ = found.required_database_url


def test_default_app_is_read() -> None:
    """The webhook secrets keep their order."""
    ((name, app),) = settings.read(DEFAULT_APP | {"DOTS_APP_ID": "app-1"}).apps.items()

    assert (name, app.api_url, app.client_id, app.app_id) == (
        "default",
        "https://dots.example/api",
        "pk_dev_1",
        "app-1",
    )
    assert app.api_key.get_secret_value() == "sk_dev_1"
    assert [secret.get_secret_value() for secret in app.webhook_secrets] == ["whsec_one", "whsec_two"]


@pytest.mark.parametrize("left_out", DEFAULT_APP)
def test_missing_setting_of_the_default_app_is_named(left_out: str) -> None:
    """The error names only the missing setting."""
    found = settings.read(DEFAULT_APP | EU_APP | {left_out: ""})

    with pytest.raises(SettingsError) as caught:
        _ = found.apps

    assert caught.value.detail == f"{left_out} must be set."


def test_without_an_app_the_error_names_all_required_settings() -> None:
    """There are four, in the order of the documentation."""
    with pytest.raises(SettingsError) as caught:
        _ = settings.read({}).apps

    assert caught.value.detail == f"{', '.join(DEFAULT_APP)} must be set."


def test_several_apps_are_read() -> None:
    """Further apps work with and without the default app."""
    both = settings.read(DEFAULT_APP | EU_APP).apps
    alone = settings.read(EU_APP).apps

    assert list(both) == ["default", "eu"]
    assert list(alone) == ["eu"]
    assert (alone["eu"].client_id, alone["eu"].app_id) == ("pk_dev_2", None)
    assert [secret.get_secret_value() for secret in alone["eu"].webhook_secrets] == ["whsec_three"]


def test_secrets_do_not_show() -> None:
    """Printed settings contain no secret."""
    found = settings.read(DEFAULT_APP | EU_APP | {"DATABASE_URL": DATABASE_URL} | OUTGOING)

    shown = f"{found!r} {found.apps!r} {found.model_dump_json()}"

    assert [word for word in ("sk_dev", "whsec", "password", "a2V5") if word in shown] == []


def test_app_settings_and_secrets_can_be_files(tmp_path: Path) -> None:
    """The newline at the end of a file is not part of the value."""
    given = DEFAULT_APP | EU_APP | {"DATABASE_URL": DATABASE_URL} | OUTGOING
    environ = {}
    for name, value in given.items():
        path = tmp_path / name
        path.write_text(f"{value}\n", encoding="utf-8")
        environ[f"{name}_FILE"] = str(path)

    assert settings.read(environ) == settings.read(given)


def test_file_and_value_at_once_are_refused(tmp_path: Path) -> None:
    """The gateway does not guess which of them is meant."""
    path = tmp_path / "key"
    path.write_text("sk_dev_file", encoding="utf-8")

    refusal = refusal_of({"DOTS_API_KEY": "sk_dev_1", "DOTS_API_KEY_FILE": str(path)})

    assert refusal == "Set either DOTS_API_KEY or DOTS_API_KEY_FILE, not both."


@pytest.mark.parametrize("kind", ["missing", "directory", "not text", "no path"])
def test_unreadable_file_is_named(tmp_path: Path, kind: str) -> None:
    """The error names the setting, and quotes neither the path nor the content."""
    path = tmp_path / "secret"
    if kind == "directory":
        path.mkdir()
    elif kind == "not text":
        path.write_bytes(b"\xff\xfe")

    refusal = refusal_of({"DATABASE_URL_FILE": "sk\x00dev" if kind == "no path" else str(path)})

    assert refusal == "DATABASE_URL_FILE does not name a file that can be read."
