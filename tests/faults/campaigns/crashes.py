"""A process exits at each crash point, one process per point. Other processes finish its work."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import UUID

from devstack import ports
from tests.faults.campaigns import context, crash_points, nats_server, payees
from tests.faults.campaigns.context import Context
from tests.faults.campaigns.fast_clock import FastClock
from tests.faults.campaigns.history import Poisoned
from tests.faults.campaigns.options import Campaign, Outcome, RunOptions
from tests.faults.campaigns.payees import Payees
from tests.faults.campaigns.receivers import Receivers
from tests.faults.campaigns.svix import Fate, Message, Svix
from tests.stack import database
from tests.stack.waiting import eventually

AT_ONCE = 4
HIT_WITHIN_SECONDS = 90.0
# How often a process gets more work until it reaches its point.
MORE_WORK_AFTER_SECONDS = 0.3
# At this rate another process takes work over after three seconds, and a POST may be sent again after four.
RATE = 30.0
CREATIONS = "SELECT count(*) FROM flows WHERE status = 'creating'"
PATIENCE = {"DOTS_TIMEOUT_SECONDS": "1", "LEASE_SECONDS": "90"}

WEBHOOK_POINTS = (
    "before/app.webhooks.webhook_rows:store_and_commit/1",
    "after/app.webhooks.webhook_rows:store_and_commit/1",
    "after/app.webhooks.receive_webhook:WebhookReceiver._store/1",
)
CREATION_POINTS = (
    "before/app.flows.creation_rows:begin/1",
    "after/app.flows.creation_rows:begin/1",
    "before/app.dots.client:DotsClient.create_flow/1",
    "before/app.dots.client:DotsClient.create_flow/2",
    "after/app.dots.client:DotsClient.create_flow/1",
    "after/app.flows.apply_snapshot:apply_flow/1",
    "after/app.flows.sync_rows:schedule/1",
    "before/app.flows.answer_rows:add/1",
    "after/app.flows.answer_rows:add/1",
    "after/app.flows.attempt_creation:_settle/1",
)
WORKER_POINTS = (
    "after/app.flows.due_rows:claim/2",
    "after/app.dots.budget_rows:take/1",
    "before/app.dots.client:DotsClient.get_flow/1",
    "after/app.dots.client:DotsClient.get_flow/2",
    "after/app.flows.flow_rows:lock_free/1",
    "before/app.flows.flow_rows:save/1",
    "after/app.flows.flow_rows:save/2",
    "before/app.feed.event_rows:append_all/1",
    "after/app.feed.event_rows:append_all/1",
    "after/app.feed.event_rows:append_all/3",
    "after/app.flows.user_rows:note_submission/1",
    "before/app.flows.sync_rows:settle_all/1",
    "after/app.flows.sync_rows:settle_all/1",
    "after/app.flows.sync_rows:mark_due/1",
    "after/app.flows.settle_refresh:store_together/1",
    "after/app.dots.client:DotsClient.get_user/1",
    "after/app.flows.user_rows:save/1",
    "before/app.feed.event_rows:stamp/2",
    "after/app.feed.event_rows:stamp/3",
    "after/app.feed.sequence_events:sequence_events/3",
    "before/app.flows.sync_rows:postpone/1",
    "after/app.flows.sync_rows:postpone/1",
    "after/app.flows.listing_rows:claim/1",
    "after/app.flows.discover_flows:_make_due/1",
)
DELIVERY_POINTS = (
    "before/app.subscriptions.delivery_rows:fail/1",
    "before/app.subscriptions.delivery_rows:make/1",
    "after/app.subscriptions.delivery_rows:make/1",
    "before/app.subscriptions.deliver_due:Dispatcher._carry/1",
    "after/app.subscriptions.push.http_push:Pusher.push/2",
    "after/app.subscriptions.delivery_rows:settle/1",
    "after/app.subscriptions.queue_rows:leave/2",
    "after/app.subscriptions.settle_delivery:settle_delivery/3",
    "before/app.brokers.publish_batch:publish_batch/1",
    "after/app.brokers.broker:SessionBroker.publish/2",
    "before/app.brokers.offset_rows:move/1",
    "after/app.brokers.offset_rows:move/1",
)
# About creations without an outcome, which a worker takes up only after several listings. Only one process at a
# time, because they would take the creations from each other.
SETTLING_POINTS = (
    "after/app.flows.listing_rows:attempt_again/1",
    "after/app.dots.client:DotsClient.create_flow/1",
)
ALL_POINTS = sorted({*WEBHOOK_POINTS, *CREATION_POINTS, *WORKER_POINTS, *DELIVERY_POINTS, *SETTLING_POINTS})
FEW_POINTS = (
    WEBHOOK_POINTS[1],
    "after/app.flows.user_rows:note_submission/1",
    "after/app.feed.event_rows:append_all/1",
    "after/app.flows.sync_rows:settle_all/1",
    "before/app.subscriptions.delivery_rows:make/1",
)

# Takes the address of the process that is to exit, which is empty for a worker.
Bring = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Death:
    """A crash point, the program that reaches it, and the work that leads there."""

    point: str
    program: Literal["api", "worker"]
    bring: Bring


class Work:
    """Gives processes the work that leads to their crash points."""

    def __init__(self, run_context: Context, svix: Svix, walkers: Payees) -> None:
        self._setup = run_context
        self._svix = svix
        self._walkers = walkers
        self._number = 0
        self._keys: dict[str, dict[str, Any]] = {}

    async def walk(self, _url: str = "", *, steps: int = 1) -> None:
        """Let payees do their next steps, and send the webhooks to the healthy api."""
        if self._walkers.actions_left == 0:
            await self._walkers.create(10)
        await self._walkers.act(steps)
        messages = await self._walkers.new_messages()
        await asyncio.gather(*(self._insist(Message(id=message_id, body=body)) for message_id, body in messages))

    async def poison(self, _url: str = "") -> None:
        """Send a webhook about a flow that Dots does not know."""
        self._number += 1
        flow_id = str(UUID(int=self._number, version=4))
        self._setup.fleet.history.note(Poisoned(subject_id=flow_id))
        body = json.dumps({"event": "flow.updated", "flow_id": flow_id})
        await self._insist(Message(id=f"msg_poison_{self._number}", body=body))

    async def leave_unanswered(self, _url: str = "") -> None:
        """Begin two creations whose POST never reached Dots, so that only a worker can settle them.

        Only if there are none: another worker may have settled the earlier ones.
        """
        if await database.column(self._setup.server.direct_url, CREATIONS) == [0]:
            await self._setup.fleet.dots.turn(faults={"next_responses": [{"kind": "cut", "method": "POST"}] * 2})
            for _ in range(2):
                await self.creation_at(self._setup.fleet.api_urls[0])

    async def webhook_at(self, url: str) -> None:
        """Send a webhook to one api, and to the healthy one if that exits, as Svix would."""
        await self._walkers.act()
        for message_id, body in await self._walkers.new_messages():
            message = Message(id=message_id, body=body)
            if await self._svix.deliver(message, url) != 204:  # No Content
                await self._insist(message)

    async def creation_at(self, url: str) -> None:
        """Ask one api for a flow. `come_back` repeats the request if there was no answer."""
        self._number += 1
        key = f"key-crash-{self._number}"
        body: dict[str, Any] = {"steps": ["compliance"], "reference": f"crash-{self._number}"}
        if await payees.try_flow(self._setup.fleet, url, key, body) is None:
            self._keys[key] = body

    async def come_back(self) -> None:
        """Repeat every request for a flow that got no answer."""
        url = self._setup.fleet.api_urls[0]
        for key, body in self._keys.items():

            async def is_given(key: str = key, body: dict[str, Any] = body) -> bool:
                return await payees.try_flow(self._setup.fleet, url, key, body) is not None

            await eventually(is_given, within=HIT_WITHIN_SECONDS)

    async def _insist(self, message: Message) -> None:
        url = self._setup.fleet.api_urls[0]

        async def is_taken() -> bool:
            return await self._svix.deliver(message, url) == 204  # No Content

        await eventually(is_taken)


async def run_crashes(options: RunOptions) -> Outcome:
    """Every point is reached, and the result is as if no process had exited."""
    clock = FastClock(rate=RATE, base=time.time())
    async with (
        nats_server.running(options.directory) as broker,
        context.staged(
            options, PATIENCE | {"EVENT_BROKER_URL": broker.url}, apis=1, workers=0, clock=clock, broker=broker
        ) as run_context,
    ):
        fleet = run_context.fleet
        receivers = Receivers(fleet.api_urls, fleet.client)
        svix = Svix(receivers=receivers, history=fleet.history, dice=options.random("svix"), fate=Fate(), now=clock)
        walkers = Payees(fleet=fleet, dice=options.random("payees"))
        work = Work(run_context, svix, walkers)
        await walkers.create(options.count(60, least=12))
        try:
            tried, missed = await _die_everywhere(run_context, work, options)
            await fleet.start_worker("worker-well")
            await work.come_back()
            while walkers.actions_left:
                await work.walk(steps=20)
        finally:
            await receivers.close()
        outcome = await run_context.outcome(events=svix.sent, faults=tried)
    return replace(outcome, violations=missed + outcome.violations)


async def _die_everywhere(run_context: Context, work: Work, options: RunOptions) -> tuple[int, list[str]]:
    """Visit the points. Returns how many there are, and a violation for each that was not reached."""
    plan = [
        *(Death(point=point, program="api", bring=work.webhook_at) for point in WEBHOOK_POINTS),
        *(Death(point=point, program="api", bring=work.creation_at) for point in CREATION_POINTS),
        *(Death(point=point, program="worker", bring=work.walk) for point in DELIVERY_POINTS),
        *(
            Death(point=point, program="worker", bring=work.poison if "postpone" in point else work.walk)
            for point in WORKER_POINTS
        ),
    ]
    settling = [Death(point=point, program="worker", bring=work.leave_unanswered) for point in SETTLING_POINTS]
    if options.is_short:
        plan, settling = [death for death in plan if death.point in FEW_POINTS], []
    ends = [
        *await _die_in_turn(run_context, plan, at_once=AT_ONCE),
        *await _die_in_turn(run_context, settling, at_once=1),
    ]
    return len(ends), [missed for missed in ends if missed]


async def _die_in_turn(run_context: Context, plan: Sequence[Death], *, at_once: int) -> list[str | None]:
    folder = asyncio.Semaphore(at_once)

    async def die(death: Death) -> str | None:
        async with folder:
            return await _die(run_context, death)

    return await asyncio.gather(*(die(death) for death in plan))


async def _die(run_context: Context, death: Death) -> str | None:
    """Start a process that exits at the point, and give it work until then. Returns a violation if it does not."""
    environment = {crash_points.VARIABLE: str(crash_points.parse(death.point))}
    name = f"{death.program}-dying-{re.sub(r'[/:]', '-', death.point)}"
    url = ""
    if death.program == "api":
        port = ports.free_port()
        url = f"http://127.0.0.1:{port}"
        member = await run_context.fleet.start_api(name, port=port, **environment)
    else:
        member = await run_context.fleet.start_worker(name, **environment)
    end = asyncio.create_task(member.exit_status(within=HIT_WITHIN_SECONDS))
    try:
        while not end.done():
            await death.bring(url)
            await asyncio.wait([end], timeout=MORE_WORK_AFTER_SECONDS)
        status = end.result()
    except TimeoutError:
        return f"I0: no process came to {death.point}"
    finally:
        end.cancel()
    return None if status == crash_points.EXIT_STATUS else f"I0: at {death.point} one ended with status {status}"


CAMPAIGN = Campaign(name="crashes", summary="exit at each of the named crash points", run=run_crashes)
