"""The state that the API, the pages and the control API share, and how it is built."""

import asyncio
import uuid
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

import httpx

from simulator import webhooks
from simulator.delivery.endpoint import Endpoint, SigningSecret
from simulator.delivery.sender import Clock, Sender, Sleep
from simulator.knob_panel import KnobPanel
from simulator.knobs import Unknowns
from simulator.settings import Settings
from simulator.world import payee
from simulator.world.flow import Flow
from simulator.world.webhook_event import WebhookEvent
from simulator.world.world import World

_API_CALLS_KEPT = 20_000


@dataclass(kw_only=True)
class ApiCall:
    """One call of the simulated API, logged on arrival, so that a test can wait for a hanging call.

    `status` is None before the answer and after a cut connection.
    """

    method: str
    path: str
    at: datetime
    fault: str | None
    status: int | None = None


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A running simulator, without its routes."""

    settings: Settings
    panel: KnobPanel
    world: World
    sender: Sender
    client: httpx.AsyncClient
    clock: Clock
    sleep: Sleep
    random: Random
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    api_calls: deque[ApiCall] = field(default_factory=lambda: deque(maxlen=_API_CALLS_KEPT))

    @property
    def unknowns(self) -> Unknowns:
        """The current knobs about undocumented behaviour."""
        return self.panel.current.unknowns

    def announce(self, webhook_events: Iterable[WebhookEvent]) -> None:
        """Send a webhook for each event."""
        for webhook_event in webhook_events:
            self.sender.dispatch(webhooks.body(webhook_event, self.world, self.unknowns))

    def claim(self, flow: Flow, user_id: str | None = None) -> None:
        """Let a payee claim a flow, and send the webhooks."""
        self.announce(payee.claim(self.world, flow, user_id=user_id, now=self.clock()))

    def complete(self, flow: Flow, step: str, outcome: str | None = None) -> None:
        """Let the payee complete a step, and send the webhooks."""
        self.announce(payee.complete(self.world, flow, step, outcome=outcome, unknowns=self.unknowns, now=self.clock()))

    def skip(self, flow: Flow, step: str) -> None:
        """Skip a step, and send the webhooks."""
        self.announce(payee.skip(self.world, flow, step, unknowns=self.unknowns, now=self.clock()))

    async def hold(self, seconds: float) -> None:
        """Wait, at most until the simulator stops."""
        waits = [asyncio.ensure_future(self.sleep(seconds)), asyncio.ensure_future(self.stopping.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def reset(self) -> None:
        """Delete flows, users and logs; restore the first knobs and endpoint. New ids differ from earlier ones."""
        await self.sender.stop()
        self.world.clear()
        self.panel.reset()
        self.api_calls.clear()
        self.sender.set_endpoints(first_endpoints(self.settings))

    async def close(self) -> None:
        """Cancel deliveries and close connections."""
        await self.sender.stop()
        await self.client.aclose()


def build(
    settings: Settings, *, clock: Clock, sleep: Sleep, transport: httpx.AsyncBaseTransport | None = None
) -> Simulation:
    """A new simulation. `transport` replaces the network for webhooks."""
    random = Random(settings.seed)  # noqa: S311 - ids of simulated things; a seed makes them repeatable
    panel = KnobPanel(settings.knobs)
    client = httpx.AsyncClient(
        transport=transport,
        # One connection per attempt: httpcore 1.0.9 may close a kept connection while an attempt uses it.
        limits=httpx.Limits(max_keepalive_connections=0),
        follow_redirects=False,
        trust_env=False,
        timeout=None,  # noqa: S113 - each attempt has a deadline around it
    )
    sender = Sender(panel=panel, client=client, clock=clock, sleep=sleep, random=random)
    sender.set_endpoints(first_endpoints(settings))
    return Simulation(
        settings=settings,
        panel=panel,
        world=World(random),
        sender=sender,
        client=client,
        clock=clock,
        sleep=sleep,
        random=random,
    )


def endpoint_for(url: str, secret: str) -> Endpoint:
    """An endpoint. Its id depends only on the URL, so unfinished messages survive a change of secrets."""
    return Endpoint(
        id=f"ep_{uuid.uuid5(uuid.NAMESPACE_URL, url).hex[:20]}",
        url=url,
        secrets=(SigningSecret(secret=secret),),
    )


def first_endpoints(settings: Settings) -> list[Endpoint]:
    """The endpoints the simulator starts with: one or none."""
    return [endpoint_for(settings.webhook_url, settings.webhook_secret)] if settings.webhook_url else []
