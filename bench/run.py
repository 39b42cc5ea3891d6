"""`make bench`: the service beside its baselines, in one run: receiving webhooks, and refreshing flows."""

import argparse
import asyncio
import json
import os
import platform
import secrets
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench import refreshing
from bench.databases import (
    NotComparableError,
    count_stored_once,
    durable_version,
    empty_database,
    settle,
)
from bench.figures import Comparison, Round, figures_of, ratios, table
from bench.load import LoadResult
from bench.receivers import Receiver, gateway, node_receiver, plain_receiver, running
from devstack import embedded_postgres

# Inside the checkout, because the temporary directory may be in memory, where fsync costs nothing.
DIRECTORY = Path(__file__).parent.parent / ".dev" / "bench"
RESULTS = DIRECTORY / "latest.json"
WARM_UP_SECONDS = 2.0
# The time of a load run besides sending: signing before, and the last answers after.
LOAD_OVERHEAD_SECONDS = 45.0


SERVICE = "dots-gateway"
# The service must reach this many times the rate of each baseline.
GOALS = {"plain receiver": 11.0, "node receiver": 0.9}


@dataclass(frozen=True, kw_only=True)
class Load:
    """The load on each receiver."""

    connections: int
    seconds: float
    secret: str


async def send(load: Load, *, port: int, seconds: float, prefix: str) -> tuple[LoadResult, list[str]]:
    """Run the load generator in its own process. Returns its result and the acknowledged message ids."""
    ids_path = DIRECTORY / "acknowledged-ids"
    options = {
        "--port": port,
        "--connections": load.connections,
        "--seconds": seconds,
        "--prefix": prefix,
        "--acknowledged-ids": ids_path,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.load"),
        *(str(part) for option in options.items() for part in option),
        env={**os.environ, "WEBHOOK_SECRET": load.secret},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds + LOAD_OVERHEAD_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise NotComparableError("the load generator failed; its error is above")
    return LoadResult(**json.loads(output)), ids_path.read_text().splitlines()


async def play_round(receiver: Receiver, load: Load, *, port: int, number: int) -> Round:
    """Load one receiver once, and count the acknowledged webhooks in its database. Round 0 warms up."""
    prefix = f"msg_{number}_"
    seconds = load.seconds if number else WARM_UP_SECONDS
    await settle(receiver.database_url)
    result, acknowledged_ids = await send(load, port=port, seconds=seconds, prefix=prefix)
    if result.refused or result.unanswered or not result.acknowledged:
        raise NotComparableError(f"{receiver.name} did not acknowledge every webhook: {result}")
    stored_once = await count_stored_once(
        receiver.database_url, table=receiver.table, prefix=prefix, acknowledged_ids=acknowledged_ids
    )
    label = f"round {number}" if number else "warm-up"
    print(f"{label}: {receiver.name} {result.acknowledged / result.seconds:,.0f}/s", flush=True)
    return Round(receiver=receiver.name, number=number, load=result, stored_once=stored_once)


async def play_rounds(load: Load, *, rounds: int, server_url: str) -> list[Round]:
    """Run all receivers and load them in turn, in alternating order. Leaves the warm-up out of the results."""
    async with AsyncExitStack() as stack:
        turns: list[tuple[Receiver, int]] = []
        for describe in (plain_receiver, node_receiver, gateway):
            url = await stack.enter_async_context(empty_database(server_url, purpose=describe.__name__))
            receiver = describe(database_url=url, secret=load.secret)
            turns.append((receiver, await stack.enter_async_context(running(receiver, log_directory=DIRECTORY))))
        played = []
        for number in range(rounds + 1):
            for receiver, port in turns if number % 2 else reversed(turns):
                played.append(await play_round(receiver, load, port=port, number=number))
        return [each for each in played if each.number]


@asynccontextmanager
async def postgres_server() -> AsyncIterator[str]:
    """Yield the URL of `DATABASE_URL`'s server, or of an embedded one that writes through to disk."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    with embedded_postgres.running(DIRECTORY / "postgres", durable=True) as postgres:
        yield postgres.url


async def compare(options: argparse.Namespace) -> list[Comparison]:
    """Run all rounds, print and write the figures. Returns the comparison with each baseline."""
    load = Load(
        connections=options.connections,
        seconds=options.seconds,
        secret=f"whsec_{b64encode(secrets.token_bytes(24)).decode()}",
    )
    async with postgres_server() as server_url:
        postgres = await durable_version(server_url)
        played = await play_rounds(load, rounds=options.rounds, server_url=server_url)
        refreshed = await refreshing.compare(server_url, rounds=options.refresh_rounds, directory=DIRECTORY)
    figures = [figures_of(name, played) for name in (*GOALS, SERVICE)]
    comparisons = [
        Comparison(baseline=name, goal=goal, by_round=ratios(name, SERVICE, played)) for name, goal in GOALS.items()
    ]
    refresh_ratios = [each.ratio for each in refreshed]
    comparisons.append(Comparison(baseline=refreshing.BASELINE, goal=refreshing.GOAL, by_round=refresh_ratios))
    conditions = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "postgres": postgres,
        "cores": os.cpu_count(),
        "connections": options.connections,
        "rounds": options.rounds,
        "seconds": options.seconds,
    }
    print("", table(figures), "", refreshing.summary(refreshed), *comparisons, f"conditions: {conditions}", sep="\n")
    results = {
        **conditions,
        "ratios": {each.baseline: {"median": each.ratio, "by_round": each.by_round} for each in comparisons},
        "receivers": [asdict(each) for each in figures],
        "refreshes": [asdict(each) for each in refreshed],
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    return comparisons


def parsed_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Webhooks and refreshes a second, beside their baselines.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each receiver is loaded in a round")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--refresh-rounds", type=int, default=3)
    return parser.parse_args()


def main() -> None:
    """Exit 0 if the service is fast enough, 1 if it is not or the run is not comparable."""
    options = parsed_options()
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    try:
        comparisons = asyncio.run(compare(options))
    except NotComparableError as error:
        sys.exit(f"bench: {error}")
    if missed := [str(each) for each in comparisons if each.ratio < each.goal]:
        sys.exit("bench: below the goal: " + "; ".join(missed))


if __name__ == "__main__":
    main()
