"""Signatures at the limits of the tolerance, and secrets rotated under load: no valid webhook is refused."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.faults.campaigns import context, storm
from tests.faults.campaigns.context import Context
from tests.faults.campaigns.options import Campaign, Outcome, RunOptions
from tests.faults.campaigns.receivers import Receivers
from tests.faults.campaigns.storm import Fault, Storm
from tests.faults.campaigns.svix import Fate, Message, Svix, key_of, system_now
from tests.stack import dots

NEW_SECRET = "whsec_plJ3nmyCDGBKInavdOK15jsl"
BODY = '{"event": "transfer.updated", "transfer_id": "t"}'


async def run_clock(options: RunOptions) -> Outcome:
    """Webhooks signed 299 s ago or ahead are stored, those of 301 s are refused."""
    each = options.count(50, least=10)
    async with context.staged(options, apis=1, workers=0) as run_context:
        receivers = Receivers(run_context.fleet.api_urls, run_context.fleet.client)
        svix = Svix(receivers=receivers, history=run_context.fleet.history, dice=options.random("svix"))
        try:
            for offset in (-299, 299, -301, 301):
                svix.now = _clock(offset)
                is_genuine = abs(offset) < 300  # the tolerance that is judged
                for number in range(each):
                    message = Message(id=f"msg_{offset + 500}_{number}", body=BODY)
                    await svix.deliver(message, is_expected=is_genuine)
        finally:
            await receivers.close()
        return await run_context.outcome(events=svix.sent, faults=2 * each)


def _clock(offset_seconds: int) -> Callable[[], datetime]:
    """A clock that is off by this much, in whole seconds, rounded away from the tolerance's limit."""

    def now() -> datetime:
        seconds = system_now().timestamp()
        whole = math.ceil(seconds) if offset_seconds in (-299, 301) else math.floor(seconds)
        return datetime.fromtimestamp(whole, UTC) + timedelta(seconds=offset_seconds)

    return now


async def run_rotation(options: RunOptions) -> Outcome:
    """Under load, apis get the new secret, Dots signs with both, then with the new one, and apis drop the old one."""
    old, new = dots.WEBHOOK_SECRET, NEW_SECRET
    async with context.staged(options, context.frequent(options)) as run_context:
        faults: list[Fault] = [
            _replace(run_context, "api-1", f"{new},{old}"),
            _replace(run_context, "api-2", f"{new} {old}"),
            _sign(new, old),
            _sign(new),
            _replace(run_context, "api-1", new),
            _replace(run_context, "api-2", new),
        ]
        size = options.count(80, least=30)
        further_steps = 2 if options.is_short else 6
        brisk = Storm(flows=size, fate=Fate(window=30), further_steps=further_steps, steps_at_once=20)
        blown = await storm.blow(run_context, brisk, faults)
        return await run_context.outcome(events=blown.sent, faults=len(faults))


def _replace(run_context: Context, name: str, secrets: str) -> Fault:
    async def replace(_svix: Svix) -> None:
        await run_context.fleet.replace(name, DOTS_WEBHOOK_SECRETS=secrets)

    return replace


def _sign(*secrets: str) -> Fault:
    async def sign(svix: Svix) -> None:
        svix.keys = [key_of(secret) for secret in secrets]

    return sign


CAMPAIGNS = (
    Campaign(name="clock", summary="signed 299 s and 301 s before and ahead of time", run=run_clock),
    Campaign(name="rotation", summary="webhook secrets exchanged under load", run=run_rotation),
)
