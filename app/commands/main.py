"""The command `dots-gateway`. Its exit status is 0 for success, 1 for failure (one line says why), 2 for wrong use."""

import asyncio
import importlib
import importlib.util
import json
import os
import secrets
import sys
from dataclasses import asdict
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from app import logs
from app.access import manage_keys
from app.access.key_rows import KeyRecord
from app.commands import doctor, events, flows, subscriptions, webhooks
from app.errors import GatewayError, InvalidFieldsError
from app.processes import api, wiring, worker
from app.settings import Settings
from app.storage import migrations

cli = typer.Typer(
    help="Create Dots flows over plain HTTP, and learn reliably what your payees did.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # They would print local variables, which may be secrets.
)
keys = typer.Typer(help="API keys: create, list, revoke.", no_args_is_help=True)
cli.add_typer(keys, name="keys")
cli.add_typer(flows.flows, name="flows")
cli.add_typer(webhooks.webhooks, name="webhooks")
cli.add_typer(events.events, name="events")
cli.add_typer(subscriptions.subscriptions, name="subscriptions")
# Only a checkout has `dev` and `demo`: the wheel and the image do not contain `devstack`.
if importlib.util.find_spec("devstack") is not None:
    importlib.import_module("devstack.commands").add_to(cli)

HIGHEST_PORT = 65535
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """Run a command. Print our own errors as one line on standard error."""
    try:
        cli()
    except InvalidFieldsError as error:
        _fail("; ".join(f"{problem.field}: {problem.message}" for problem in error.problems))
    except GatewayError as error:
        _fail(error.detail)
    except OSError as error:
        if error.filename is None:
            raise
        # For example, the directory `.dev`, where `dev` keeps its data.
        _fail(f"{error.filename} cannot be used: {error.strerror}.")


def _fail(line: str) -> None:
    print(f"dots-gateway: {line}", file=sys.stderr)  # noqa: T201  # the output of a command
    sys.exit(1)


@cli.command("api")
def run_api(
    host: Annotated[str, typer.Option(help="Name or address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=HIGHEST_PORT, help="0 chooses a free port.")] = 8000,
    *,
    with_worker: Annotated[bool, typer.Option(help="Also run a worker in this process.")] = False,
) -> None:
    """Run an api process. It serves flows, webhooks from Dots and events over HTTP."""
    uvloop.run(api.serve(wiring.read_settings(os.environ), host=host, port=port, with_worker=with_worker))


@cli.command("worker")
def run_worker() -> None:
    """Run a worker process. It refreshes flows and users, and numbers, delivers and publishes events."""
    uvloop.run(worker.work(wiring.read_settings(os.environ)))


@cli.command()
def migrate() -> None:
    """Upgrade the database to the schema of this version."""
    asyncio.run(_migrate(wiring.read_settings(os.environ)))
    typer.echo(f"The database is at schema {migrations.head()}.")


async def _migrate(found: Settings) -> None:
    async with wiring.open_engine(found) as engine:
        await wiring.wait_for_database(engine, found, needs_schema=False)
    url = found.required_database_url
    await migrations.upgrade(url, schema=found.database_schema, pooler=found.database_pooler)


@cli.command("doctor")
def run_doctor(
    url: Annotated[str, typer.Option(help="The address of the api.")] = "http://127.0.0.1:8000",
    *,
    as_json: AsJson = False,
) -> None:
    """Check the settings, the database, the schema, the worker, Dots' credentials and a signed webhook."""
    logs.configure(log_format="text", log_level="error")  # The findings say what is wrong.
    findings = asyncio.run(doctor.examine(os.environ, url=url.rstrip("/")))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            typer.echo(f"{'ok    ' if finding.is_well else 'FAILED'}  {finding.check:<18} {finding.detail}")
    if not all(finding.is_well for finding in findings):
        sys.exit(1)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="The caller that will use the key.")],
    scopes: Annotated[str, typer.Option(help=f"Scopes, separated by commas: {', '.join(manage_keys.SCOPES)}.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Create an API key and print it. It is shown only this once."""
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    key = wiring.run_with_engine(
        lambda engine: manage_keys.create_key(
            engine, name=name, scopes=wanted, now=wiring.utc_now(), random_bytes=secrets.token_bytes
        )
    )
    typer.echo(
        json.dumps({"id": key.id, "key": key.key}) if as_json else f"{key.key}\n\nStore it now: it is not shown again."
    )


@keys.command("list")
def list_keys(*, as_json: AsJson = False) -> None:
    """List API keys, without their secrets."""
    found = wiring.run_with_engine(manage_keys.list_keys)
    if as_json:
        typer.echo(json.dumps([_describe(key) for key in found]))
        return
    table = Table("id", "name", "scopes", "created", "revoked")
    for key in map(_describe, found):
        table.add_row(*(str(value or "") for value in key.values()))
    Console().print(table)


@keys.command("revoke")
def revoke_key(key_id: str) -> None:
    """Revoke an API key."""
    if not wiring.run_with_engine(lambda engine: manage_keys.revoke_key(engine, key_id, now=wiring.utc_now())):
        _fail(f"There is no live key {key_id}; see `dots-gateway keys list`.")
    typer.echo(f"Key {key_id} is revoked.")


def _describe(key: KeyRecord) -> dict[str, str | None]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": ",".join(sorted(key.scopes)),
        "created_at": key.created_at.isoformat(),
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }
