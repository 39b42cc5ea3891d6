"""The gateway, the worker's passes and the simulator in this process, with HTTP, Postgres and a manual clock."""

import asyncio
import contextlib
import secrets
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import uvicorn

from app import settings
from app.access import manage_keys
from app.feed import cloudevents, events, read_feed
from app.flows import refresh_due
from app.flows.refresh_due import Refresher
from app.processes import api, wiring, worker
from app.processes.wiring import Inputs
from app.server.application import create_app
from app.settings import Settings
from simulator import server as simulator_server
from simulator import simulation
from simulator.application import create_app as create_simulator
from simulator.settings import Settings as SimulatorSettings
from simulator.simulation import Simulation
from tests.all_inputs import HandClock
from tests.contracts import emitted
from tests.stack import dots, gateway
from tests.stack.dots import Dots
from tests.stack.gateway import Gateway
from tests.webhooks import sending

# A worker that still finds work after this many rounds never finishes.
_ROUNDS = 60
_AT_ONCE = 8
# Loading the machine's certificates would take longer than a scenario.
_WITHOUT_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(frozen=True, kw_only=True)
class OneProcess:
    """All running parts and their common clock."""

    clock: HandClock
    simulation: Simulation
    dots: Dots
    gateway: Gateway
    inputs: Inputs
    settings: Settings

    async def work(self, *, after: timedelta = timedelta()) -> None:
        """Wait for webhooks, advance the clock, and run the worker's passes until none finds work."""
        await self.simulation.sender.settle()
        self.clock.advance(after)
        async with asyncio.TaskGroup() as tasks:
            # Not used: a round has to wait until its refreshes end.
            refresher = Refresher(self.inputs.flows, in_flight=1)
            loops = worker.loops(self.inputs, self.settings, tasks, refresher, None)
            loops = [each for each in loops if each.name not in {"refresh", "purge"}]
            idle_rounds = 0
            for _ in range(_ROUNDS):
                found = (await refresh_due.refresh_due(self.inputs.flows, limit=_AT_ONCE)).claimed
                found += sum([await each.run_pass() for each in loops])
                # Work that one loop makes due is found by another loop in the next round.
                idle_rounds = 0 if found else idle_rounds + 1
                if idle_rounds > 1:
                    return
        raise AssertionError(f"a worker still finds work after {_ROUNDS} rounds")

    async def reported(self, subject: str) -> list[str]:
        """The events of one subject in short form. Checks every event of the feed against its schema."""
        page = await read_feed.read_feed(
            self.inputs.storage.engine,
            after=await read_feed.earliest(self.inputs.storage.engine),
            types=events.TYPES,
            limit=500,
        )
        envelopes = [cloudevents.envelope(event) for event in page.events]
        for envelope in envelopes:
            emitted.check(envelope)
        return gateway.timeline(envelopes, subject)

    @property
    def calls(self) -> int:
        """The number of calls of the Dots API."""
        return len(self.simulation.api_calls)


@contextlib.asynccontextmanager
async def running(
    database_url: str, monkeypatch: pytest.MonkeyPatch, more_settings: Mapping[str, str]
) -> AsyncIterator[OneProcess]:
    """Run all parts until the end of the block. Webhooks go to the gateway."""
    clock = HandClock(now=datetime.now(UTC))
    # The wiring always uses the system clock, and no setting can change that.
    monkeypatch.setattr(wiring, "utc_now", clock)
    async with contextlib.AsyncExitStack() as stack:
        simulated, simulator_url = await _simulate(stack, clock)
        found = settings.read(_environment(database_url, simulator_url, more_settings))
        inputs = await stack.enter_async_context(wiring.open_inputs(found))
        port = await stack.enter_async_context(sending.serving(create_app(api.build_gateway(inputs, found))))
        key = await manage_keys.create_key(
            inputs.storage.engine, name="shop", scopes=manage_keys.SCOPES, now=clock(), random_bytes=secrets.token_bytes
        )
        client = await stack.enter_async_context(
            httpx.AsyncClient(trust_env=False, timeout=30, verify=_WITHOUT_CERTIFICATES)
        )
        steered = Dots(simulator_url, client)
        url = f"http://127.0.0.1:{port}"
        await steered.send_webhooks_to(url)
        yield OneProcess(
            clock=clock,
            simulation=simulated,
            dots=steered,
            gateway=Gateway(url, client, key.key),
            inputs=inputs,
            settings=found,
        )


def _environment(database_url: str, simulator_url: str, more: Mapping[str, str]) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "DATABASE_POOL_SIZE": "5",
        "DOTS_API_URL": f"{simulator_url}/api",
        "DOTS_CLIENT_ID": dots.CLIENT_ID,
        "DOTS_API_KEY": dots.API_KEY,
        "DOTS_WEBHOOK_SECRETS": dots.WEBHOOK_SECRET,
        **more,
    }


class _Server(uvicorn.Server):
    """A server that does not handle signals and that stops immediately."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._is_ended = asyncio.Event()

    def end(self) -> None:
        """Let `serve` return."""
        self._is_ended.set()

    async def main_loop(self) -> None:
        """Wait for `end`."""
        await self._is_ended.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to pytest."""
        yield


async def _simulate(stack: contextlib.AsyncExitStack, clock: HandClock) -> tuple[Simulation, str]:
    """Start a simulator on a free port; the simulation and its URL."""
    listener = simulator_server.listen("127.0.0.1", 0)
    url = simulator_server.url_of(listener)
    wanted = SimulatorSettings(public_url=url, webhook_secret=dots.WEBHOOK_SECRET)
    transport = httpx.AsyncHTTPTransport(verify=_WITHOUT_CERTIFICATES, limits=httpx.Limits(max_keepalive_connections=0))
    simulated = simulation.build(wanted, clock=clock, sleep=asyncio.sleep, transport=transport)
    server = _Server(
        uvicorn.Config(
            create_simulator(simulated),
            http=simulator_server.CuttableProtocol,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )
    serving: asyncio.Task[Any] = asyncio.create_task(server.serve(sockets=[listener]))

    async def end() -> None:
        simulated.stopping.set()
        server.end()
        await serving

    stack.push_async_callback(end)
    return simulated, url
