"""Payees who walk through flows, and what subscribers and brokers have got of it."""

from collections.abc import Sequence
from typing import Any

from tests.stack.processes import Stack
from tests.stack.waiting import eventually
from tests.subscriptions.subscriber import Received, Subscriber

FLOWS = 3
# Of each flow: created, claimed, two steps, completed.
EVENTS = FLOWS * 5


def first_arrivals(received: Sequence[Received]) -> list[dict[str, Any]]:
    """Each event once, when it came first."""
    return list({each.event["id"]: each.event for each in reversed(received)}.values())[::-1]


def by_subject(events: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """The ids of each subject's events, in their order."""
    found: dict[str, list[str]] = {}
    for event in events:
        found.setdefault(event["subject"], []).append(event["id"])
    return found


async def has(shop: Subscriber, count: int) -> None:
    """Wait until so many different events have come."""

    async def is_so() -> bool:
        return len({each.headers["webhook-id"] for each in shop.received}) >= count

    await eventually(is_so)


async def walk(stack: Stack) -> None:
    """Several payees through a flow each."""
    for _ in range(FLOWS):
        flow = await stack.gateway.create("compliance", "payout")
        await stack.dots.onboard(flow["id"])
        await stack.dots.do(flow["id"], "compliance")
        await stack.dots.do(flow["id"], "payout")
