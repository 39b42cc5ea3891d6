"""A worker is halted between a subscriber's answer and recording it. Its late record has no effect.

Another worker has sent the event again, and is at the next one, when the halted worker resumes.
"""

from contextlib import AsyncExitStack
from datetime import timedelta

from tests.faults.campaigns import proxy
from tests.faults.campaigns.commit_proxies import Holder
from tests.faults.campaigns.context import Context
from tests.faults.campaigns.fast_clock import FastClock
from tests.faults.campaigns.payees import post_flow
from tests.faults.campaigns.subscribers import Mishap, Wish
from tests.stack import database
from tests.stack.waiting import eventually

# A worker's first statement after a subscriber's answer. It checks that the delivery queue is still its own.
QUEUE_LOCK = b"SELECT 1 FROM delivery_queues"
WAIT_SECONDS = 25.0

# It refuses the second event of every subject once, so that the delivery queue still exists at the late record.
HESITANT = Wish(
    name="hesitant", types=("dots.flow.*",), mishaps=(Mishap.REFUSED,), unlucky_one_in=1, unlucky_sequences=(2,)
)


async def overtake(run_context: Context, clock: FastClock, other: str, *, halted_for: timedelta) -> None:
    """Halt one worker, let the `other` one take over, and resume the first one too late."""
    fleet = run_context.fleet
    holder = Holder(run_context.server.fault_proxy.target, QUEUE_LOCK)
    async with AsyncExitStack() as resources:
        await resources.enter_async_context(proxy.listening(holder))
        halted = await fleet.start_worker("dispatcher-halted", DATABASE_URL=run_context.server.url_through(holder))
        resources.push_async_callback(halted.kill)
        await fleet.members[other].kill()
        holder.is_armed = True
        body = {"steps": ["compliance"], "user_id": await fleet.dots.add_user()}
        flow = await post_flow(fleet, run_context.options.random("dispatcher"), "key-dispatcher", body)
        await holder.hold(within=WAIT_SECONDS)
        halted.stop()
        halted_at = clock()
        await fleet.dots.do(flow["id"], "compliance")
        await fleet.start(fleet.members[other])
        # An operator's refresh, because the campaign sends the step's webhook later.
        await fleet.client.post(
            f"{fleet.api_urls[0]}/v1/flows/{flow['id']}/refresh", headers={"Authorization": f"Bearer {fleet.key}"}
        )
        await _until_refused(run_context)
        await clock.reach(halted_at + halted_for)
        halted.go_on()
        await holder.let_end(within=WAIT_SECONDS)


async def _until_refused(run_context: Context) -> None:
    """Return when the first event has been delivered by another worker, and the second one refused."""

    async def is_refused() -> bool:
        query = "SELECT error IS NULL FROM delivery_attempts ORDER BY id"
        return await database.column(run_context.server.direct_url, query) == [True, False]

    await eventually(is_refused, within=WAIT_SECONDS)
