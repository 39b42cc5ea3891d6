"""Events about a user list the flows that they concern."""

from typing import Any

import pytest

from app.flows import apply_snapshot
from app.flows.refresh_due import refresh_due
from tests.all_inputs import AllInputs
from tests.dots.fake_dots import NOW, USER
from tests.dots.memory_dots import MemoryDots, flow_id_of
from tests.flows.due import flow, make_due, user
from tests.storage import stored

OTHER = "00000000-0000-4000-8000-00000000000b"


async def follow(inputs: AllInputs, dots: MemoryDots, number: int, *steps: str, user_id: str = USER) -> None:
    """Store a flow of this user with a reference. Flows with greater numbers are newer."""
    dots.add_flow(number, steps=list(steps), user_id=user_id, created=NOW.replace(minute=number).isoformat())
    await make_due(inputs, flow(flow_id_of(number)))
    await refresh_due(inputs, limit=10)
    await stored.execute(
        inputs.engine,
        "UPDATE flows SET reference = :reference WHERE id = :id",
        reference=f"payee-{number}",
        id=flow_id_of(number),
    )


async def settle(inputs: AllInputs, dots: MemoryDots, **compliance: Any) -> None:
    """Refresh the user with this answer of Dots."""
    dots.add_user(**compliance)
    await make_due(inputs, user())
    await refresh_due(inputs, limit=10)


async def named(inputs: AllInputs, kind: str) -> list[dict[str, Any]]:
    """Return the flows that the event of this type lists."""
    event = await stored.row(inputs.engine, "SELECT data FROM events WHERE type = :type", type=kind)
    return list(event["data"]["flows"])


def name(number: int) -> dict[str, str]:
    """Return the flow of this number as events list it."""
    return {"flow_id": flow_id_of(number), "reference": f"payee-{number}"}


async def test_an_event_names_the_flows_with_its_step(inputs: AllInputs, dots: MemoryDots) -> None:
    """The event lists flows of its step and user, newest first."""
    await follow(inputs, dots, 1, "background-check", "payout")
    await follow(inputs, dots, 2, "id-verification")
    await follow(inputs, dots, 3, "compliance", "background-check")
    await follow(inputs, dots, 4, "background-check", user_id=OTHER)
    await settle(inputs, dots, id_verified=True, background_check={"status": "failed"}, has_criminal_activity=True)

    assert await named(inputs, "dots.background_check.flagged") == [name(3), name(1)]
    assert await named(inputs, "dots.user.id_verified") == [name(2)]


async def test_event_without_a_flow_of_its_step_lists_the_users_flows(inputs: AllInputs, dots: MemoryDots) -> None:
    """Dots may verify an identity outside of such a step, so the event lists all flows of the user."""
    await follow(inputs, dots, 1, "payout")
    await follow(inputs, dots, 2, "compliance")
    await settle(inputs, dots, id_verified=True)

    assert await named(inputs, "dots.user.id_verified") == [name(2), name(1)]


async def test_an_event_names_a_bounded_number_of_flows(
    inputs: AllInputs, dots: MemoryDots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event lists the newest flows, up to the limit."""
    monkeypatch.setattr(apply_snapshot, "FLOWS_NAMED", 2)
    for number in (1, 2, 3):
        await follow(inputs, dots, number, "background-check")
    await settle(inputs, dots, background_check={"status": "pass"}, has_criminal_activity=False)

    assert await named(inputs, "dots.background_check.cleared") == [name(3), name(2)]
