"""Events about a user name the flows they concern."""

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
    """A flow of this user is made, later than those of smaller numbers, and known with a reference."""
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
    """Dots says this of the user, and is asked."""
    dots.add_user(**compliance)
    await make_due(inputs, user())
    await refresh_due(inputs, limit=10)


async def named(inputs: AllInputs, kind: str) -> list[dict[str, Any]]:
    """The flows that the event of this type names."""
    event = await stored.row(inputs.engine, "SELECT data FROM events WHERE type = :type", type=kind)
    return list(event["data"]["flows"])


def name(number: int) -> dict[str, str]:
    """The flow of this number, as an event names it."""
    return {"flow_id": flow_id_of(number), "reference": f"payee-{number}"}


async def test_an_event_names_the_flows_with_its_step(inputs: AllInputs, dots: MemoryDots) -> None:
    """Newest first, and no flow of another step or another user."""
    await follow(inputs, dots, 1, "background-check", "payout")
    await follow(inputs, dots, 2, "id-verification")
    await follow(inputs, dots, 3, "compliance", "background-check")
    await follow(inputs, dots, 4, "background-check", user_id=OTHER)
    await settle(inputs, dots, id_verified=True, background_check={"status": "failed"}, has_criminal_activity=True)

    assert await named(inputs, "dots.background_check.flagged") == [name(3), name(1)]
    assert await named(inputs, "dots.user.id_verified") == [name(2)]


@pytest.mark.parametrize(
    ("check", "kind"),
    [
        ({"background_check": {"status": "pass"}, "has_criminal_activity": False}, "dots.background_check.cleared"),
        ({"background_check": {"status": "consider"}}, "dots.background_check.needs_review"),
    ],
)
async def test_every_event_of_a_check_names_its_flow(
    inputs: AllInputs, dots: MemoryDots, *, check: dict[str, Any], kind: str
) -> None:
    """A consumer needs no second call, whatever the check has come to."""
    await follow(inputs, dots, 1, "background-check")
    await settle(inputs, dots, **check)

    assert await named(inputs, kind) == [name(1)]


async def test_without_a_flow_of_its_step_an_event_names_all_of_the_user(inputs: AllInputs, dots: MemoryDots) -> None:
    """Dots checks identities on other occasions too, and the caller knows the payee by any of their flows."""
    await follow(inputs, dots, 1, "payout")
    await follow(inputs, dots, 2, "compliance")
    await settle(inputs, dots, id_verified=True)

    assert await named(inputs, "dots.user.id_verified") == [name(2), name(1)]


async def test_an_event_of_a_user_without_flows_names_none(inputs: AllInputs, dots: MemoryDots) -> None:
    """The list is there all the same."""
    await settle(inputs, dots, id_verified=True)

    assert await named(inputs, "dots.user.id_verified") == []


async def test_an_event_names_a_bounded_number_of_flows(
    inputs: AllInputs, dots: MemoryDots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest ones."""
    monkeypatch.setattr(apply_snapshot, "FLOWS_NAMED", 2)
    for number in (1, 2, 3):
        await follow(inputs, dots, number, "background-check")
    await settle(inputs, dots, background_check={"status": "pass"}, has_criminal_activity=False)

    assert await named(inputs, "dots.background_check.cleared") == [name(3), name(2)]
