"""The storm: alone, with processes killed, on a bad network, and with every webhook dropped."""

import json
from http import HTTPStatus
from uuid import UUID

from tests.faults.campaigns import context, storm
from tests.faults.campaigns.commit_proxies import CommitCutter
from tests.faults.campaigns.context import Context
from tests.faults.campaigns.history import Poisoned
from tests.faults.campaigns.options import Campaign, Outcome, RunOptions
from tests.faults.campaigns.proxy import FAIR, NetworkFaults, Proxy
from tests.faults.campaigns.storm import Fault, Storm
from tests.faults.campaigns.subscribers import HEALTHY, SPARING
from tests.faults.campaigns.svix import Fate, Message, Svix

FLOWS, SOME_FLOWS, FEW_FLOWS = 200, 80, 30
# For when Dots hangs: shorter than usual, so that the gateway gives up within a campaign.
IMPATIENT = {"DOTS_TIMEOUT_SECONDS": "3", "LEASE_SECONDS": "5"}


async def run_storm(options: RunOptions) -> Outcome:
    """Webhooks are doubled, shuffled, dropped, sent twice at once or forged. The service itself has no faults.

    One of them is about a flow that Dots forbids the gateway to see. The others must not be affected.
    """
    async with context.staged(options, context.frequent(options), wishes=(HEALTHY, SPARING)) as run_context:
        blown = await storm.blow(run_context, _storm(options, FLOWS), [_forbid(run_context)])
        return await run_context.outcome(events=blown.sent, faults=blown.faults)


async def run_calm_storm(options: RunOptions) -> Outcome:
    """No drops, no sweeps and a slow Dots: a wake-up that comes during a fetch must not be lost."""
    polls = {"VERDICT_POLL_SECONDS": context.looks_of(options)}
    async with context.staged(options, polls, wishes=(HEALTHY,)) as run_context:
        run_context.dots_proxy.network_faults = NetworkFaults(delay_seconds=0.3)
        in_order = Fate(dropped=0.0, window=1)
        size = options.count(60, least=12)
        brisk = Storm(flows=size, fate=in_order, further_steps=4, steps_at_once=3, busy_at_once=4)
        blown = await storm.blow(run_context, brisk)
        return await run_context.outcome(events=blown.sent, faults=blown.faults)


async def run_killings(options: RunOptions) -> Outcome:
    """The storm, while apis, workers and Postgres are killed and started again."""
    async with context.staged(options, context.frequent(options) | IMPATIENT) as run_context:
        names = ["api-1", "postgres", "worker-1", "api-2", "api-1", "postgres", "worker-2", "api-2", "postgres"]
        names = ["postgres", "api-1"] * 4 if options.is_short else [*names, "worker-1", "api-1"] * options.repeats
        faults = [_killing(run_context, name) for name in names]
        blown = await storm.blow(run_context, _storm(options, FLOWS), faults)
        return await run_context.outcome(events=blown.sent, faults=blown.faults)


async def run_network(options: RunOptions) -> Outcome:
    """The storm, while the network between the gateway, Postgres and Dots cuts, delays, slices and half-opens."""
    async with context.staged(options, context.frequent(options) | IMPATIENT) as run_context:
        postgres, dots = run_context.server.fault_proxy, run_context.dots_proxy
        faults = [
            _cut(postgres),
            _cut(dots),
            _turn(postgres, NetworkFaults(slice_bytes=7)),
            _turn(postgres, FAIR),
            _turn(dots, NetworkFaults(slice_bytes=3)),
            _half_open(run_context, dots, "refresh failed"),
            _turn(postgres, NetworkFaults(delay_seconds=0.02)),
            _turn(dots, NetworkFaults(delay_seconds=0.2)),
            _turn(postgres, FAIR),
            _cut(postgres),
            _half_open(run_context, postgres, "database_unavailable", "DatabaseUnavailableError"),
            _cut(dots),
        ]
        blown = await storm.blow(run_context, _storm(options, SOME_FLOWS), faults * options.repeats)
        return await run_context.outcome(events=blown.sent, faults=blown.faults)


