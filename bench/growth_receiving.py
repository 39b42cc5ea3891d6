"""Measures how many webhooks per second the api acknowledges, for flows that exist in the database."""

import asyncio
import json
import os
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import growth_settings, growth_sizes
from bench.databases import NotComparableError, settle
from bench.growth_table import Row
from bench.growth_target import Target
from bench.load import LoadResult

NAME = "receive, acknowledged webhooks"
FLOWS = 20_000
OVERHEAD_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Load:
    """The load on the api. `rate` is in webhooks per second; None means as fast as they are acknowledged."""

    seconds: float
    connections: int = 32
    rate: float | None = None


async def row(empty: Target, grown: Target, *, rounds: int, seconds: float, directory: Path) -> Row:
    """Load both databases' apis in turn. Only the rounds after the warm-up count."""
    rates: dict[str, list[float]] = {empty.name: [], grown.name: []}
    for number in range(rounds + 1):
        for target in (empty, grown) if number % 2 else (grown, empty):
            await settle(target.database_url)
            result = await send(target, Load(seconds=seconds if number else 2.0), directory=directory)
            if number:
                rates[target.name].append(result.acknowledged / result.seconds)
    return Row.of_rates(NAME, *(statistics.median(each) for each in rates.values()))


async def send(target: Target, load: Load, *, directory: Path) -> LoadResult:
    """Run the load generator in its own process. Raises `NotComparableError` if a webhook is refused."""
    flow_ids = directory / f"flow-ids-{target.name}"
    flow_ids.write_text("\n".join(growth_sizes.flow_id(target.flow_number(number)) for number in range(FLOWS)))
    options: dict[str, object] = {
        "--port": target.port,
        "--connections": load.connections,
        "--seconds": load.seconds,
        "--flow-ids": flow_ids,
        "--acknowledged-ids": directory / f"acknowledged-ids-{target.name}",
    }
    if load.rate is not None:
        options |= {"--rate": load.rate, "--webhooks": round(load.rate * load.seconds * 2)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.load"),
        *(str(part) for option in options.items() for part in option),
        env={**os.environ, "WEBHOOK_SECRET": growth_settings.WEBHOOK_SECRET},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), load.seconds + OVERHEAD_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise NotComparableError("the load generator failed; its error is above")
    result = LoadResult(**json.loads(output))
    if result.refused or not result.acknowledged:
        raise NotComparableError(f"{target.name}: not every webhook was acknowledged: {result}")
    return result
