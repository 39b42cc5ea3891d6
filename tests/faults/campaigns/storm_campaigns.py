"""The storm as it is, with processes killed, on a bad network, and with no webhook coming through at all."""

import asyncio
import json
from contextlib import suppress
from http import HTTPStatus
from uuid import UUID

from tests.faults.campaigns import scene, storm
from tests.faults.campaigns.commit_proxies import CommitCutter
from tests.faults.campaigns.history import Poisoned
from tests.faults.campaigns.order import Campaign, Order, Outcome
from tests.faults.campaigns.proxy import FAIR, Proxy, Weather
from tests.faults.campaigns.scene import Scene
from tests.faults.campaigns.storm import Fault, Storm
from tests.faults.campaigns.subscribers import HEALTHY, SPARING
from tests.faults.campaigns.svix import Fate, Message, Svix

FLOWS, SOME_FLOWS, FEW_FLOWS = 200, 80, 30
JUST_ACKNOWLEDGED, LULL_SECONDS = 20, 3.0
# Dots hangs: shorter than usual, so that a campaign sees it given up.
IMPATIENT = {"DOTS_TIMEOUT_SECONDS": "3", "LEASE_SECONDS": "5"}


async def run_storm(order: Order) -> Outcome:
    """Webhooks doubled, shuffled, dropped, sent twice at once, forged beside; the service itself is left alone.

    One of them is about a flow that Dots forbids the gateway to see. The others must not notice.
    """
    async with scene.staged(order, scene.frequent(order), wishes=(HEALTHY, SPARING)) as stage:
        blown = await storm.blow(stage, _storm(order, FLOWS), [_forbid(stage)])
        return await stage.outcome(events=blown.sent, faults=blown.faults)


async def run_calm_storm(order: Order) -> Outcome:
    """Nothing is dropped, no sweep helps, and Dots is slow: a wake-up that comes during a fetch must not be lost."""
    polls = {"VERDICT_POLL_SECONDS": scene.looks_of(order)}
    async with scene.staged(order, polls, wishes=(HEALTHY,)) as stage:
        stage.dots_door.weather = Weather(delay_seconds=0.1)
        in_order = Fate(dropped=0.0, window=1)
        size = order.count(60, small=12)
        brisk = Storm(flows=size, fate=in_order, further_steps=4, steps_at_once=3, busy_at_once=4)
        blown = await storm.blow(stage, brisk)
        return await stage.outcome(events=blown.sent, faults=blown.faults)


async def run_killings(order: Order) -> Outcome:
    """The storm, while apis, workers and Postgres are ended by SIGKILL and started again."""
    async with scene.staged(order, scene.frequent(order) | IMPATIENT) as stage:
        names = ["api-1", "postgres", "worker-1", "api-2", "api-1", "postgres", "worker-2", "api-2", "postgres"]
        names = ["postgres", "api-1"] * 4 if order.is_small else [*names, "worker-1", "api-1"] * order.times
        faults = [_killing(stage, name) for name in names]
        blown = await storm.blow(stage, _storm(order, FLOWS), faults)
        return await stage.outcome(events=blown.sent, faults=blown.faults)


async def run_network(order: Order) -> Outcome:
    """The storm, while the network between the gateway, Postgres and Dots cuts, delays, slices and half-opens."""
    async with scene.staged(order, scene.frequent(order) | IMPATIENT) as stage:
        postgres, dots = stage.server.door, stage.dots_door
        faults = [
            _cut(postgres),
            _cut(dots),
            _turn(postgres, Weather(slice_bytes=7)),
            _turn(postgres, FAIR),
            _turn(dots, Weather(slice_bytes=3)),
            _half_open(stage, dots, "refresh failed"),
            _turn(postgres, Weather(delay_seconds=0.02)),
            _turn(dots, Weather(delay_seconds=0.2)),
            _turn(postgres, FAIR),
            _cut(postgres),
            _half_open(stage, postgres, "database_unavailable", "DatabaseUnavailableError"),
            _cut(dots),
        ]
        blown = await storm.blow(stage, _storm(order, SOME_FLOWS), faults * order.times)
        return await stage.outcome(events=blown.sent, faults=blown.faults)


