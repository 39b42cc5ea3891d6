"""Create, onboarding, each step, events: with webhooks as bad as they come, and without any at all."""

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


async def test_bad_delivery_changes_nothing_of_what_is_told(database_url: str) -> None:
    """Webhooks doubled, shuffled and partly dropped, two apis, two workers: state and events are those of Dots."""
    print(f"seed {SEED}")  # noqa: T201  # pytest shows it with a failure
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


async def test_sweeps_find_what_no_webhook_has_told(database_url: str) -> None:
    """All webhooks of a flow are lost: its steps and its verdict are found all the same, by sweeps."""
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
    """One payee's whole story, thrown by dice of its own; the flow as it was created."""
    dice = random.Random(f"{SEED} {number}")
    steps = dice.sample(STEPS, dice.randint(1, len(STEPS)))
    user_id = await stack.dots.add_user() if dice.random() < 0.5 else None
    flow = await stack.gateways[number % 2].create(*steps, user_id=user_id, reference=f"payee-{number}")
    first, later = dice.choice([("cleared", None), ("flagged", None), ("pending", "cleared"), ("pending", "flagged")])
    # One in four is left half-way.
    await stack.dots.walk(flow, verdict=first, steps=dice.randrange(len(steps)) if dice.random() < 0.25 else None)
    if later is not None:
        await settle_later(stack, flow["id"], later)
    return flow


async def settle_later(stack: Stack, flow_id: str, verdict: str) -> None:
    """Let the check of a flow's user end, if one is pending."""
    state = await stack.dots.ask("state")
    user_id = next(flow["user_id"] for flow in state["flows"] if flow["id"] == flow_id)
    if any(user["id"] == user_id and expected_events.verdict(user) == "pending" for user in state["users"]):
        await stack.dots.tell(f"users/{user_id}/verdict", {"status": verdict})


def reported(events: Sequence[Event]) -> dict[str, list[str]]:
    """What was told of each subject: of a flow in its order, of a user in any."""
    subjects = {event["subject"] for event in events}
    lines = {subject: timeline(events, subject) for subject in subjects}
    return {subject: sorted(each) if subject.startswith("user/") else each for subject, each in lines.items()}


async def seen_by_callers(stack: Stack, state: dict[str, Any]) -> dict[str, Any]:
    """Flows and verdicts as the gateway tells them; of a user it never had to know, `none`."""
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
    """The same, as the simulator knows it."""
    seen: dict[str, Any] = {user["id"]: expected_events.verdict(user) for user in state["users"]}
    for flow in state["flows"]:
        status = "completed" if expected_events.is_complete(flow) else "open"
        seen[flow["id"]] = (flow["steps"], set(flow["completed_steps"]), flow["user_id"], status)
    return seen


def assert_numbered(events: Sequence[Event]) -> None:
    """No event twice, and the events of each subject count 1, 2, 3, … as they stand in the feed."""
    assert len({event["id"] for event in events}) == len(events)
    for subject in {event["subject"] for event in events}:
        numbers = [int(event["sequence"]) for event in events if event["subject"] == subject]
        assert numbers == list(range(1, len(numbers) + 1)), subject


async def positions(stack: Stack) -> list[int]:
    """The places in the feed that events have been given."""
    return await database.column(stack.database_url, "SELECT position FROM events ORDER BY position")


async def read_in_random_pages(gateway: Gateway) -> list[Event]:
    """The whole feed again, at another api, in pages of 1 to 9."""
    dice = random.Random(SEED)
    feed = Feed(gateway)
    while await feed.read_on(limit=dice.randint(1, 9)):
        pass
    return feed.events
