"""List, get and redeliver deliveries over HTTP."""

from typing import Any

import httpx
import pytest

from app import cursors
from tests.all_inputs import AllInputs
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.subscriptions import subscriber
from tests.subscriptions.over_http import make, path_of
from tests.subscriptions.subscriber import Subscriber
from tests.subscriptions.subscribing import deliver, sequence
from tests.surroundings import KeyWith

NOON = "2026-11-23T12:00:00Z"
STEPS = step_events(3)
UNKNOWN = "00000000-0000-4000-8000-000000000002"


@pytest.fixture
async def admin(stranger: httpx.AsyncClient, key_with: KeyWith) -> httpx.AsyncClient:
    """A client whose key may only administer subscriptions."""
    stranger.headers.update(await key_with("subscriptions:admin", name="orders"))
    return stranger


async def steps_arrive(inputs: AllInputs, count: int) -> None:
    """Append, number and deliver `count` completed steps of one flow."""
    await feeding.append(inputs.engine, STEPS[:count])
    await sequence(inputs)
    await deliver(inputs)


def refusing_the_second(shop: Subscriber) -> None:
    """Make the subscriber answer 500 to the second event of each flow."""
    shop.answer = lambda received: (500 if received.about[1] == 2 else 204, {})


async def listed(admin: httpx.AsyncClient, made: dict[str, Any], **query: str) -> list[tuple[str, str]]:
    """The events and states of the deliveries found."""
    answer = await admin.get(path_of(made, "deliveries"), params=query)
    assert answer.status_code == 200, answer.text
    return [(each["event_id"], each["state"]) for each in answer.json()["deliveries"]]


async def test_deliveries_are_listed_by_state(admin: httpx.AsyncClient, inputs: AllInputs) -> None:
    """Latest events come first. A failed delivery keeps later events of its flow pending."""
    async with subscriber.listening() as shop:
        refusing_the_second(shop)
        made = await make(admin, url=shop.url)
        await steps_arrive(inputs, 3)

    first, second, third = (str(event.id) for event in STEPS)
    assert await listed(admin, made) == [(third, "pending"), (second, "pending"), (first, "delivered")]
    assert await listed(admin, made, state="pending") == [(third, "pending"), (second, "pending")]
    assert await listed(admin, made, state="dead") == []


async def test_one_delivery_is_shown_with_its_attempts(admin: httpx.AsyncClient, inputs: AllInputs) -> None:
    """An attempt has its time, status, error and duration."""
    async with subscriber.listening() as shop:
        refusing_the_second(shop)
        made = await make(admin, url=shop.url)
        await steps_arrive(inputs, 2)

    timeline = (await admin.get(path_of(made, "deliveries", str(STEPS[1].id)))).json()
    (attempt,) = timeline["attempts"]
    assert timeline["delivery"] == {
        "event_id": str(STEPS[1].id),
        "type": "dots.flow.step_completed",
        "app": "default",
        "subject": "flow/flow-1",
        "state": "pending",
        "failed_attempts": 1,
        "created_at": NOON,
        "settled_at": None,
        "last_error": "status_500",
    }
    assert {**attempt, "took_ms": 0} == {
        "attempted_at": NOON,
        "status": 500,
        "error": "status_500",
        "took_ms": 0,
    }


async def test_pages_hold_every_delivery_once(admin: httpx.AsyncClient, inputs: AllInputs) -> None:
    """Reads pages of two with their cursors."""
    made = await make(admin)
    await feeding.append(inputs.engine, step_events(5))
    await sequence(inputs)
    pages = []
    query = {"limit": "2"}
    while True:
        page = (await admin.get(path_of(made, "deliveries"), params=query)).json()
        pages.append([each["event_id"] for each in page["deliveries"]])
        if not page["has_more"]:
            break
        query["after"] = page["next_cursor"]

    ids = [str(event.id) for event in step_events(5)]
    assert pages == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]
    assert page["next_cursor"] is None


async def test_one_event_is_redelivered(admin: httpx.AsyncClient, inputs: AllInputs) -> None:
    """The answer shows the delivery as pending, and then it is sent again."""
    async with subscriber.listening() as shop:
        made = await make(admin, url=shop.url)
        await steps_arrive(inputs, 2)
        answer = await admin.post(path_of(made, "deliveries", str(STEPS[0].id), "redeliver"))
        await deliver(inputs)

    assert (answer.status_code, answer.json()["delivery"]["state"]) == (200, "pending")
    assert [received.about[1] for received in shop.received] == [1, 2, 1]


