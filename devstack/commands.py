"""The commands `dev` and `demo`. They exist only in a checkout; the image does not contain them."""

import asyncio
import os
from typing import Annotated

import typer

from app import settings
from devstack import demo, dev

HIGHEST_PORT = 65535
Port = Annotated[int, typer.Option(min=1, max=HIGHEST_PORT)]


def add_to(cli: typer.Typer) -> None:
    """Add both commands."""
    cli.command("dev")(run_dev)
    cli.command("demo")(run_demo)


def run_dev(port: Port = 8000, simulator_port: Port = 8900) -> None:
    """Run the whole service on this machine: embedded Postgres (unless DATABASE_URL is set), simulator, api, worker."""
    asyncio.run(dev.run(database_url=_database_url(), api_port=port, simulator_port=simulator_port))


def run_demo() -> None:
    """Walk five payees through flows against the simulator, print every event, and check that all events arrive."""
    asyncio.run(demo.run(database_url=_database_url()))


def _database_url() -> str | None:
    url = settings.read(os.environ).database_url
    return None if url is None else url.get_secret_value()
