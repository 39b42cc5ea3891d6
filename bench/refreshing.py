"""A worker's refreshes a second, beside a bare httpx loop against the same fake Dots.

`python -m bench.refreshing dots|loop …` are the two other processes of the comparison.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import text

from bench import dots_stand_in
from bench.databases import NotComparableError, connected, empty_database
from bench.receivers import STOP_WITHIN_SECONDS, gateway

BASELINE = "bare httpx loop"
# How many times the rate of the bare loop a worker must have.
GOAL = 0.6
IN_FLIGHT = 32
FLOWS = 3_000
DONE_WITHIN_SECONDS = 60.0
# Flows that are open and have been announced; each refresh finds one more completed step.
FILL = (
    (
        "INSERT INTO flows (ref, app, id, status, caller, reference, created_at, last_sequence) "
        "SELECT gen_random_uuid(), 'default', 'flow-' || n, 'open', 'shop', 'payee-' || n, now(), 1 "
        "FROM generate_series(1, :flows) AS n"
    ),
    (
        "INSERT INTO flow_steps (flow_ref, name, position) "
        "SELECT ref, name, place FROM flows "
        "CROSS JOIN unnest(ARRAY['compliance', 'id-verification', 'manage-payouts', 'redirect']) "
        "WITH ORDINALITY AS step (name, place)"
    ),
    (
        "INSERT INTO sync_rows (app, kind, subject_id, due_at, due_by, dirty_gen) "
        "SELECT app, 'flow', id, now() - interval '1 hour', 'webhook', 1 FROM flows"
    ),
)
DONE = "SELECT count(*) AS number, extract(epoch FROM max(ended_at) - min(ended_at)) AS seconds FROM refreshes"


@dataclass(frozen=True, kw_only=True)
class RefreshRates:
    """One round: flows a second by the worker and answers a second by the bare loop."""

    worker: float
    loop: float

    @property
    def ratio(self) -> float:
        """How many times the loop's rate the worker's is."""
        return self.worker / self.loop


async def compare(server_url: str, *, rounds: int, directory: Path) -> list[RefreshRates]:
    """Measure both in turn, `rounds` times."""
    rates = []
    for number in range(rounds):
        async with _child("dots", {}, "-m", "bench.refreshing", "dots", directory=directory) as dots:
            url = (await _line(dots)).strip()
            loop = await _loop_rate(url, directory)
            worker = await _worker_rate(server_url, url, directory)
        rates.append(RefreshRates(worker=worker, loop=loop))
        print(f"round {number + 1}: refresh {worker:,.0f}/s, bare httpx {loop:,.0f}/s", flush=True)
    return rates


def summary(rates: list[RefreshRates]) -> str:
    """Return the medians in one line."""
    ratios = [each.ratio for each in rates]
    worker, loop = (statistics.median(getattr(each, name) for each in rates) for name in ("worker", "loop"))
    return (
        f"refresh: {worker:,.0f}/s, bare httpx loop: {loop:,.0f}/s, "
        f"ratio: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


async def _loop_rate(dots_url: str, directory: Path) -> float:
    async with _child("loop", {}, "-m", "bench.refreshing", "loop", "--url", dots_url, directory=directory) as loop:
        return float(json.loads(await _line(loop)))


async def _worker_rate(server_url: str, dots_url: str, directory: Path) -> float:
    """Let one worker refresh all flows. Measures from the first stored answer to the last one."""
    async with empty_database(server_url, purpose="refresh") as url:
        service = gateway(database_url=url, secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")  # noqa: S106  # opens nothing
        environment = {
            **service.environment,
            "DOTS_API_URL": dots_url,
            "REFRESHES_IN_FLIGHT": str(IN_FLIGHT),
            "DOTS_CALLS_PER_SECOND": "10000",
            "DOTS_CALLS_BURST": "100000",
        }
        command = service.serve[0]
        async with _child("migrate", environment, "migrate", directory=directory, program=command) as migrating:
            await migrating.wait()
        async with connected(url) as connection:
            for statement in FILL:
                await connection.execute(text(statement), {"flows": FLOWS} if ":flows" in statement else {})
            await connection.execute(text("VACUUM ANALYZE"))
            async with _child("worker", environment, "worker", directory=directory, program=command):
                deadline = time.monotonic() + DONE_WITHIN_SECONDS
                while time.monotonic() < deadline:
                    done = (await connection.execute(text(DONE))).one()
                    if done.number >= FLOWS:
                        return FLOWS / float(done.seconds)
                    await asyncio.sleep(0.2)
    raise NotComparableError(f"a worker did not refresh {FLOWS} flows in {DONE_WITHIN_SECONDS:.0f} s")


@contextlib.asynccontextmanager
async def _child(
    name: str, environment: Mapping[str, str], *arguments: str, directory: Path, program: str = sys.executable
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run one process, its errors in a log, until the end of the block."""
    with (directory / f"refresh-{name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE if program == sys.executable else log,
            stderr=log,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_WITHIN_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _line(process: asyncio.subprocess.Process) -> str:
    if process.stdout is None or not (line := await process.stdout.readline()):
        raise NotComparableError("a process of the refresh comparison printed nothing; see its log")
    return line.decode()


async def serve_dots() -> None:
    """Serve the fake Dots until terminated, and print its URL."""
    async with dots_stand_in.listening() as stand_in:
        print(stand_in.url, flush=True)
        await asyncio.Event().wait()


async def ask_in_a_loop(url: str) -> None:
    """Request every flow once with the worker's concurrency, and print the answers per second."""
    numbers = iter(range(1, FLOWS + 1))
    limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
    async with httpx.AsyncClient(trust_env=False, limits=limits, auth=("pk_dev_bench", "sk_dev_bench")) as client:

        async def ask() -> None:
            for number in numbers:
                answer = await client.get(f"{url}/v2/flows/bare-{number}")
                answer.raise_for_status().json()

        began = time.perf_counter()
        await asyncio.gather(*(ask() for _ in range(IN_FLIGHT)))
        print(json.dumps(FLOWS / (time.perf_counter() - began)), flush=True)


def main() -> None:
    """Run as one of the other processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("dots", "loop"))
    parser.add_argument("--url", default="")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve_dots() if options.role == "dots" else ask_in_a_loop(options.url))


if __name__ == "__main__":
    main()
