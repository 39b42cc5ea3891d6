"""Compares the time of each query and pass on a database after years of use with that on an almost empty one.

.venv/bin/python -m bench.growth [--server debian|embedded|both] [--scale 1] [--minutes 1] [--jit on|off]
[--only TEXT]: prints a Markdown table for each server and writes .dev/bench/growth.json.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from sqlalchemy import text

from app import logs
from bench import (
    debian_postgres,
    dots_stand_in,
    growth_fill,
    growth_lag,
    growth_open_transaction,
    growth_passes,
    growth_receiving,
    growth_requests,
    growth_table,
    growth_target,
    growth_unclaimable,
)
from bench.databases import NotComparableError, connected, durable_version
from bench.growth_open_transaction import Compared
from bench.growth_sizes import Sizes
from bench.growth_table import Row
from bench.growth_target import Target
from devstack import embedded_postgres

# Inside the checkout, because the temporary directory may be in memory, where fsync costs nothing.
DIRECTORY = Path(__file__).parent.parent / ".dev" / "bench"
RESULTS = DIRECTORY / "growth.json"
SERVERS = ("debian", "embedded")
ROUNDS, ROUND_SECONDS = 3, 4.0


@contextmanager
def server(name: str) -> Iterator[str]:
    """Yield the URL of one of the servers, its data below `.dev/bench`."""
    if name == "debian":
        version = debian_postgres.newest().version
        with debian_postgres.running(DIRECTORY / f"growth-debian-{version}") as postgres:
            yield postgres.url
    else:
        version = embedded_postgres.DEFAULT_VERSION
        with embedded_postgres.running(DIRECTORY / f"growth-embedded-{version}", durable=True) as postgres:
            yield postgres.url


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All figures of one server; `open_transaction` is None if it was not measured."""

    rows: list[Row]
    open_transaction: Compared | None


async def measure(server_url: str, options: argparse.Namespace) -> Measured:
    """Fill the databases that are missing, and measure everything on the empty and on the grown one."""
    rows = []
    await growth_fill.remove_leftovers(server_url)
    async with AsyncExitStack() as stack:
        dots = await stack.enter_async_context(dots_stand_in.listening())
        empty, grown = [
            await stack.enter_async_context(
                growth_target.opened(
                    server_url, name, sizes, directory=DIRECTORY, dots_url=dots.url, uses_jit=options.jit == "on"
                )
            )
            for name, sizes in (("empty", Sizes.empty()), ("grown", Sizes.grown(options.scale)))
        ]
        async for row in _rows(empty, grown, options.only):
            print(f"  {row.name}: {row.empty} → {row.grown}", flush=True)
            rows.append(row)
        compared = None
        if options.minutes:
            compared = await growth_open_transaction.compare(grown, dots, minutes=options.minutes, directory=DIRECTORY)
    return Measured(rows=rows, open_transaction=compared)


async def _rows(empty: Target, grown: Target, only: str) -> AsyncIterator[Row]:
    for group in (growth_requests, growth_passes, growth_unclaimable):
        async for row in group.rows(empty, grown, only=only):
            yield row
    if only in growth_lag.NAME:
        timings = [await growth_lag.measure(target) for target in (empty, grown)]
        yield Row.of_timings(growth_lag.NAME, *timings)
    if only in growth_receiving.NAME:
        yield await growth_receiving.row(empty, grown, rounds=ROUNDS, seconds=ROUND_SECONDS, directory=DIRECTORY)


async def run(options: argparse.Namespace) -> None:
    """Measure on each server, print the tables and write the results."""
    results = []
    for name in SERVERS if options.server == "both" else [options.server]:
        with server(name) as url:
            version = await durable_version(url)
            async with connected(url) as connection:
                has_jit = bool(await connection.scalar(text("SELECT pg_jit_available()"))) and options.jit == "on"
            print(f"{name}: Postgres {version}, JIT {'on' if has_jit else 'off'}", flush=True)
            measured = await measure(url, options)
        results.append({"server": name, "postgres": version, "jit": has_jit, **asdict(measured)})
        print("", f"Postgres {version} ({name}), JIT {'on' if has_jit else 'off'}:", "", sep="\n")
        print(growth_table.markdown(measured.rows), flush=True)
        if measured.open_transaction is not None:
            print("", measured.open_transaction.markdown(options.minutes), sep="\n", flush=True)
    conditions = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "scale": options.scale,
        "minutes": options.minutes,
    }
    print("", f"conditions: {conditions}", sep="\n")
    RESULTS.write_text(json.dumps({**conditions, "servers": results}, indent=2) + "\n")


def parsed_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Every query and pass on an empty and on a grown database.")
    parser.add_argument("--server", choices=[*SERVERS, "both"], default="both")
    parser.add_argument("--scale", type=float, default=1.0, help="1: three million webhooks; 0.01 for a quick look")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long the transaction stays open; 0 skips it")
    parser.add_argument("--jit", choices=["on", "off"], default="on", help="off: as if the server had no llvmjit")
    parser.add_argument("--only", default="", help="measure only the rows whose name contains this")
    return parser.parse_args()


def main() -> None:
    """Measure. Exit 1 if the run is not comparable."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    logs.configure(log_format="text", log_level="error")
    try:
        uvloop.run(run(parsed_options()))
    except NotComparableError as error:
        sys.exit(f"bench: {error}")


if __name__ == "__main__":
    main()
