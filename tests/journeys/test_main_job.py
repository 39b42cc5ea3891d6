"""Flows from the creation to the last event, with unreliable webhooks and without webhooks."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from tests.journeys import expected_events
from tests.stack import database
from tests.stack.gateway import Event, Feed, Gateway, timeline
from tests.stack.processes import Stack, running_stack

SEED = 20261123
FLOWS = 30
STEPS = (
    "compliance",
    "id-verification",
    "background-check",
    "manage-payments",
    "manage-payouts",
    "payout",
    {"name": "pdf-form-fill", "template_id": "contract"},
    "a-step-of-next-year",
    {"name": "redirect", "redirect_url": "https://example.com/thanks"},
)
EVERY_SECOND = ",".join(str(age) for age in range(1, 121))
BAD_DELIVERY = {"duplicate": 0.4, "drop": 0.3, "shuffle_seconds": 1.0}


async def test_unreliable_webhooks_do_not_change_state_or_events(database_url: str) -> None:
    """With duplicate, shuffled and lost webhooks, two apis and two workers, state and events match Dots' state."""
    print(f"seed {SEED}")  # noqa: T201  # pytest prints it if the test fails
    settings = {"SWEEP_SECONDS": EVERY_SECOND, "VERDICT_POLL_SECONDS": EVERY_SECOND}
    async with running_stack(database_url, apis=2, workers=2, **settings) as stack:
        await stack.dots.turn(seed=SEED, webhooks=BAD_DELIVERY)
        feed, total = Feed(stack.gateway, page=7), asyncio.get_running_loop().create_future()
        following = asyncio.create_task(
            feed.until(lambda read: total.done() and len(read) >= total.result(), within=60)
        )
        flows = await asyncio.gather(*(play(stack, number) for number in range(FLOWS)))
        state = await stack.dots.ask("state")
        expected = expected_events.timelines(state, claimed={flow["id"] for flow in flows if flow["user_id"] is None})
        total.set_result(sum(map(len, expected.values())))

        await following
        await stack.dots.all_sent()
        await database.all_handled(database_url)
        await feed.read_on()

        assert reported(feed.events) == expected
        assert await seen_by_callers(stack, state) == seen_by_dots(state)
        assert_numbered(feed.events)
        assert await positions(stack) == list(range(1, len(feed.events) + 1))
        assert await read_in_random_pages(stack.gateways[1]) == feed.events
        assert {attempt["status"] for attempt in await stack.dots.attempts()} == {204}


async def test_sweeps_replace_lost_webhooks(database_url: str) -> None:
    """All webhooks of a flow are lost, and sweeps find its steps and its verdict."""
    async with running_stack(database_url, SWEEP_SECONDS=EVERY_SECOND, VERDICT_POLL_SECONDS=EVERY_SECOND) as stack:
        await stack.dots.turn(webhooks={"drop": 1.0})
        flow = await stack.gateway.create("compliance", "background-check")
        await stack.dots.walk(flow, verdict="flagged")

        events = await Feed(stack.gateway).until(
            lambda events: any(event["type"] == "dots.background_check.flagged" for event in events)
        )

        steps = (await stack.gateway.read(f"/v1/flows/{flow['id']}"))["steps"]
        assert [(step["name"], step["discovered_by"]) for step in steps] == [
            ("compliance", "sweep"),
            ("background-check", "sweep"),
        ]
        assert timeline(events, f"flow/{flow['id']}")[-1] == "flow.completed"
        assert await database.column(database_url, "SELECT count(*) FROM webhooks") == [0]


async def play(stack: Stack, number: int) -> dict[str, Any]:
    """Create one flow and complete its steps, all chosen at random; the flow after its creation."""
    choice = random.Random(f"{SEED} {number}")
    steps = choice.sample(STEPS, choice.randint(1, len(STEPS)))
    user_id = await stack.dots.add_user() if choice.random() < 0.5 else None
    flow = await stack.gateways[number % 2].create(*steps, user_id=user_id, reference=f"payee-{number}")
    first, later = choice.choice([("cleared", None), ("flagged", None), ("pending", "cleared"), ("pending", "flagged")])
    # One flow in four is abandoned.
    await stack.dots.walk(flow, verdict=first, steps=choice.randrange(len(steps)) if choice.random() < 0.25 else None)
    if later is not None:
        await settle_later(stack, flow["id"], later)
    return flow


async def settle_later(stack: Stack, flow_id: str, verdict: str) -> None:
    """Set the verdict of the flow's user if it is pending."""
    state = await stack.dots.ask("state")
    user_id = next(flow["user_id"] for flow in state["flows"] if flow["id"] == flow_id)
    if any(user["id"] == user_id and expected_events.verdict(user) == "pending" for user in state["users"]):
        await stack.dots.tell(f"users/{user_id}/verdict", {"status": verdict})


def reported(events: Sequence[Event]) -> dict[str, list[str]]:
    """The events of each subject: those of a flow in order, those of a user sorted."""
    subjects = {event["subject"] for event in events}
    lines = {subject: timeline(events, subject) for subject in subjects}
    return {subject: sorted(each) if subject.startswith("user/") else each for subject, each in lines.items()}


async def seen_by_callers(stack: Stack, state: dict[str, Any]) -> dict[str, Any]:
    """The state of flows and the verdicts in the gateway; `none` for unknown users."""
    seen: dict[str, Any] = {}
    for flow in state["flows"]:
        found = await stack.gateway.read(f"/v1/flows/{flow['id']}")
        completed = {step["name"] for step in found["steps"] if step["state"] == "completed"}
        names = [step["name"] for step in found["steps"]]
        seen[flow["id"]] = (names, completed, found["user_id"], found["status"])
    for user in state["users"]:
        answer = await stack.gateway.get(f"/v1/users/{user['id']}")
        seen[user["id"]] = "none" if answer.status_code == 404 else answer.json()["background_check"]["verdict"]
    return seen


def seen_by_dots(state: dict[str, Any]) -> dict[str, Any]:
    """The same in the simulator."""
    seen: dict[str, Any] = {user["id"]: expected_events.verdict(user) for user in state["users"]}
    for flow in state["flows"]:
        status = "completed" if expected_events.is_complete(flow) else "open"
        seen[flow["id"]] = (flow["steps"], set(flow["completed_steps"]), flow["user_id"], status)
    return seen


def assert_numbered(events: Sequence[Event]) -> None:
    """Check that no event is repeated and that `sequence` counts each subject's events from 1."""
    assert len({event["id"] for event in events}) == len(events)
    for subject in {event["subject"] for event in events}:
        numbers = [int(event["sequence"]) for event in events if event["subject"] == subject]
        assert numbers == list(range(1, len(numbers) + 1)), subject


async def positions(stack: Stack) -> list[int]:
    """The positions of all events, in order."""
    return await database.column(stack.database_url, "SELECT position FROM events ORDER BY position")


async def read_in_random_pages(gateway: Gateway) -> list[Event]:
    """Read the whole feed in pages of 1 to 9 events."""
    sizes = random.Random(SEED)
    feed = Feed(gateway)
    while await feed.read_on(limit=sizes.randint(1, 9)):
        pass
    return feed.events
