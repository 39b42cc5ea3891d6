"""The command `dots-gateway`: help, exit statuses, keys and migrations."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import typer
from typer.testing import CliRunner

from app.commands.main import cli, main
from app.storage import migrations
from tests.test_settings import DEFAULT_APP

COMMAND = str(Path(sys.executable).with_name("dots-gateway"))
DEADLINE_SECONDS = 60

WRONG_USES = [
    ["fly"],
    ["migrate", "--fast"],
    ["api", "--port", "65536"],
    ["keys"],
    ["keys", "create", "--name", "shop"],
    ["keys", "revoke"],
]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that has ended."""

    status: int
    stdout: str
    stderr: str


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process, with only the given environment variables."""

    def run_here(*arguments: str, **environ: str) -> Ended:
        for name in list(os.environ):
            monkeypatch.delenv(name)
        for name, value in {"COLUMNS": "200", **environ}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["dots-gateway", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Ended(status=int(ended.value.code or 0), stdout=printed.out, stderr=printed.err)

    return run_here


def run_apart(*arguments: str, **environ: str) -> Ended:
    """Run the command in its own process."""
    ended = subprocess.run(
        [COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
        env={"PATH": "", **environ},
    )
    return Ended(status=ended.returncode, stdout=ended.stdout, stderr=ended.stderr)


def create_key(run: Run, database_url: str) -> dict[str, str]:
    """Create a key for the caller `shop`."""
    ended = run(
        "keys", "create", "--name", "shop", "--scopes", "flows:read, events:read", "--json", DATABASE_URL=database_url
    )
    assert (ended.status, ended.stderr) == (0, "")
    made: dict[str, str] = json.loads(ended.stdout)
    return made


def refusal_of(ended: Ended) -> str:
    """Return the one line that a failed command has printed."""
    assert ended.status == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    return line


def every_command(group: typer.Typer, *names: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the name of each command and group as a tuple, and its help text."""
    yield names, str(group.info.help)
    for command in group.registered_commands:
        assert command.callback
        name = command.name or command.callback.__name__.replace("_", "-")
        yield (*names, name), str(command.callback.__doc__)
    for inner in group.registered_groups:
        assert inner.typer_instance
        assert inner.name
        yield from every_command(inner.typer_instance, *names, inner.name)


@pytest.mark.parametrize(("names", "sentence"), list(every_command(cli)), ids=str)
def test_help_describes_every_command(names: tuple[str, ...], sentence: str) -> None:
    """`--help` needs neither settings nor a database."""
    answered = CliRunner().invoke(cli, [*names, "--help"], env={"COLUMNS": "200"})

    assert answered.exit_code == 0
    assert sentence in answered.output


@pytest.mark.parametrize("arguments", WRONG_USES, ids=" ".join)
def test_wrong_use_ends_with_status_2(run: Run, arguments: list[str]) -> None:
    """Scripts can tell wrong use from a failure. The output says how to use the command."""
    ended = run(*arguments)

    assert ended.status == 2
    assert "Usage:" in ended.stdout + ended.stderr


def test_revoked_key_is_still_listed(run: Run, database_url: str) -> None:
    """The list has the time of the revocation, and no secret. Revoking the key again is a failure."""
    made = create_key(run, database_url)
    key_id = made["id"]
    revoked = run("keys", "revoke", key_id, DATABASE_URL=database_url)
    again = run("keys", "revoke", key_id, DATABASE_URL=database_url)
    printed = run("keys", "list", "--json", DATABASE_URL=database_url).stdout
    (listed,) = json.loads(printed)

    assert made["key"].removeprefix(f"dgw_{key_id}_") not in printed
    assert (revoked.status, revoked.stdout) == (0, f"Key {key_id} is revoked.\n")
    assert refusal_of(again) == f"dots-gateway: There is no live key {key_id}; see `dots-gateway keys list`."
    assert listed.pop("created_at")
    assert listed.pop("revoked_at")
    assert listed == {"id": key_id, "name": "shop", "scopes": "events:read,flows:read"}


