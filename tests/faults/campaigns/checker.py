"""Judge a campaign: `python -m tests.faults.campaigns.checker DIRECTORY [--within S] [--quiet S]`.

It waits until the service has caught up with Dots and nothing changes any more. It stops waiting when what
is stored has not changed for `quiet` seconds, or when `within` seconds are over. Then it judges what it collected.
Prints the violations as a JSON list; exit status 1 when there are any.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.faults.campaigns import addresses, history, invariants, nats_server, stored
from tests.faults.campaigns.addresses import Addresses
from tests.faults.campaigns.evidence import DotsState, Evidence
from tests.faults.campaigns.history import Timeline

ATTEMPT_SECONDS = 0.25
# These hold once the service has caught up. The others are judged once, at the end.
CATCHING_UP = ("I3", "I4")
# The service still changes these while it catches up.
MOVING = ("sync_rows", "flows", "users", "events", "deliveries", "cursors")


async def collect(found: Addresses, timeline: Timeline, client: httpx.AsyncClient) -> Evidence:
    """The evidence as it is now."""
    state = (await client.get(f"{found.simulator_url}/_control/state")).raise_for_status().json()
    # The feed is read first, so that it may miss no event of a later reading.
    feed = [await read_feed(found, client, random.Random(number)) for number in range(2)]
    connection = await asyncpg.connect(found.database_url)
    try:
        rows = await stored.read(connection)
    finally:
        await connection.close()
    return Evidence(
        timeline=timeline,
        webhooks=rows.webhooks,
        sync_rows=rows.sync_rows,
        flows=rows.flows,
        users=rows.users,
        events=rows.events,
        dots_state=DotsState(
            flows={flow["id"]: flow for flow in state["flows"]}, users={user["id"]: user for user in state["users"]}
        ),
        feed=feed[0],
        feed_again=feed[1],
        subscriptions=rows.subscriptions,
        deliveries=rows.deliveries,
        cursors=rows.cursors,
    )


def has_moved(before: Evidence, after: Evidence) -> bool:
    """Whether the service made progress between the two."""
    return any(getattr(before, name) != getattr(after, name) for name in MOVING)


async def read_feed(found: Addresses, client: httpx.AsyncClient, dice: random.Random) -> list[Mapping[str, Any]]:
    """Read the feed from the start, in pages of random sizes, each from a random api."""
    events: list[Mapping[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        response = await client.get(
            f"{dice.choice(found.api_urls)}/v1/events",
            params={"limit": dice.choice((1, 7, 100, 500, 500)), **cursor},
            headers={"Authorization": f"Bearer {found.key}"},
        )
        page = response.raise_for_status().json()
        events += page["events"]
        cursor = {"after": page["next_cursor"]}
        if not page["has_more"]:
            return events


async def check(directory: Path, *, within_seconds: float, quiet_seconds: float) -> list[str]:
    """Wait until the service has caught up, stopped changing or run out of time. Returns the violations."""
    found, timeline = addresses.read(directory), history.read(directory)
    began = changed = time.monotonic()
    before: Evidence | None = None
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        while True:
            evidence = await collect(found, timeline, client)
            now = time.monotonic()
            if before is None or has_moved(before, evidence):
                before, changed = evidence, now
            is_over = now > began + within_seconds or now > changed + quiet_seconds
            if is_over or not invariants.judge(evidence, CATCHING_UP):
                published = await nats_server.published(found.broker_url) if found.broker_url else []
                again = await collect(found, timeline, client)
                # The evidence is consistent only if nothing changed while it was collected.
                if is_over or again.events == evidence.events:
                    # Subscribers have written more to the history meanwhile.
                    return invariants.judge(replace(again, timeline=history.read(directory), published=published))
            await asyncio.sleep(ATTEMPT_SECONDS)


def main() -> None:
    """Check one campaign's directory."""
    parser = argparse.ArgumentParser(description="Compare a campaign's history with what is stored.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--within", type=float, default=60.0, help="seconds to wait for everything to catch up")
    parser.add_argument("--quiet", type=float, default=60.0, help="seconds to wait while nothing changes")
    arguments = parser.parse_args()
    violations = asyncio.run(check(arguments.directory, within_seconds=arguments.within, quiet_seconds=arguments.quiet))
    sys.stdout.write(json.dumps(violations) + "\n")
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
