from datetime import timedelta

import httpx

from app.feed.sequence_events import sequence_events
from app.flows.refresh_due import refresh_due
from app.subscriptions import delivery_rows
from tests.all_inputs import AllInputs, HandClock
from tests.dots.fake_dots import USER
from tests.dots.memory_dots import MemoryDots
from tests.flows.creating_over_http import create
from tests.subscriptions import subscriber
from tests.subscriptions.subscribing import deliver, sequence, subscribe
from tests.surroundings import KeyWith
from tests.webhooks.sending import PATH, signed


async def test_timeline_has_all_entries_in_order(
    client: httpx.AsyncClient, inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """The timeline has webhooks, refreshes, steps and events in the order of their times."""
    flow = await create(client, steps=["compliance"])
    clock.advance(timedelta(minutes=5))
    body = b'{"event":"flow.updated","flow_id":"%s"}' % flow["id"].encode()
    now = clock.now
    clock.now -= timedelta(minutes=5)
    await client.post(PATH, headers=signed("msg_1", body), content=body)
    clock.now = now
    dots.flows[flow["id"]]["completed_steps"] = ["compliance"]
    await refresh_due(inputs, limit=10)
    await sequence_events(inputs, delivery_rows, limit=10)

    answer = await client.get(f"/v1/flows/{flow['id']}/timeline")

    entries = answer.json()["entries"]
    reported = [
        (entry["kind"], entry.get("event") or entry.get("outcome") or entry.get("step") or entry.get("type"))
        for entry in entries
    ]
    assert answer.json()["flow_id"] == flow["id"]
    assert set(reported) == {
        ("event", "dots.flow.created"),
        ("webhook", "flow.updated"),
        ("refresh", "changed"),
        ("step", "compliance"),
        ("event", "dots.flow.step_completed"),
        ("event", "dots.flow.completed"),
    }
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    webhook = next(entry for entry in entries if entry["kind"] == "webhook")
    assert (webhook["message_id"], webhook["received_count"], webhook["handled"]) == ("msg_1", 1, True)
    step = next(entry for entry in entries if entry["kind"] == "step")
    assert step["discovered_by"] == "webhook"
    assert [entry["position"] for entry in entries if entry["kind"] == "event"] == [1, 2, 3]


async def test_webhook_is_unhandled_until_the_refresh(client: httpx.AsyncClient) -> None:
    """A webhook that waits for its refresh is shown as not handled."""
    flow = await create(client)
    body = b'{"flow_id":"%s"}' % flow["id"].encode()
    await client.post(PATH, headers=signed("msg_1", body), content=body)

    entries = (await client.get(f"/v1/flows/{flow['id']}/timeline")).json()["entries"]

    assert [entry["handled"] for entry in entries if entry["kind"] == "webhook"] == [False]


async def test_timeline_shows_verdicts_to_the_entitled_only(
    client: httpx.AsyncClient, inputs: AllInputs, dots: MemoryDots, key_with: KeyWith
) -> None:
    """Even the type of a verdict's event needs `compliance:read`."""
    flow = await create(client, steps=["background-check"], user_id=USER)
    dots.flows[flow["id"]]["completed_steps"] = ["background-check"]
    dots.add_user(has_criminal_activity=True)
    await client.post(f"/v1/flows/{flow['id']}/refresh")
    await refresh_due(inputs, limit=10)
    path = f"/v1/flows/{flow['id']}/timeline"

    ordinary = await client.get(path)
    entitled = await client.get(path, headers=await key_with("flows:read", "compliance:read"))

    assert "background_check.flagged" not in ordinary.text
    assert "flagged" not in ordinary.text
    assert "dots.background_check.flagged" in entitled.text


async def test_timeline_shows_deliveries_to_administrators_of_subscriptions(
    client: httpx.AsyncClient, inputs: AllInputs, key_with: KeyWith
) -> None:
    """Keys with `subscriptions:admin` see the deliveries of the flow's events."""
    async with subscriber.listening() as shop:
        made = await subscribe(inputs, shop.url)
        flow = await create(client)
        await sequence(inputs)
        await deliver(inputs)
    path = f"/v1/flows/{flow['id']}/timeline"

    ordinary = (await client.get(path)).json()["entries"]
    administrator = (await client.get(path, headers=await key_with("flows:read", "subscriptions:admin"))).json()

    (event,) = [entry for entry in administrator["entries"] if entry["kind"] == "event"]
    (delivery,) = [entry for entry in administrator["entries"] if entry["kind"] == "delivery"]
    assert "delivery" not in {entry["kind"] for entry in ordinary}
    assert delivery == {
        "kind": "delivery",
        "at": "2026-11-23T12:00:00Z",
        "subscription_id": str(made.subscription.id),
        "event_id": event["event_id"],
        "type": "dots.flow.created",
        "state": "delivered",
        "failed_attempts": 0,
        "settled_at": delivery["settled_at"],
    }
    assert delivery["settled_at"].startswith("2026-11-23T12:00:0")


async def test_timeline_shows_deliveries_of_verdicts_to_the_entitled_only(
    client: httpx.AsyncClient, inputs: AllInputs, dots: MemoryDots, key_with: KeyWith
) -> None:
    """`subscriptions:admin` alone does not show them."""
    made = await subscribe(inputs, "http://127.0.0.1:9/events", ["dots.background_check.*"], with_compliance=True)
    flow = await create(client, steps=["background-check"], user_id=USER)
    dots.flows[flow["id"]]["completed_steps"] = ["background-check"]
    dots.add_user(has_criminal_activity=True)
    await client.post(f"/v1/flows/{flow['id']}/refresh")
    await refresh_due(inputs, limit=10)
    await sequence(inputs)
    path = f"/v1/flows/{flow['id']}/timeline"

    ordinary = await client.get(path, headers=await key_with("flows:read", "subscriptions:admin"))
    scopes = ("flows:read", "subscriptions:admin", "compliance:read")
    entitled = await client.get(path, headers=await key_with(*scopes))

    assert "flagged" not in ordinary.text
    assert str(made.subscription.id) not in ordinary.text
    deliveries = [entry for entry in entitled.json()["entries"] if entry["kind"] == "delivery"]
    assert [(entry["type"], entry["state"]) for entry in deliveries] == [("dots.background_check.flagged", "pending")]
