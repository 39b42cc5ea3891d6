"""Settings read from an environment, and what is said about those that cannot be."""

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

# A setting, a value it cannot have, and what is said besides the name.
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

# A part of an app that is told by its nested name, a value it cannot have, what is said.
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
    """What is said about settings that cannot be read."""
    with pytest.raises(SettingsError) as caught:
        settings.read(environ)
    return caught.value.detail


def test_nothing_need_be_set() -> None:
    """Commands that need neither database nor Dots can read an empty environment."""
    found = settings.read({})

    assert found.database_url is None
    assert (found.log_format, found.log_level, found.metrics_port) == ("json", "info", None)
    assert found.lease == timedelta(seconds=60)


def test_everything_can_be_set() -> None:
    """Names are read whatever their case, and numbers and lists from text."""
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


def test_empty_counts_as_unset() -> None:
    """A compose file that passes variables on hands over empty ones for those that are not there."""
    environ = {"DATABASE_URL": "", "DOTS_APP_ID": "", "METRICS_PORT": "", "LEASE_SECONDS": "", "LOG_LEVEL": ""}

    assert settings.read(environ) == settings.read({})


def test_strangers_are_left_alone(tmp_path: Path) -> None:
    """Other programs' variables are no business of ours, nor a `.env` that lies about."""
    (tmp_path / ".env").write_text("LEASE_SECONDS=90\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setenv("LEASE_SECONDS", "91")

        found = settings.read({"PATH": "/bin", "HTTPS_PROXY": "http://proxy", "DOTS_NEW_SETTING": "7"})

    assert found == settings.read({})


@pytest.mark.parametrize(("name", "value", "said"), MALFORMED)
def test_malformed_setting_is_named(name: str, value: str, said: str) -> None:
    """With what would be right, and never with the value: it may be a secret in the wrong place."""
    refusal = refusal_of({name: value})

    assert name in refusal
    assert said in refusal
    assert len(value.strip()) < 3 or value not in refusal


@pytest.mark.parametrize(("environ", "said"), MALFORMED_APPS, ids=range(len(MALFORMED_APPS)))
def test_malformed_app_is_named(environ: dict[str, str], said: str) -> None:
    """By the name one would set it with."""
    refusal = refusal_of(environ)

    assert said in refusal
    assert [value for value in environ.values() if value and value in refusal] == []
    assert "unique" not in refusal


def test_everything_wrong_is_said_at_once() -> None:
    """An operator starts a container once more, not once more a mistake."""
    refusal = refusal_of({"DATABASE_POOL_SIZE": "x", "EVENT_DAYS": "y", "LOG_LEVEL": "z"})

    assert [name for name in ("DATABASE_POOL_SIZE", "EVENT_DAYS", "LOG_LEVEL") if name not in refusal] == []


@pytest.mark.parametrize(("lease", "is_fine"), [("10", False), ("9", False), ("11", True)])
def test_lease_outlasts_a_request(lease: str, *, is_fine: bool) -> None:
    """Otherwise a refresh would be somebody else's before Dots has answered."""
    environ = {"DOTS_TIMEOUT_SECONDS": "10", "LEASE_SECONDS": lease}

    if is_fine:
        assert settings.read(environ).lease == timedelta(seconds=int(lease))
    else:
        assert "LEASE_SECONDS must be greater than DOTS_TIMEOUT_SECONDS" in refusal_of(environ)


def test_missing_database_url_is_named() -> None:
    """Only whoever needs it asks for it."""
    found = settings.read({})

    with pytest.raises(SettingsError, match="DATABASE_URL must be set"):
        _ = found.required_database_url


def test_default_app_is_read() -> None:
    """What one app needs, its secrets in the order they were set."""
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
def test_what_the_default_app_lacks_is_named(left_out: str) -> None:
    """And nothing that it has."""
    found = settings.read(DEFAULT_APP | EU_APP | {left_out: ""})

    with pytest.raises(SettingsError) as caught:
        _ = found.apps

    assert caught.value.detail == f"{left_out} must be set."


def test_no_app_at_all_is_told_what_one_needs() -> None:
    """All four of them, in the order they are documented."""
    with pytest.raises(SettingsError) as caught:
        _ = settings.read({}).apps

    assert caught.value.detail == f"{', '.join(DEFAULT_APP)} must be set."


def test_several_apps_are_read() -> None:
    """Beside the default one, or without it."""
    both = settings.read(DEFAULT_APP | EU_APP).apps
    alone = settings.read(EU_APP).apps

    assert list(both) == ["default", "eu"]
    assert list(alone) == ["eu"]
    assert (alone["eu"].client_id, alone["eu"].app_id) == ("pk_dev_2", None)
    assert [secret.get_secret_value() for secret in alone["eu"].webhook_secrets] == ["whsec_three"]


def test_secrets_do_not_show() -> None:
    """Whoever prints settings prints no secret."""
    found = settings.read(DEFAULT_APP | EU_APP | {"DATABASE_URL": DATABASE_URL} | OUTGOING)

    shown = f"{found!r} {found.apps!r} {found.model_dump_json()}"

    assert [word for word in ("sk_dev", "whsec", "password", "a2V5") if word in shown] == []


def test_every_setting_of_ours_can_be_a_file(tmp_path: Path) -> None:
    """A mounted secret is read without the newline that editors leave."""
    given = DEFAULT_APP | EU_APP | {"DATABASE_URL": DATABASE_URL} | OUTGOING
    environ = {}
    for name, value in given.items():
        path = tmp_path / name
        path.write_text(f"{value}\n", encoding="utf-8")
        environ[f"{name}_FILE"] = str(path)

    assert settings.read(environ) == settings.read(given)


def test_file_and_value_at_once_are_refused(tmp_path: Path) -> None:
    """Which one counts would be chance."""
    path = tmp_path / "key"
    path.write_text("sk_dev_file", encoding="utf-8")

    refusal = refusal_of({"DOTS_API_KEY": "sk_dev_1", "DOTS_API_KEY_FILE": str(path)})

    assert refusal == "Set either DOTS_API_KEY or DOTS_API_KEY_FILE, not both."


@pytest.mark.parametrize("kind", ["missing", "directory", "not text", "no path"])
def test_unreadable_file_is_named(tmp_path: Path, kind: str) -> None:
    """By its setting; neither its path nor what is in it is told."""
    path = tmp_path / "secret"
    if kind == "directory":
        path.mkdir()
    elif kind == "not text":
        path.write_bytes(b"\xff\xfe")

    refusal = refusal_of({"DATABASE_URL_FILE": "sk\x00dev" if kind == "no path" else str(path)})

    assert refusal == "DATABASE_URL_FILE does not name a file that can be read."
