"""Creates a flow from a checked request."""

from datetime import datetime

from simulator.errors import invalid_input
from simulator.knobs import Unknowns
from simulator.world.apps import SIMULATED_APP_ID
from simulator.world.flow import Flow, Step
from simulator.world.flow_request import FlowRequest
from simulator.world.world import World


def create(
    world: World,
    request: FlowRequest,
    *,
    unknowns: Unknowns,
    now: datetime,
    api_app_id: str = SIMULATED_APP_ID,
    payout_link_id: str | None = None,
) -> Flow:
    """Create a flow. A repeated request creates a second one: Dots has no idempotency key for flows.

    Raises:
        RefusalError: the request's user does not exist or belongs to another app.
    """
    if request.user_id is not None:
        user = world.users.get(request.user_id)
        is_foreign = user is not None and user.api_app_id != api_app_id
        if is_foreign or (user is None and unknowns.unknown_user == "refused"):
            raise invalid_input("user_id: no such user")
        if user is None:
            world.invent_user(status="unverified", now=now, user_id=request.user_id, api_app_id=api_app_id)
    flow = Flow(
        id=world.new_id(),
        created_at=now,
        updated_at=now,
        steps=_with_added_compliance(request.steps, unknowns),
        user_id=request.user_id,
        require_auth=request.require_auth,
        hides_dashboard=request.hides_dashboard,
        metadata=request.metadata,
        payout_link_id=payout_link_id,
        api_app_id=api_app_id,
    )
    return world.save_flow(flow, now=now)


def _with_added_compliance(steps: tuple[Step, ...], unknowns: Unknowns) -> tuple[Step, ...]:
    """Add `compliance` as the first step if the knob says so. Dots does this where tax law requires it."""
    is_requested = any(step.name == "compliance" for step in steps)
    if unknowns.added_compliance == "never" or is_requested:
        return steps
    return (Step(name="compliance", listed=unknowns.added_compliance == "listed"), *steps)
