"""A worker is halted for 90 s between Dots' answer and its write, then resumes. No stale state is stored.

The seconds are those of a fast clock. The lease is the default of 60 s.
"""

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

from tests.faults.campaigns import context, proxy, stopped_dispatcher
from tests.faults.campaigns.commit_proxies import Holder
from tests.faults.campaigns.context import Context
from tests.faults.campaigns.fast_clock import FastClock
from tests.faults.campaigns.fleet import Member
from tests.faults.campaigns.options import Campaign, Outcome, RunOptions
from tests.faults.campaigns.payees import Payees, post_flow
from tests.faults.campaigns.receivers import Receivers
from tests.faults.campaigns.svix import Message, Svix
from tests.stack.waiting import eventually

# Part of a worker's first statement on a user's row after Dots' answer. It locks that row.
USER_ROW = b"FROM users"
LEASE = {"LEASE_SECONDS": "60", "DOTS_TIMEOUT_SECONDS": "2", "REFRESHES_IN_FLIGHT": "16"}
HALTED_FOR = timedelta(seconds=90)
RATE = 15.0
WAIT_SECONDS = 25.0


@dataclass(frozen=True, kw_only=True)
class Duel:
    """One worker that is halted, behind its own proxy to Postgres, and one that takes over."""

    run_context: Context
    clock: FastClock
    svix: Svix
    payees: Payees
    holder: Holder
    halted: Member
    other: Member


async def run_stopped_worker(options: RunOptions) -> Outcome:
    """Halt a worker. Meanwhile another one stores the reversed verdict, or repeats the delivery."""
    rounds = options.count(1, least=1)
    wishes = (stopped_dispatcher.HESITANT,)
    clock = FastClock(rate=RATE, base=time.time())
    async with (
        context.staged(options, LEASE, apis=1, workers=0, clock=clock, wishes=wishes) as run_context,
        AsyncExitStack() as resources,
    ):
        fleet = run_context.fleet
        receivers = Receivers(fleet.api_urls, fleet.client)
        resources.push_async_callback(receivers.close)
        svix = Svix(receivers=receivers, history=fleet.history, dice=options.random("svix"), now=clock)
        payees = Payees(fleet=fleet, dice=options.random("payees"))
        other = await fleet.start_worker("worker-other")
        await stopped_dispatcher.overtake(run_context, clock, other.name, halted_for=HALTED_FOR)
        for number in range(rounds):
            holder = Holder(run_context.server.fault_proxy.target, USER_ROW)
            await resources.enter_async_context(proxy.listening(holder))
            url = run_context.server.url_through(holder)
            halted = await fleet.start_worker(f"worker-halted-{number}", DATABASE_URL=url)
            duel = Duel(
                run_context=run_context,
                clock=clock,
                svix=svix,
                payees=payees,
                holder=holder,
                halted=halted,
                other=other,
            )
            await _fight(duel, key=f"key-{number}")
            await halted.kill()
        return await run_context.outcome(events=svix.sent, faults=rounds + 1)


async def _fight(duel: Duel, *, key: str) -> None:
    run_context, payees, holder = duel.run_context, duel.payees, duel.holder
    dots = run_context.fleet.dots
    user_id = await dots.add_user()
    body = {"steps": ["background-check"], "user_id": user_id}
    flow = await post_flow(run_context.fleet, run_context.options.random("api"), key, body)
    await dots.do(flow["id"], "background-check", verdict="pending")
    await _deliver(duel)
    await _until_verdict(run_context, user_id, "pending")
    # From here on the worker that will be halted is the only one.
    await duel.other.kill()
    holder.is_armed = True
    await payees.decide(user_id, "cleared")
    await _deliver(duel)
    await holder.hold(within=WAIT_SECONDS)
    duel.halted.stop()
    halted_at = duel.clock()
    await run_context.fleet.start(duel.other)
    await payees.decide(user_id, "flagged")
    await _deliver(duel)
    await _until_verdict(run_context, user_id, "flagged")
    await duel.clock.reach(halted_at + HALTED_FOR)
    duel.halted.go_on()
    await holder.let_end(within=WAIT_SECONDS)


async def _deliver(duel: Duel) -> None:
    for message_id, body in await duel.payees.new_messages():
        await duel.svix.deliver(Message(id=message_id, body=body))


async def _until_verdict(run_context: Context, user_id: str, verdict: str) -> None:
    fleet = run_context.fleet

    async def is_reported() -> bool:
        headers = {"Authorization": f"Bearer {fleet.key}"}
        answer = await fleet.client.get(f"{fleet.api_urls[0]}/v1/users/{user_id}", headers=headers)
        return verdict in answer.text

    await eventually(is_reported, within=WAIT_SECONDS)


CAMPAIGN = Campaign(
    name="fencing", summary="a worker halted for 90 s, beyond its lease, then let go", run=run_stopped_worker
)
