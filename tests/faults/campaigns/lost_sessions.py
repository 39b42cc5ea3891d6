"""Postgres sessions stop working: after a failover, and on a network that drops them silently."""

import asyncio
from dataclasses import replace

import httpx

from tests.faults.campaigns import context, replicated, storm
from tests.faults.campaigns.context import Context
from tests.faults.campaigns.options import Campaign, Outcome, RunOptions
from tests.faults.campaigns.storm import Fault, Storm
from tests.faults.campaigns.storm_campaigns import IMPATIENT
from tests.faults.campaigns.svix import Fate, Svix

FLOWS, FEW_FLOWS = 60, 20
# A connection without traffic for so long is idle. Short, because connections are rarely idle in a storm.
IDLE_SECONDS = 0.2
# The service gives up a session after 2 to 4 s. A busy machine needs longer.
RECOVERED_WITHIN_SECONDS = 12.0
READY_IN_A_ROW = 5
POLL_SECONDS = 0.05


class LateError(Exception):
    """A process was not able to write again in time."""


async def run_failover(options: RunOptions) -> Outcome:
    """The primary is killed, or becomes read-only with every session open. The synchronous standby takes over."""
    async with (
        replicated.running(options.directory) as servers,
        context.staged(options, context.frequent(options) | IMPATIENT, postgres=servers) as run_context,
    ):
        faults = [_hand_over(servers, run_context), _fail_over(servers, run_context)]
        faults *= 1 if options.is_short else 2 * options.repeats
        return await _blow(run_context, faults)


async def run_silent_network(options: RunOptions) -> Outcome:
    """Idle connections to Postgres are dropped silently, several times."""
    silenced = 0
    async with context.staged(options, context.frequent(options) | IMPATIENT) as run_context:
        fault_proxy = run_context.server.fault_proxy

        async def silence(svix: Svix) -> None:
            nonlocal silenced
            await svix.flow()
            # The server must notice the connections that were lost earlier: it has room for few more.
            fault_proxy.cut_silent()
            silenced += fault_proxy.silence(lambda link: link.idle_seconds >= IDLE_SECONDS)
            await _recover(run_context, "connections fell silent")

        outcome = await _blow(run_context, [silence] * options.count(5, least=3))
        if not silenced:
            raise RuntimeError("no connection was idle")
        return replace(outcome, faults=outcome.faults + silenced)


async def _blow(run_context: Context, faults: list[Fault]) -> Outcome:
    """The storm with these faults. Ends early when a process cannot write in time."""
    options = run_context.options
    flows, window = options.count(FLOWS, least=FEW_FLOWS), 50 if options.is_short else 200
    late: list[str] = []
    try:
        blown = await storm.blow(run_context, Storm(flows=flows, fate=Fate(window=window), further_steps=6), faults)
    except* LateError as errors:
        late = [str(error) for error in errors.exceptions]
    if late:
        return Outcome(events=0, faults=len(faults), invariants=("I3",), violations=late)
    return await run_context.outcome(events=blown.sent, faults=blown.faults)


def _fail_over(servers: replicated.ReplicatedServer, run_context: Context) -> Fault:
    async def fail_over(svix: Svix) -> None:
        await svix.flow()
        await servers.fail_over()
        await _recover(run_context, "the primary died")
        await servers.rebuild()

    return fail_over


def _hand_over(servers: replicated.ReplicatedServer, run_context: Context) -> Fault:
    async def hand_over(svix: Svix) -> None:
        await svix.flow()
        await servers.hand_over()
        await _recover(run_context, "the primary became read-only")
        await servers.rebuild()

    return hand_over


async def _recover(run_context: Context, after: str) -> None:
    """Return when every api can write again, several times in a row. Raises LateError when one cannot in time."""
    for name, port in run_context.fleet.api_ports.items():
        try:
            async with asyncio.timeout(RECOVERED_WITHIN_SECONDS):
                await _recover_one(run_context, f"http://127.0.0.1:{port}")
        except TimeoutError:
            late = f"I3: {name} could not write for {RECOVERED_WITHIN_SECONDS:g} s after {after}"
            raise LateError(late) from None


async def _recover_one(run_context: Context, url: str) -> None:
    in_a_row = 0
    while in_a_row < READY_IN_A_ROW:
        try:
            is_ready = (await run_context.fleet.client.get(f"{url}/readyz")).is_success
        except httpx.TransportError:
            is_ready = False
        in_a_row = in_a_row + 1 if is_ready else 0
        await asyncio.sleep(POLL_SECONDS)


CAMPAIGNS = (
    Campaign(name="failover", summary="the primary dies or turns read-only, its standby takes over", run=run_failover),
    Campaign(name="silent network", summary="idle connections dropped without a word", run=run_silent_network),
)
