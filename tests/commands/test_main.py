"""The command `dots-gateway`: the real one where its exit status matters, in this process where its words do."""

import hashlib
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
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from app.commands.main import cli, main
from app.storage import migrations
from tests.storage import stored
from tests.test_settings import DEFAULT_APP

COMMAND = str(Path(sys.executable).with_name("dots-gateway"))
DEADLINE_SECONDS = 60

WRONG_USES = [
    ["fly"],
    ["migrate", "--fast"],
    ["api", "--port", "eighty"],
    ["api", "--port", "65536"],
    ["api", "--port", "-1"],
    ["dev", "--simulator-port", "65536"],
    ["keys"],
    ["keys", "mend"],
    ["keys", "create"],
    ["keys", "create", "--name", "shop"],
    ["keys", "create", "--scopes", "flows:read"],
    ["keys", "revoke"],
    ["keys", "revoke", "one", "two"],
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
    """Runs the command in this process, with nothing in its environment but what is said."""

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
    """The real command, in a process of its own."""
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
    """A key of the caller `shop`."""
    ended = run(
        "keys", "create", "--name", "shop", "--scopes", "flows:read, events:read", "--json", DATABASE_URL=database_url
    )
    assert (ended.status, ended.stderr) == (0, "")
    made: dict[str, str] = json.loads(ended.stdout)
    return made


def refusal_of(ended: Ended) -> str:
    """The one line of a command that has failed."""
    assert ended.status == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    return line


def every_command(group: typer.Typer, *names: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The names that lead to each command, groups included, and the sentence that says what it does."""
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
def test_every_command_says_what_it_does(names: tuple[str, ...], sentence: str) -> None:
    """Nothing is connected or read for that."""
    answered = CliRunner().invoke(cli, [*names, "--help"], env={"COLUMNS": "200"})

    assert answered.exit_code == 0
    assert sentence in answered.output


@pytest.mark.parametrize("arguments", WRONG_USES, ids=" ".join)
def test_wrong_use_is_refused(arguments: list[str]) -> None:
    """With status 2 and how it is used, before anything is done."""
    answered = CliRunner().invoke(cli, arguments)

    assert answered.exit_code == 2
    assert "Usage:" in answered.output


def test_wrong_use_ends_with_status_2() -> None:
    """Scripts tell a mistake in calling from a failure."""
    ended = run_apart("keys", "create", "--name", "shop")

    assert (ended.status, ended.stdout) == (2, "")
    assert "--scopes" in ended.stderr


async def test_key_is_shown_once_and_kept_as_a_hash(database_url: str, engine: AsyncEngine) -> None:
    """Nobody who reads the database, or lists keys, can call with one."""
    made = create_key(run_apart, database_url)
    listed = run_apart("keys", "list", "--json", DATABASE_URL=database_url)
    secret = made["key"].removeprefix(f"dgw_{made['id']}_")

    row = await stored.row(engine, "SELECT * FROM api_keys")
    assert len(secret) == 64
    assert row["secret_hash"] == hashlib.sha256(secret.encode()).digest()
    assert secret not in repr(row)
    assert secret not in listed.stdout + listed.stderr


def test_key_is_listed_until_it_is_revoked_and_after(run: Run, database_url: str) -> None:
    """A revoked key stays in the list with its time; revoking it again is a failure that says what to look at."""
    key_id = create_key(run, database_url)["id"]
    revoked = run("keys", "revoke", key_id, DATABASE_URL=database_url)
    again = run("keys", "revoke", key_id, DATABASE_URL=database_url)
    (listed,) = json.loads(run("keys", "list", "--json", DATABASE_URL=database_url).stdout)

    assert (revoked.status, revoked.stdout) == (0, f"Key {key_id} is revoked.\n")
    assert refusal_of(again) == f"dots-gateway: There is no live key {key_id}; see `dots-gateway keys list`."
    assert listed.pop("created_at")
    assert listed.pop("revoked_at")
    assert listed == {"id": key_id, "name": "shop", "scopes": "events:read,flows:read"}


def test_keys_are_printed_for_people_too(run: Run, database_url: str) -> None:
    """Without --json the key stands alone on the first line, and the list is a table without it."""
    made = run("keys", "create", "--name", "shop", "--scopes", "flows:read", DATABASE_URL=database_url)
    listed = run("keys", "list", DATABASE_URL=database_url)

    key, _, *reported = made.stdout.splitlines()
    assert key.startswith("dgw_")
    assert reported == ["Kept as a hash only: note it now."]
    assert [word for word in ("shop", "flows:read", key.split("_")[1]) if word not in listed.stdout] == []
    assert key.split("_")[2] not in listed.stdout


def test_wrong_scopes_and_name_are_named(run: Run, database_url: str) -> None:
    """Both at once, and what there is to choose from."""
    refusal = refusal_of(
        run("keys", "create", "--name", "!", "--scopes", "flows:read,flows:fly", DATABASE_URL=database_url)
    )

    assert refusal.startswith("dots-gateway: name: 1 to 63 letters")
    assert "; scopes: must be some of flows:read, flows:write," in refusal


def test_migrate_brings_an_empty_database_to_head(run: Run, empty_database_url: str) -> None:
    """And may be run at every start."""
    ended = [run("migrate", DATABASE_URL=empty_database_url) for _ in range(2)]

    reported = f"The database is at schema {migrations.head()}.\n"
    assert [(each.status, each.stdout, each.stderr) for each in ended] == [(0, reported, "")] * 2


@pytest.mark.parametrize("command", ["migrate", "api", "worker"])
def test_missing_database_url_is_named(run: Run, command: str) -> None:
    """In one line that says what to do."""
    assert refusal_of(run(command)).startswith("dots-gateway: DATABASE_URL must be set")


def test_failure_ends_with_status_1() -> None:
    """And nothing but its one line on standard error."""
    assert "DATABASE_URL" in refusal_of(run_apart("migrate"))


def test_malformed_setting_is_named_and_not_told(run: Run) -> None:
    """Its value may be a secret in the wrong place."""
    refusal = refusal_of(run("migrate", DATABASE_URL="sk_dev_secret", LEASE_SECONDS="60"))

    assert refusal == "dots-gateway: DATABASE_URL is not a database URL."


def test_directory_that_cannot_be_used_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `dev` would keep its data there may be a file, or no right to write."""
    (tmp_path / ".dev").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert refusal_of(run("dev")) == "dots-gateway: .dev cannot be used: File exists."


@pytest.mark.parametrize("noun", ["keys", "webhooks"])
def test_unknown_variables_of_ours_are_logged_and_change_nothing(run: Run, database_url: str, noun: str) -> None:
    """Each once on standard error, with the name that may have been meant, and never with its value."""
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


def test_database_that_is_away_is_one_line(run: Run, database_url: str) -> None:
    """It names the setting, the database, the host and the port, and never the password."""
    url = urlsplit(database_url)
    refusal = refusal_of(run("keys", "list", DATABASE_URL=f"{database_url}_gone"))

    assert refusal == (
        f"dots-gateway: DATABASE_URL: there is no database {url.path[1:]}_gone at {url.hostname}:{url.port}."
    )


def test_key_for_a_database_without_schema_is_refused(run: Run, empty_database_url: str) -> None:
    """With the command to run."""
    refusal = refusal_of(
        run("keys", "create", "--name", "shop", "--scopes", "flows:read", DATABASE_URL=empty_database_url)
    )

    assert refusal.endswith("run `dots-gateway migrate`.")


@pytest.mark.parametrize("arguments", [["list"], ["revoke", "0123456789ab"]], ids=" ".join)
def test_keys_of_a_database_without_schema_are_refused(run: Run, empty_database_url: str, arguments: list[str]) -> None:
    """With the command to run, not with a traceback."""
    refusal = refusal_of(run("keys", *arguments, DATABASE_URL=empty_database_url))

    assert refusal.endswith("run `dots-gateway migrate`.")