async def run_silence(order: Order) -> Outcome:
    """Not one webhook comes through: sweeps alone find everything."""
    async with scene.staged(order, scene.frequent(order)) as stage:
        all_dropped = Fate(dropped=1.0)
        size = order.count(100, small=12)
        blown = await storm.blow(stage, Storm(flows=size, fate=all_dropped, further_steps=2))
        return await stage.outcome(events=size, faults=blown.faults)


async def run_ambiguous_commits(order: Order) -> Outcome:
    """Connections to Postgres are cut right after a COMMIT is sent: half of them have happened, and nobody knows."""
    cutter = CommitCutter(0, order.random("cutter"), chance=0.2)
    cuts = order.count(100, small=40)
    async with scene.staged(order, scene.frequent(order) | IMPATIENT, door=cutter) as stage:

        async def begin(_svix: Svix) -> None:
            cutter.cuts_left = cuts

        blown = await storm.blow(stage, _storm(order, SOME_FLOWS), [begin])
        done, cutter.cuts_left = cutter.cuts_done, 0
        if done < cuts:
            raise RuntimeError(f"only {done} commits were cut")
        return await stage.outcome(events=blown.sent, faults=blown.faults + done)


def _storm(order: Order, flows: int) -> Storm:
    """The usual one. In a small one messages overtake fewer others, or all would come at its end."""
    return Storm(flows=order.count(flows, small=FEW_FLOWS), fate=Fate(window=50 if order.is_small else 500))


def _forbid(stage: Scene) -> Fault:
    async def forbid(svix: Svix) -> None:
        await stage.fleet.dots.turn(unknowns={"foreign_subject_status": 403})
        flow_id = str(UUID(int=403, version=4))
        stage.fleet.history.note(Poisoned(subject_id=flow_id))
        body = json.dumps({"event": "flow.updated", "flow_id": flow_id})
        while await svix.deliver(Message(id="msg_forbidden", body=body)) != HTTPStatus.NO_CONTENT:
            pass

    return forbid


def _killing(stage: Scene, name: str) -> Fault:
    async def kill(svix: Svix) -> None:
        # In the middle of it: what was acknowledged a moment ago is what could be lost.
        with suppress(TimeoutError):
            async with asyncio.timeout(LULL_SECONDS):
                await svix.reached(svix.acknowledged + JUST_ACKNOWLEDGED)
        if name == "postgres":
            await stage.server.kill()
            await stage.server.start()
        else:
            await stage.fleet.restart(name)

    return kill


def _cut(door: Proxy) -> Fault:
    async def cut(_svix: Svix) -> None:
        door.cut()

    return cut


def _turn(door: Proxy, weather: Weather) -> Fault:
    """A change of the weather, which lasts until the next one."""

    async def turn(_svix: Svix) -> None:
        door.weather = weather

    return turn


def _half_open(stage: Scene, door: Proxy, *signs: str) -> Fault:
    """Half-open until the gateway says that it has noticed; what was swallowed is lost, so the links end too."""

    async def half_open(_svix: Svix) -> None:
        door.weather = Weather(is_half_open=True)
        await stage.fleet.hear(*signs, within=40.0)
        door.weather = FAIR
        door.cut()

    return half_open


CAMPAIGNS = (
    Campaign(name="killings", summary="the storm with SIGKILL of apis, workers and Postgres", run=run_killings),
    Campaign(name="storm", summary="webhooks doubled, shuffled, dropped, twice at once, forged", run=run_storm),
    Campaign(name="network", summary="the storm on a network that cuts, delays, slices, half-opens", run=run_network),
    Campaign(name="commits", summary="cut right after COMMIT was sent", run=run_ambiguous_commits),
    Campaign(name="calm", summary="nothing dropped, no sweeps, Dots slow: no wake-up lost", run=run_calm_storm),
    Campaign(name="silence", summary="every webhook dropped, sweeps alone repair", run=run_silence),
)
