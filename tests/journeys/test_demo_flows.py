"""Five payees and all kinds of steps produce exactly the expected events."""

import asyncio

from tests.stack.gateway import Feed, timeline
from tests.stack.processes import Stack, running_stack

FORM = {"name": "pdf-form-fill", "template_id": "contract"}
REDIRECT = {"name": "redirect", "redirect_url": "https://example.com/thanks"}


async def test_each_flow_has_exactly_its_own_events(database_url: str) -> None:
    """Flows without a user, with a flagged and a cleared check, with a redirect, and one that is abandoned."""
    async with running_stack(database_url) as stack:
        users = [await stack.dots.add_user() for _ in range(4)]
        ids = await asyncio.gather(
            walk(stack, "compliance", {"name": "manage-payouts", "hide_continue_button": True}),
            walk(stack, "id-verification", "background-check", user_id=users[0], verdict="flagged"),
            walk(stack, "background-check", "payout", FORM, user_id=users[1], verdict="cleared"),
            walk(stack, "manage-payments", REDIRECT, user_id=users[2]),
            walk(stack, "compliance", "id-verification", "payout", user_id=users[3], steps_done=1),
        )
        expected = {f"flow/{flow_id}": reported for flow_id, reported in zip(ids, FLOW_TIMELINES, strict=True)}
        expected |= {
            f"user/{user_id}": reported for user_id, reported in zip(users, USER_TIMELINES, strict=True) if reported
        }
        total = sum(map(len, expected.values()))

        events = await Feed(stack.gateway).until(lambda read: len(read) >= total)

        assert {subject: timeline(events, subject) for subject in expected} == expected
        assert len(events) == total
        assert {event["subject"] for event in events} == set(expected)
        assert [await state_of(stack, flow_id) for flow_id in ids] == ["completed"] * 4 + ["open"]


FLOW_TIMELINES = [
    [
        "flow.created",
        "flow.claimed",
        "flow.step_completed compliance",
        "flow.step_completed manage-payouts",
        "flow.completed",
    ],
    [
        "flow.created",
        "flow.step_completed id-verification",
        "flow.step_completed background-check",
        "flow.completed",
    ],
    [
        "flow.created",
        "flow.step_completed background-check",
        "flow.step_completed payout",
        "flow.step_completed pdf-form-fill",
        "flow.completed",
    ],
    ["flow.created", "flow.step_completed manage-payments", "flow.completed"],
    ["flow.created", "flow.step_completed compliance"],
]

USER_TIMELINES = [["user.id_verified", "background_check.flagged"], ["background_check.cleared"], [], []]


async def walk(
    stack: Stack, *steps: object, user_id: str | None = None, verdict: str = "cleared", steps_done: int | None = None
) -> str:
    """Create a flow over HTTP and complete its steps, or the first `steps_done`; the flow's id."""
    flow = await stack.gateway.create(*steps, user_id=user_id)
    await stack.dots.walk(flow, verdict=verdict, steps=steps_done)
    return str(flow["id"])


async def state_of(stack: Stack, flow_id: str) -> str:
    """The status of a flow that a caller reads."""
    return str((await stack.gateway.read(f"/v1/flows/{flow_id}"))["status"])
