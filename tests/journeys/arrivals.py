"""Completes flows as payees, and compares the events that subscribers and brokers received."""

from collections.abc import Sequence
from typing import Any

from tests.stack.processes import Stack
from tests.stack.waiting import eventually
from tests.subscriptions.subscriber import Received, Subscriber

FLOWS = 3
# Of each flow: created, claimed, two steps, completed.
EVENTS = FLOWS * 5


def first_arrivals(received: Sequence[Received]) -> list[dict[str, Any]]:
    """Each event once, in the order of first arrival."""
    return list({each.event["id"]: each.event for each in reversed(received)}.values())[::-1]


def by_subject(events: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """The ids of each subject's events, in order."""
    found: dict[str, list[str]] = {}
    for event in events:
        found.setdefault(event["subject"], []).append(event["id"])
    return found


async def has(shop: Subscriber, count: int) -> None:
    """Wait until a subscriber has received `count` different events."""

    async def has_all() -> bool:
        return len({each.headers["webhook-id"] for each in shop.received}) >= count

    await eventually(has_all)


async def walk(stack: Stack) -> None:
    """Create FLOWS flows and complete each as its payee."""
    for _ in range(FLOWS):
        flow = await stack.gateway.create("compliance", "payout")
        await stack.dots.onboard(flow["id"])
        await stack.dots.do(flow["id"], "compliance")
        await stack.dots.do(flow["id"], "payout")
