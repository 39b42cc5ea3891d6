"""What a campaign runs with: its own Postgres, the processes on it, and the checker that judges the end."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from types import MappingProxyType

from tests.faults.campaigns import fleet as fleets
from tests.faults.campaigns import invariants, proxy, server, subscribers
from tests.faults.campaigns.fast_clock import FastClock
from tests.faults.campaigns.fleet import Fleet
from tests.faults.campaigns.forked import Forked
from tests.faults.campaigns.nats_server import NatsServer
from tests.faults.campaigns.options import Outcome, RunOptions
from tests.faults.campaigns.proxy import Proxy
from tests.faults.campaigns.server import Server
from tests.faults.campaigns.subscribers import HEALTHY, SHAKY, Mishap, Subscriber, Wish

CHECKER = "tests.faults.campaigns.checker"
# As long as something changes, the service is catching up, however slow the machine is.
WITHIN_SECONDS, SLACK_SECONDS = 180.0, 60.0
# How long nothing may change. In a small campaign it is twice the longest wait of the service: an attempt of 2 s,
# and another one up to 6 s later.
QUIET_SECONDS, SMALL_QUIET_SECONDS = 60.0, 16.0


def frequent(options: RunOptions) -> dict[str, str]:
    """Settings that refresh every open flow every few seconds, so that a campaign finds what no webhook announces."""
    looks = looks_of(options)
    return {"SWEEP_SECONDS": looks, "VERDICT_POLL_SECONDS": looks}


def looks_of(options: RunOptions) -> str:
    """Ages at which to refresh, as a setting. Less often in a soak, which has ten times as many flows."""
    every = 5 if options.repeats == 1 else 15
    return ",".join(str(age) for age in range(every, 1200 * options.repeats, every))


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a campaign runs with. `dots_proxy` is between the gateway and Dots. `broker` is None if there is none."""

    options: RunOptions
    server: Server
    fleet: Fleet
    dots_proxy: Proxy
    subscribers: Sequence[Subscriber]
    broker: NatsServer | None

    async def judge(self) -> list[str]:
        """The violations that the checker process finds once the service has caught up or stopped changing."""
        within = WITHIN_SECONDS * self.options.repeats
        quiet_seconds = SMALL_QUIET_SECONDS if self.options.is_short else QUIET_SECONDS
        self.fleet.tell_checker(self.server.direct_url, self.broker.url if self.broker else None)
        said: list[str] = []
        arguments = [str(self.options.directory), "--within", str(within), "--quiet", str(quiet_seconds)]
        checker = await Forked.start(CHECKER, arguments, {}, said.append)
        try:
            async with asyncio.timeout(within + SLACK_SECONDS):
                await checker.wait()
        finally:
            checker.signal(signal.SIGKILL)
        try:
            violations: list[str] = json.loads(said[-1])
        except (IndexError, ValueError):
            raise RuntimeError(f"the checker broke: {checker.last_words()}") from None
        return violations

    async def outcome(self, *, events: int, faults: int) -> Outcome:
        """Judge the campaign by all invariants. The mishaps of subscribers count as `faults` too."""
        violations = [f"I0: deadlock: {details}" for details in self.server.deadlocks] + await self.judge()
        faults += sum(each.mishaps for each in self.subscribers)
        return Outcome(events=events, faults=faults, invariants=tuple(invariants.RULES), violations=violations)


@asynccontextmanager
async def staged(
    options: RunOptions,
    settings: Mapping[str, str] = MappingProxyType({}),
    *,
    apis: int = 2,
    workers: int = 2,
    fault_proxy: Proxy | None = None,
    clock: FastClock | None = None,
    wishes: Sequence[Wish] = (HEALTHY, SHAKY),
    broker: NatsServer | None = None,
    postgres: Server | None = None,
) -> AsyncIterator[Context]:
    """All processes running with these settings, by `clock` if given, for an `async with` block.

    Starts its own Postgres unless one is given.
    """
    environment = dict(settings)
    if clock:
        # Leases use the fast clock, but deadlines the real one: a silent subscriber would hold one for too long.
        environment |= {**clock.environment(), "DELIVERY_TIMEOUT_SECONDS": str(round(2 * clock.rate))}
        wishes = [_impatient(wish) for wish in wishes]
    async with (
        nullcontext(postgres) if postgres else server.running(options.directory, fault_proxy) as running,
        fleets.assembled(options.directory, running.url, environment) as fleet,
        proxy.listening(Proxy(fleet.simulator_port)) as dots_proxy,
    ):
        fleet.settings |= {"DOTS_API_URL": f"http://127.0.0.1:{dots_proxy.port}/api"}
        await fleet.create_key(running.direct_url)
        async with asyncio.TaskGroup() as starting:
            for number in range(1, apis + 1):
                starting.create_task(fleet.start_api(f"api-{number}"))
            for number in range(1, workers + 1):
                starting.create_task(fleet.start_worker(f"worker-{number}"))
        async with subscribers.listening(fleet, wishes) as subscribed:
            yield Context(
                options=options,
                server=running,
                fleet=fleet,
                dots_proxy=dots_proxy,
                subscribers=subscribed,
                broker=broker,
            )


def _impatient(wish: Wish) -> Wish:
    return replace(wish, mishaps=tuple(mishap for mishap in wish.mishaps if mishap != Mishap.SILENT))
