import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from app import cursors
from tests.all_inputs import HandClock
from tests.dots.fake_dots import NOW, USER
from tests.dots.memory_dots import MemoryDots
from tests.flows.creating_over_http import create


async def listed(client: httpx.AsyncClient, **query: Any) -> list[str | None]:
    """Return the references of the listed flows, in order."""
    answer = await client.get("/v1/flows", params=query)
    assert answer.status_code == 200, answer.text
    return [flow["reference"] for flow in answer.json()["flows"]]


async def test_flow_reads_as_it_was_created(client: httpx.AsyncClient) -> None:
    """GET gives the same answer as POST, with the id in any spelling."""
    created = await create(client, reference="payee-17")

    answers = [await client.get(f"/v1/flows/{flow_id}") for flow_id in (created["id"], created["id"].upper())]

    assert [answer.json() for answer in answers] == [created, created]


async def test_unknown_flow_is_404(client: httpx.AsyncClient) -> None:
    """An unknown or malformed id is not found."""
    answers = [
        await client.request(method, f"/v1/flows/{flow_id}{suffix}")
        for flow_id in (USER, "no%20id", "%F0%9F%8C%99", "x" * 300)
        for method, suffix in (("GET", ""), ("GET", "/timeline"), ("POST", "/refresh"))
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "flow_not_found")}


async def states(client: httpx.AsyncClient, dots: MemoryDots, *completed_steps: str) -> dict[str, str]:
    """Return the states of a flow and its steps after Dots reports these steps."""
    redirect = {"name": "redirect", "redirect_url": "https://shop.example.com/thanks"}
    flow = await create(client, steps=["compliance", "payout", redirect])
    dots.flows[flow["id"]]["completed_steps"] = list(completed_steps)
    await client.post(f"/v1/flows/{flow['id']}/refresh")
    answer = (await client.get(f"/v1/flows/{flow['id']}")).json()
    return {"flow": answer["status"], **{step["name"]: step["state"] for step in answer["steps"]}}


async def test_a_completed_flow_waits_for_no_redirect(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """Dots may never report a redirect, so a completed flow shows it as `not_awaited`."""
    before = await states(client, dots, "compliance")
    after = await states(client, dots, "compliance", "payout")

    assert before == {"flow": "open", "compliance": "completed", "payout": "pending", "redirect": "pending"}
    assert after == {"flow": "completed", "compliance": "completed", "payout": "completed", "redirect": "not_awaited"}


async def test_a_step_before_one_that_is_done_is_passed_over(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """Dots may have skipped it. The flow shows it as `passed_over` and stays open."""
    found = await states(client, dots, "payout")

    assert found == {"flow": "open", "compliance": "passed_over", "payout": "completed", "redirect": "pending"}


@pytest.fixture
async def three(client: httpx.AsyncClient, clock: HandClock, dots: MemoryDots) -> None:
    """Create flows a, b and c, a minute apart: a is completed, b has completed compliance, c is of another app."""
    first = await create(client, reference="a", user_id=USER)
    clock.advance(timedelta(minutes=1))
    second = await create(client, reference="b")
    clock.advance(timedelta(minutes=1))
    await create(client, reference="c", app="eu", steps=["payout"])
    dots.flows[first["id"]]["completed_steps"] = ["compliance", "payout"]
    dots.flows[second["id"]]["completed_steps"] = ["compliance"]
    for flow in (first, second):
        await client.post(f"/v1/flows/{flow['id']}/refresh")


FILTERS: list[tuple[dict[str, str], list[str]]] = [
    ({}, ["c", "b", "a"]),
    ({"reference": "b"}, ["b"]),
    ({"user_id": USER}, ["a"]),
    ({"status": "completed"}, ["a"]),
    ({"status": "open"}, ["c", "b"]),
    # Open flows in which this step is pending.
    ({"step": "compliance"}, []),
    ({"step": "payout"}, ["c", "b"]),
    ({"app": "eu"}, ["c"]),
    ({"app": "default", "status": "open"}, ["b"]),
    ({"created_from": "2026-11-23T12:01:00Z"}, ["c", "b"]),
    ({"created_from": "2026-11-23T13:01:00+01:00"}, ["c", "b"]),
    ({"created_before": "2026-11-23T12:01:00Z"}, ["a"]),
    ({"created_from": "2026-11-23T12:01:00Z", "created_before": "2026-11-23T12:02:00Z"}, ["b"]),
]


@pytest.mark.usefixtures("three")
async def test_filters_narrow(client: httpx.AsyncClient) -> None:
    """Each filter narrows the list, newest first. A range includes its start and excludes its end."""
    found = [(query, await listed(client, **query)) for query, _ in FILTERS]

    assert found == FILTERS


async def test_pages_together_are_everything_once(client: httpx.AsyncClient, clock: HandClock) -> None:
    """The pages contain each flow once, also flows of the same time."""
    for number in range(7):
        await create(client, reference=str(number))
        if number % 3 == 2:
            clock.advance(timedelta(seconds=1))
    whole = await listed(client, limit=100)
    by_limit = {limit: await pages(client, limit) for limit in (1, 3, 7)}

    assert sorted(reference or "" for reference in whole) == [str(number) for number in range(7)]
    assert {limit: [*itertools.chain(*found)] for limit, found in by_limit.items()} == dict.fromkeys(by_limit, whole)
    assert {limit: [len(page) for page in found] for limit, found in by_limit.items()} == {
        1: [1] * 7,
        3: [3, 3, 1],
        7: [7],
    }


async def pages(client: httpx.AsyncClient, limit: int) -> list[list[str]]:
    """Return the references on each page, following the cursor to the end."""
    found: list[list[str]] = []
    query: dict[str, Any] = {"limit": limit}
    while True:
        page = (await client.get("/v1/flows", params=query)).json()
        found.append([flow["reference"] for flow in page["flows"]])
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            return found
        query["after"] = page["next_cursor"]


# Invented cursors, and one of another list.
BAD_CURSORS = ["x", "é", cursors.by_time("subscriptions").write((NOW, UUID(int=1)))]


async def test_malformed_cursor_is_422(client: httpx.AsyncClient) -> None:
    """A foreign cursor is refused, without a 5xx."""
    answers = [await client.get("/v1/flows", params={"after": cursor}) for cursor in BAD_CURSORS]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(422, "invalid_cursor")}