async def test_redelivery_is_a_dry_run_by_default(admin: httpx.AsyncClient, inputs: AllInputs) -> None:
    """A dry run counts and sends nothing. A redelivery includes events from before the subscription."""
    await feeding.feed(inputs.engine, step_events(1, flow_id="flow-0"))
    async with subscriber.listening() as shop:
        made = await make(admin, url=shop.url)
        await steps_arrive(inputs, 2)
        dry = (await admin.post(path_of(made, "redeliver"), json={"since": NOON})).json()
        await deliver(inputs)
        sent_by_dry_run = len(shop.received) - 2
        done = (await admin.post(path_of(made, "redeliver"), json={"since": NOON, "dry_run": False})).json()
        await deliver(inputs)

    assert dry == {"again": 2, "fresh": 1, "subjects": 2, "dry_run": True, "next_cursor": None}
    assert done == {"again": 2, "fresh": 1, "subjects": 2, "dry_run": False, "next_cursor": None}
    assert (sent_by_dry_run, len(shop.received)) == (0, 5)


async def test_redelivery_selects_types(admin: httpx.AsyncClient, inputs: AllInputs) -> None:
    """Types are patterns. They never select more than the subscription's own types."""
    await feeding.feed(inputs.engine, STEPS)
    made = await make(admin, types=["dots.flow.*"])

    counts = [
        (await admin.post(path_of(made, "redeliver"), json={"since": NOON, "types": types})).json()["fresh"]
        for types in (["dots.flow.step*", "dots.user.*"], ["dots.flow.completed"], ["dots.user.*"])
    ]

    assert counts == [3, 0, 0]


async def test_long_redelivery_continues_with_its_cursor(
    admin: httpx.AsyncClient, inputs: AllInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call returns a cursor for the next. The last cursor is null."""
    monkeypatch.setattr("app.subscriptions.redeliver.BATCH", 2)
    monkeypatch.setattr("app.subscriptions.redeliver.CALL_LIMIT", 2)
    await feeding.feed(inputs.engine, STEPS)
    made = await make(admin)
    first = (await admin.post(path_of(made, "redeliver"), json={"since": NOON, "dry_run": False})).json()
    body = {"since": NOON, "dry_run": False, "after": first["next_cursor"]}

    second = (await admin.post(path_of(made, "redeliver"), json=body)).json()

    assert (first["fresh"], second["fresh"], second["next_cursor"]) == (2, 1, None)


INVALID: list[tuple[str, str, dict[str, object] | None, int, str]] = [
    ("GET", f"deliveries/{UNKNOWN}", None, 404, "delivery_not_found"),
    ("POST", f"deliveries/{UNKNOWN}/redeliver", None, 404, "delivery_not_found"),
    ("GET", "deliveries/flow-1", None, 422, "invalid_fields"),
    ("GET", "deliveries?state=lost", None, 422, "invalid_fields"),
    ("GET", "deliveries?after=junk", None, 422, "invalid_cursor"),
    # A cursor of another list.
    ("GET", f"deliveries?after={cursors.by_position('redelivery').write(7)}", None, 422, "invalid_cursor"),
    ("POST", "redeliver", {}, 422, "invalid_fields"),
    ("POST", "redeliver", {"since": "2026-11-23T12:00:00"}, 422, "invalid_fields"),
    ("POST", "redeliver", {"since": NOON, "types": ["dots.flow.finished"]}, 422, "invalid_fields"),
    ("POST", "redeliver", {"since": NOON, "types": []}, 422, "invalid_fields"),
    ("POST", "redeliver", {"since": NOON, "after": "junk"}, 422, "invalid_cursor"),
    (
        "POST",
        "redeliver",
        {"since": NOON, "after": cursors.by_position("deliveries").write(7)},
        422,
        "invalid_cursor",
    ),
    # A misspelt filter must not become a redelivery of everything.
    ("POST", "redeliver", {"since": NOON, "untl": NOON, "dry_run": False}, 422, "invalid_fields"),
]


async def test_invalid_request_is_a_problem(admin: httpx.AsyncClient) -> None:
    """Invalid requests get a problem document with a code."""
    made = await make(admin)
    found = []
    for method, path, body, _, _ in INVALID:
        answer = await admin.request(method, path_of(made, path), json=body)
        found.append((method, path, body, answer.status_code, answer.json()["code"]))

    assert found == INVALID