async def run_silence(options: RunOptions) -> Outcome:
    """Every webhook is dropped: sweeps alone find everything."""
    async with context.staged(options, context.frequent(options)) as run_context:
        all_dropped = Fate(dropped=1.0)
        size = options.count(100, least=12)
        blown = await storm.blow(run_context, Storm(flows=size, fate=all_dropped, further_steps=2))
        return await run_context.outcome(events=size, faults=blown.faults)


async def run_ambiguous_commits(options: RunOptions) -> Outcome:
    """Connections to Postgres are cut right after a COMMIT is sent. Half of the commits succeed."""
    cutter = CommitCutter(0, options.random("cutter"), chance=0.2)
    cuts = options.count(100, least=40)
    async with context.staged(options, context.frequent(options) | IMPATIENT, fault_proxy=cutter) as run_context:

        async def begin(_svix: Svix) -> None:
            cutter.cuts_left = cuts

        blown = await storm.blow(run_context, _storm(options, SOME_FLOWS), [begin])
        done, cutter.cuts_left = cutter.cuts_done, 0
        if done < cuts:
            raise RuntimeError(f"only {done} commits were cut")
        return await run_context.outcome(events=blown.sent, faults=blown.faults + done)


def _storm(options: RunOptions, flows: int) -> Storm:
    """The usual storm. A small one has a small window, or all messages would come at its end."""
    return Storm(flows=options.count(flows, least=FEW_FLOWS), fate=Fate(window=50 if options.is_short else 500))


def _forbid(run_context: Context) -> Fault:
    async def forbid(svix: Svix) -> None:
        await run_context.fleet.dots.turn(unknowns={"foreign_subject_status": 403})
        flow_id = str(UUID(int=403, version=4))
        run_context.fleet.history.note(Poisoned(subject_id=flow_id))
        body = json.dumps({"event": "flow.updated", "flow_id": flow_id})
        while await svix.deliver(Message(id="msg_forbidden", body=body)) != HTTPStatus.NO_CONTENT:
            pass

    return forbid


def _killing(run_context: Context, name: str) -> Fault:
    async def kill(svix: Svix) -> None:
        await svix.flow()
        if name == "postgres":
            await run_context.server.kill()
            await run_context.server.start()
        else:
            await run_context.fleet.restart(name)

    return kill


def _cut(fault_proxy: Proxy) -> Fault:
    async def cut(_svix: Svix) -> None:
        fault_proxy.cut()

    return cut


def _turn(fault_proxy: Proxy, network_faults: NetworkFaults) -> Fault:
    """Change the network's faults until the next change."""

    async def turn(_svix: Svix) -> None:
        fault_proxy.network_faults = network_faults

    return turn


def _half_open(run_context: Context, fault_proxy: Proxy, *signs: str) -> Fault:
    """Half-open until the gateway logs that it has noticed. The dropped data is lost, so the connections end too."""

    async def half_open(_svix: Svix) -> None:
        fault_proxy.network_faults = NetworkFaults(is_half_open=True)
        await run_context.fleet.hear(*signs, within=40.0)
        fault_proxy.network_faults = FAIR
        fault_proxy.cut()

    return half_open


CAMPAIGNS = (
    Campaign(name="killings", summary="the storm with SIGKILL of apis, workers and Postgres", run=run_killings),
    Campaign(name="storm", summary="webhooks doubled, shuffled, dropped, twice at once, forged", run=run_storm),
    Campaign(name="network", summary="the storm on a network that cuts, delays, slices, half-opens", run=run_network),
    Campaign(name="commits", summary="cut right after COMMIT was sent", run=run_ambiguous_commits),
    Campaign(name="calm", summary="nothing dropped, no sweeps, Dots slow: no wake-up lost", run=run_calm_storm),
    Campaign(name="silence", summary="every webhook dropped, sweeps alone repair", run=run_silence),
)
