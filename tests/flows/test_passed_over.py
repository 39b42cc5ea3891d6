"""Flows with steps that were passed over."""

from dataclasses import replace

from app.flows.refresh_due import refresh_due
from app.upkeep import check_health
from tests.all_inputs import AllInputs
from tests.dots.memory_dots import MemoryDots, flow_id_of
from tests.flows.due import (
    event_types,
    flow,
    make_due,
    sync_row,
)
from tests.storage import stored

FLOW = flow(flow_id_of(1))
STEPS = ["compliance", "manage-payouts", "payout", "redirect"]


async def refresh_with(inputs: AllInputs, dots: MemoryDots, *completed_steps: str) -> None:
    """Refresh the flow with these completed steps."""
    dots.add_flow(1, steps=STEPS, completed_steps=list(completed_steps))
    await make_due(inputs, FLOW)
    await refresh_due(inputs, limit=1)


async def test_a_flow_with_a_passed_over_step_stays_open(inputs: AllInputs, dots: MemoryDots) -> None:
    """The flow is refreshed again later, and the metric counts it."""
    await refresh_with(inputs, dots, "compliance", "payout")
    await check_health.measure(inputs)

    counted = inputs.telemetry.registry.get_sample_value("dots_gateway_passed_over_flows")
    assert await stored.row(inputs.engine, "SELECT status FROM flows") == {"status": "open"}
    assert "dots.flow.completed" not in await event_types(inputs)
    assert (await sync_row(inputs, FLOW))["due_at"] is not None
    assert counted == 1


async def test_the_setting_lets_it_complete_and_the_event_names_the_step(inputs: AllInputs, dots: MemoryDots) -> None:
    """With the setting, a flow that waited for the step completes at the next refresh, once."""
    await refresh_with(inputs, dots, "compliance", "payout")
    permissive = replace(inputs, complete_passed_over=True)
    for _ in range(2):
        await refresh_with(permissive, dots, "compliance", "payout")
    await check_health.measure(inputs)

    completed = await stored.row(inputs.engine, "SELECT data FROM events WHERE type = 'dots.flow.completed'")
    assert completed["data"]["passed_over"] == ["manage-payouts"]
    assert await stored.row(inputs.engine, "SELECT status FROM flows") == {"status": "completed"}
    assert inputs.telemetry.registry.get_sample_value("dots_gateway_passed_over_flows") == 0
