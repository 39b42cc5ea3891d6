"""`dots-gateway dev`: runs the whole service on a developer's machine until Ctrl-C."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from devstack import embedded_postgres, stack
from devstack.child import prefixed
from devstack.processes import supervising
from devstack.stack import Stack

DIRECTORY = Path(".dev")


@contextlib.contextmanager
def database(database_url: str | None, directory: Path) -> Iterator[str]:
    """The URL of the database: `database_url` if set, otherwise an embedded Postgres with its data in `directory`."""
    directory.mkdir(exist_ok=True)
    if database_url is not None:
        yield database_url
        return
    with embedded_postgres.running(directory / "postgres") as postgres:
        yield postgres.url


async def run(*, database_url: str | None, api_port: int, simulator_port: int) -> None:
    """Run all processes until a signal, with their logs on standard error. Raises GatewayError."""
    with database(database_url, DIRECTORY) as url:
        async with supervising(prefixed(sys.stderr)) as supervisor:
            running = await stack.start(
                supervisor,
                database_url=url,
                api_port=api_port,
                simulator_port=simulator_port,
                keep_in=DIRECTORY,
            )
            print(_welcome(running), flush=True)
            await supervisor.watch(asyncio.Event().wait())


def _welcome(running: Stack) -> str:
    return f"""
dots-gateway is running against a simulated Dots. Ctrl-C stops everything.

  API          {running.api_url}/v1/flows       (documentation: {running.api_url}/docs)
  Simulator    {running.simulator_url}
  Key          {running.key}

Create a flow, then open its link in a browser:

  curl -s {running.api_url}/v1/flows -H 'Authorization: Bearer {running.key}' \\
    -H 'Content-Type: application/json' -d '{{"steps": ["compliance", "background-check"], "reference": "payee-1"}}'

Watch the events:

  curl -sN {running.api_url}/v1/events/stream -H 'Authorization: Bearer {running.key}'
"""
