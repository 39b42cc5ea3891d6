"""Actions of a payee on a flow: claim it, finish a step, skip a step."""

from dataclasses import replace
from datetime import datetime

from simulator.errors import conflict, invalid_input
from simulator.knobs import Unknowns
from simulator.world import verdict
from simulator.world.flow import Flow
from simulator.world.webhook_event import WebhookEvent, flow_webhook_event, user_webhook_event
from simulator.world.world import World

ID_OUTCOMES = ("verified", "failed")

_FURTHER_EVENTS = {
    "compliance": "user.updated",
    "manage-payouts": "user.updated.payout_method",
}


def claim(world: World, flow: Flow, *, user_id: str | None = None, now: datetime) -> list[WebhookEvent]:
    """Authenticate and onboard: set the flow's user, a new one unless `user_id` names one.

    Raises:
        RefusalError: the flow already has a user, or there is no user with that id.
    """
    if flow.user_id is not None:
        raise conflict("The flow already has a user")
    if user_id:
        user = world.user(user_id)
    else:
        user = world.invent_user(status="unverified", now=now, api_app_id=flow.api_app_id)
    world.save_flow(replace(flow, user_id=user.id, was_onboarded=True), now=now)
    return [flow_webhook_event("flow.updated", flow.id), *_verify(world, user.id)]


def complete(
    world: World, flow: Flow, step_name: str, *, outcome: str | None = None, unknowns: Unknowns, now: datetime
) -> list[WebhookEvent]:
    """Finish one step, not necessarily the next one.

    `outcome` is a verdict or check status for `background-check` (default `cleared`), and one of
    `ID_OUTCOMES` for `id-verification` (default `verified`). Other steps ignore it.

    Raises:
        RefusalError: the flow has no user or no such step, the step is done, or the outcome is unknown.
    """
    user_id = _require_step(flow, step_name)
    # The effects come first, because they can be refused. A refused action must change nothing.
    effects = _after_effects(world, user_id, step_name, outcome, unknowns=unknowns, now=now)
    webhook_events = [*_verify(world, user_id), *effects]
    if step_name == "manage-payments":
        webhook_events.append(flow_webhook_event("flow.transaction_updated", flow.id))
    world.save_flow(replace(flow, done=(*flow.done, step_name)), now=now)
    return [flow_webhook_event("flow.updated", flow.id), *webhook_events]


def skip(world: World, flow: Flow, step_name: str, *, unknowns: Unknowns, now: datetime) -> list[WebhookEvent]:
    """Skip one step, as Dots may: it counts as done without effects.

    Raises:
        RefusalError: the flow has no user or no such step, or the step is done.
    """
    _require_step(flow, step_name)
    skipped = flow.skipped | {step_name}
    world.save_flow(replace(flow, done=(*flow.done, step_name), skipped=skipped), now=now)
    return [flow_webhook_event("flow.updated", flow.id)] if unknowns.skip_sends_webhook else []


def _require_step(flow: Flow, step_name: str) -> str:
    """Check that the step can be done now. Returns the flow's user."""
    if flow.user_id is None:
        raise conflict("The flow has no user yet")
    if flow.step_named(step_name) is None:
        raise invalid_input("The flow has no such step")
    if step_name in flow.done:
        raise conflict("The step is already done")
    return flow.user_id


def _verify(world: World, user_id: str) -> list[WebhookEvent]:
    """Mark an unverified user as verified: the one-time code verifies a user."""
    user = world.user(user_id)
    if user.status != "unverified":
        return []
    world.save_user(replace(user, status="verified"))
    return [user_webhook_event("user.updated", user_id)]


def _after_effects(
    world: World, user_id: str, step_name: str, outcome: str | None, *, unknowns: Unknowns, now: datetime
) -> list[WebhookEvent]:
    """Apply the effects of a finished step on the user."""
    user = world.user(user_id)
    if step_name == "background-check":
        check = verdict.background_check(outcome or "cleared", unknowns=unknowns, now=now)
        world.save_user(replace(user, background_check=check))
        return [user_webhook_event("user.updated.background_check", user_id)]
    if step_name == "id-verification":
        if (outcome or "verified") not in ID_OUTCOMES:
            raise invalid_input(f"outcome: must be one of {', '.join(ID_OUTCOMES)}")
        if outcome == "failed":
            return []
        world.save_user(replace(user, id_verified=True))
        return [user_webhook_event(unknowns.id_verified_event, user_id)]
    event = _FURTHER_EVENTS.get(step_name)
    return [user_webhook_event(event, user_id)] if event else []