def test_keys_are_printed_for_people_too(run: Run, database_url: str) -> None:
    """Without --json the key is on the first line. The list is a table without secrets."""
    made = run("keys", "create", "--name", "shop", "--scopes", "flows:read", DATABASE_URL=database_url)
    listed = run("keys", "list", DATABASE_URL=database_url)

    key, _, advice = made.stdout.splitlines()
    assert key.startswith("dgw_")
    assert advice == "Store it now: it is not shown again."
    assert [word for word in ("shop", "flows:read", key.split("_")[1]) if word not in listed.stdout] == []
    assert key.split("_")[2] not in listed.stdout


def test_invalid_scopes_and_name_are_named(run: Run, database_url: str) -> None:
    """One line has both errors and the scopes to choose from."""
    refusal = refusal_of(
        run("keys", "create", "--name", "!", "--scopes", "flows:read,flows:fly", DATABASE_URL=database_url)
    )

    assert refusal.startswith("dots-gateway: name: 1 to 63 letters")
    assert "; scopes: must be some of flows:read, flows:write," in refusal


def test_migrate_upgrades_an_empty_database(run: Run, empty_database_url: str) -> None:
    """The command may run again at every start."""
    ended = [run("migrate", DATABASE_URL=empty_database_url) for _ in range(2)]

    output = f"The database is at schema {migrations.head()}.\n"
    assert [(each.status, each.stdout, each.stderr) for each in ended] == [(0, output, "")] * 2


@pytest.mark.parametrize("command", ["migrate", "api", "worker"])
def test_missing_database_url_is_named(run: Run, command: str) -> None:
    """The one line says what to do."""
    assert refusal_of(run(command)).startswith("dots-gateway: DATABASE_URL must be set")


def test_failure_ends_with_status_1() -> None:
    """The real command prints one line on standard error."""
    assert "DATABASE_URL" in refusal_of(run_apart("migrate"))


def test_malformed_setting_is_named_without_its_value(run: Run) -> None:
    """The value may be a misplaced secret."""
    refusal = refusal_of(run("migrate", DATABASE_URL="sk_dev_secret", LEASE_SECONDS="60"))

    assert refusal == "dots-gateway: DATABASE_URL is not a database URL."


def test_unusable_directory_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example, there may be a file where `dev` keeps its data."""
    (tmp_path / ".dev").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert refusal_of(run("dev")) == "dots-gateway: .dev cannot be used: File exists."


@pytest.mark.parametrize("noun", ["keys", "webhooks"])
def test_unknown_dots_variables_are_logged_and_ignored(run: Run, database_url: str, noun: str) -> None:
    """Each one is one line on standard error, with a similar name and without the value."""
    unknown = {"DOTS_API_KEYS": "sk_dev_secret", "DOTS_COLOUR": "blue"}
    environ = {} if noun == "keys" else DEFAULT_APP | {"DOTS_WEBHOOK_SECRETS": "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
    ended = run(noun, "list", "--json", DATABASE_URL=database_url, **environ, **unknown)

    logged = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (ended.status, ended.stdout) == (0, "[]\n")
    assert [(line["level"], line["name"], line["did_you_mean"]) for line in logged] == [
        ("warning", "DOTS_API_KEYS", "DOTS_API_KEY"),
        ("warning", "DOTS_COLOUR", None),
    ]
    assert "secret" not in ended.stderr


def test_missing_database_is_one_line(run: Run, database_url: str) -> None:
    """The line names the setting, the database, the host and the port, without the password."""
    url = urlsplit(database_url)
    refusal = refusal_of(run("keys", "list", DATABASE_URL=f"{database_url}_gone"))

    assert refusal == (
        f"dots-gateway: DATABASE_URL: there is no database {url.path[1:]}_gone at {url.hostname}:{url.port}."
    )


def test_database_without_schema_is_refused(run: Run, empty_database_url: str) -> None:
    """The line has the command to run."""
    refusal = refusal_of(run("keys", "list", DATABASE_URL=empty_database_url))

    assert refusal.endswith("run `dots-gateway migrate`.")
