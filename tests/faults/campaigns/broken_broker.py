"""A real broker is killed and restarted while events flow, and some of its acknowledgements are lost."""

from tests.faults.campaigns import context, nats_server, proxy, storm
from tests.faults.campaigns.context import Context
from tests.faults.campaigns.nats_server import NatsServer
from tests.faults.campaigns.options import Campaign, Outcome, RunOptions
from tests.faults.campaigns.proxy import Interceptor, Proxy
from tests.faults.campaigns.storm import Fault, Storm
from tests.faults.campaigns.storm_campaigns import IMPATIENT
from tests.faults.campaigns.svix import Fate, Svix

# A client begins a message with headers like this.
PUBLISHES = b"HPUB "
NOTICED_WITHIN_SECONDS = 20.0


class AcknowledgementCutter(Proxy):
    """Cuts clients off right after they published, `cuts_left` times. The broker has the message."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.cuts_left = 0
        self.cuts_done = 0

    def intercept(self) -> Interceptor:
        """A new interceptor for each connection."""
        return _Cut(self)


class _Cut:
    def __init__(self, cutter: AcknowledgementCutter) -> None:
        self._cutter = cutter
        self.is_to_cut = False

    async def passes(self, data: bytes) -> bytes:
        if PUBLISHES in data and self._cutter.cuts_left:
            self._cutter.cuts_left -= 1
            self._cutter.cuts_done += 1
            self.is_to_cut = True
        return data


async def run_broker(options: RunOptions) -> Outcome:
    """Outages, lost acknowledgements and dead publishers; every event is in the broker's streams, in order."""
    settings = context.frequent(options) | IMPATIENT
    async with (
        nats_server.running(options.directory) as broker,
        proxy.listening(AcknowledgementCutter(broker.port)) as fault_proxy,
        context.staged(
            options, settings | {"EVENT_BROKER_URL": f"nats://127.0.0.1:{fault_proxy.port}"}, broker=broker
        ) as run_context,
    ):
        faults = [
            _losing(fault_proxy),
            _killing(broker),
            _outage(run_context, broker),
            _losing(fault_proxy),
            _restart(run_context, "worker-1"),
            _killing(broker),
        ]
        size = options.count(50, least=25)
        brisk = Storm(flows=size, fate=Fate(window=30), further_steps=4, steps_at_once=20)
        blown = await storm.blow(run_context, brisk, faults * options.repeats)
        if not fault_proxy.cuts_done:
            raise RuntimeError("no acknowledgement was lost")
        return await run_context.outcome(events=blown.sent, faults=blown.faults + fault_proxy.cuts_done)


def _losing(fault_proxy: AcknowledgementCutter) -> Fault:
    async def lose(_svix: Svix) -> None:
        fault_proxy.cuts_left += 1

    return lose


def _killing(broker: NatsServer) -> Fault:
    async def kill(_svix: Svix) -> None:
        await broker.kill()
        await broker.start()

    return kill


def _outage(run_context: Context, broker: NatsServer) -> Fault:
    """Kill the broker, and start it again once the gateway has noticed."""

    async def break_off(_svix: Svix) -> None:
        await broker.kill()
        await run_context.fleet.hear("BrokerUnavailableError", within=NOTICED_WITHIN_SECONDS)
        await broker.start()

    return break_off


def _restart(run_context: Context, name: str) -> Fault:
    async def restart(_svix: Svix) -> None:
        await run_context.fleet.restart(name)

    return restart


CAMPAIGN = Campaign(name="broker", summary="a broker killed and restarted, acknowledgements lost", run=run_broker)
