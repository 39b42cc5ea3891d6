"""Subscriptions over HTTP."""

import dataclasses
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app import cursors
from app.server.application import create_app
from app.server.gateway import Gateway
from tests.all_inputs import AllInputs, HandClock
from tests.dots.fake_dots import NOW
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.storage import stored
from tests.subscriptions import subscriber
from tests.subscriptions.over_http import (
    PATH,
    URL,
    make,
    path_of,
)
from tests.subscriptions.subscribing import deliver, sequence
from tests.surroundings import KeyWith, Logs

UNKNOWN = f"{PATH}/00000000-0000-4000-8000-000000000001"


@pytest.fixture
async def admin(stranger: httpx.AsyncClient, key_with: KeyWith) -> httpx.AsyncClient:
    """A client whose key may only administer subscriptions."""
    stranger.headers.update(await key_with("subscriptions:admin", name="orders"))
    return stranger


async def test_secret_is_shown_only_on_creation(admin: httpx.AsyncClient) -> None:
    """Later responses have all other fields. A repeated type is stored once."""
    made = await make(admin, types=["dots.flow.*", "dots.flow.*"], description="Orders", app="eu")
    one = await admin.get(path_of(made))
    page = await admin.get(PATH)

    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert {name: made[name] for name in made if name != "id"} == {
        "url": URL,
        "types": ["dots.flow.*"],
        "app": "eu",
        "description": "Orders",
        "with_compliance": False,
        "caller": "orders",
        "status": "active",
        "paused_by": None,
        "paused_at": None,
        "failing_since": None,
        "held_until": None,
        "created_at": "2026-11-23T12:00:00Z",
    }
    assert one.json() == made
    assert page.json() == {"subscriptions": [made], "next_cursor": None, "has_more": False}


async def test_pages_hold_every_subscription_newest_first(admin: httpx.AsyncClient, clock: HandClock) -> None:
    """Reads pages of two with their cursors."""
    for number in range(5):
        await make(admin, description=str(number))
        clock.advance(timedelta(seconds=1))
    pages = []
    query = {"limit": "2"}
    while True:
        page = (await admin.get(PATH, params=query)).json()
        pages.append([each["description"] for each in page["subscriptions"]])
        if not page["has_more"]:
            break
        query["after"] = page["next_cursor"]

    assert pages == [["4", "3"], ["2", "1"], ["0"]]


async def test_patch_changes_only_its_fields(admin: httpx.AsyncClient) -> None:
    """Absent fields stay unchanged, and null removes an optional field."""
    expected = await make(admin, description="Orders", app="eu")
    del expected["secret"]
    patches: list[dict[str, Any]] = [
        {},
        {"url": "http://127.0.0.1:8/new"},
        {"types": ["dots.user.*"]},
        {"description": None},
        {"app": None},
        {"app": "default", "description": "New"},
    ]
    for patch in patches:
        answer = await admin.patch(path_of(expected), json=patch)

        expected |= patch
        assert (answer.status_code, answer.json()) == (200, expected)
        assert (await admin.get(path_of(expected))).json() == expected


async def test_pause_and_resume_are_shown(admin: httpx.AsyncClient) -> None:
    """A paused subscription shows since when, and why."""
    made = await make(admin)

    paused = (await admin.post(path_of(made, "pause"))).json()
    resumed = (await admin.post(path_of(made, "resume"))).json()

    assert [paused[name] for name in ("status", "paused_by", "paused_at")] == [
        "paused",
        "caller",
        "2026-11-23T12:00:00Z",
    ]
    assert [resumed[name] for name in ("status", "paused_by", "paused_at")] == ["active", None, None]


async def test_deleted_subscription_is_gone(admin: httpx.AsyncClient) -> None:
    """Deletion returns 204 without a body. Then the subscription is not found."""
    made = await make(admin)

    deleted = await admin.delete(path_of(made))
    again = await admin.delete(path_of(made))

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (again.status_code, again.json()["code"]) == (404, "subscription_not_found")


async def test_rotation_returns_a_new_secret(admin: httpx.AsyncClient) -> None:
    """The answer says until when the previous secret signs. Too many live secrets are a problem."""
    made = await make(admin)

    answers = [await admin.post(path_of(made, "secret")) for _ in range(4)]

    secrets = {made["secret"], *(answer.json()["secret"] for answer in answers[:3])}
    assert len(secrets) == 4
    assert answers[0].json()["previous_until"] == "2026-11-24T12:00:00Z"
    assert (answers[3].status_code, answers[3].json()["code"]) == (422, "invalid_fields")


async def test_no_secret_is_logged(
    admin: httpx.AsyncClient, logs: Logs, caplog: pytest.LogCaptureFixture, inputs: AllInputs
) -> None:
    """Creation, use and invalid requests log neither the secret nor the URL, which may hold a token."""
    async with subscriber.listening(lambda _received: (500, {})) as shop:
        made = await make(admin, url=f"{shop.url}?token=of-the-receiver")
        rotated = (await admin.post(path_of(made, "secret"))).json()
        await admin.post(path_of(made, "test"))
        await admin.patch(path_of(made), json={"url": "http://192.0.2.1/?token=of-the-receiver"})
        await feeding.append(inputs.engine, step_events(1))
        await sequence(inputs)
        await deliver(inputs)

    reported = str(logs) + caplog.text
    assert len(shop.received) == 2
    assert len(logs) > 4
    assert [word for word in (made["secret"], rotated["secret"], "whsec_", "of-the-receiver") if word in reported] == []


async def test_test_event_returns_its_outcome(admin: httpx.AsyncClient) -> None:
    """The request succeeds even if the receiver refuses the event."""
    status = 204
    async with subscriber.listening(lambda _received: (status, {})) as shop:
        made = await make(admin, url=shop.url)
        good = await admin.post(path_of(made, "test"))
        status = 500
        bad = await admin.post(path_of(made, "test"))

    assert [answer.status_code for answer in (good, bad)] == [200, 200]
    assert {**good.json(), "took_ms": 0} == {"delivered": True, "status": 204, "error": None, "took_ms": 0}
    assert {**bad.json(), "took_ms": 0} == {"delivered": False, "status": 500, "error": "status_500", "took_ms": 0}
    assert [received.event["type"] for received in shop.received] == ["dots.subscription.test"] * 2


async def test_creation_needs_encryption_keys(gateway: Gateway, key_with: KeyWith) -> None:
    """Without keys the answer is 503 and names the setting, and nothing is stored."""
    without_keys = dataclasses.replace(gateway.subscriptions, secret_cipher=None)
    app = create_app(dataclasses.replace(gateway, subscriptions=without_keys))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gw") as client:
        headers = await key_with("subscriptions:admin")
        answer = await client.post(PATH, json={"url": URL, "types": ["*"]}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (503, "encryption_unavailable")
    assert "ENCRYPTION_KEYS" in answer.json()["detail"]
    assert await stored.count(gateway.storage.engine, "subscriptions") == 0


INVALID: list[tuple[dict[str, Any], int, str]] = [
    ({"types": ["*"]}, 422, "invalid_fields"),
    ({"url": URL}, 422, "invalid_fields"),
    ({"url": URL, "types": []}, 422, "invalid_fields"),
    ({"url": URL, "types": "*"}, 422, "invalid_fields"),
    ({"url": URL, "types": ["dots.flow.finished"]}, 422, "invalid_fields"),
    ({"url": URL, "types": ["dots.background_check.*"]}, 422, "invalid_fields"),
    ({"url": URL, "types": ["*"], "secret": "whsec_mine"}, 422, "invalid_fields"),
    ({"url": URL, "types": ["*"], "with_compliance": "yes"}, 422, "invalid_fields"),
    ({"url": URL, "types": ["*"], "description": "\x00"}, 422, "invalid_fields"),
    ({"url": URL, "types": ["*"], "description": "\ud800"}, 422, "invalid_fields"),
    ({"url": URL, "types": ["*"], "app": "nowhere"}, 404, "unknown_app"),
    ({"url": "http://192.0.2.1/events", "types": ["*"]}, 422, "destination_refused"),
    ({"url": "http://169.254.169.254/latest/meta-data", "types": ["*"]}, 422, "destination_refused"),
    ({"url": "file:///etc/passwd", "types": ["*"]}, 422, "destination_refused"),
    ({"url": "not a url", "types": ["*"]}, 422, "destination_refused"),
]


async def test_invalid_subscription_is_refused(admin: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """Invalid requests get a problem document, and nothing is stored."""
    found = []
    for body, _, _ in INVALID:
        # Encode as ASCII, because a lone surrogate is valid JSON but not UTF-8.
        answer = await admin.post(PATH, content=json.dumps(body), headers={"content-type": "application/json"})
        found.append((body, answer.status_code, answer.json()["code"]))

    assert found == INVALID
    assert await stored.count(engine, "subscriptions") == 0


async def test_invalid_patch_changes_nothing(admin: httpx.AsyncClient) -> None:
    """Required fields cannot be removed, and `with_compliance` cannot be changed."""
    made = await make(admin)
    del made["secret"]
    patches: list[dict[str, Any]] = [
        {"url": None},
        {"types": None},
        {"types": []},
        {"with_compliance": True},
        {"id": 1},
    ]

    answers = [await admin.patch(path_of(made), json=patch) for patch in patches]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(422, "invalid_fields")] * 5
    assert (await admin.get(path_of(made))).json() == made


OPERATIONS = [
    ("GET", ""),
    ("PATCH", ""),
    ("DELETE", ""),
    ("POST", "/pause"),
    ("POST", "/resume"),
    ("POST", "/secret"),
    ("POST", "/test"),
    ("GET", "/deliveries"),
    ("GET", "/deliveries/00000000-0000-4000-8000-000000000002"),
    ("POST", "/deliveries/00000000-0000-4000-8000-000000000002/redeliver"),
    ("POST", "/redeliver"),
]


async def test_unknown_subscription_is_404_everywhere(admin: httpx.AsyncClient, key_with: KeyWith) -> None:
    """A key without the scope gets 403 instead."""
    bodies: dict[str, dict[str, str]] = {"PATCH": {}, "POST": {"since": "2026-11-23T00:00:00Z"}}
    other = await key_with("flows:read", "flows:write", "events:read", "compliance:read", "ops:admin")
    found = {}
    for method, path in OPERATIONS:
        unknown = await admin.request(method, UNKNOWN + path, json=bodies.get(method))
        refused = await admin.request(method, UNKNOWN + path, json=bodies.get(method), headers=other)
        found[method, path] = [(answer.status_code, answer.json()["code"]) for answer in (unknown, refused)]

    assert found == {key: [(404, "subscription_not_found"), (403, "scope_missing")] for key in OPERATIONS}


@pytest.mark.parametrize("after", ["junk", cursors.by_time("flows").write((NOW, UUID(int=1)))])
async def test_invalid_cursor_is_refused(admin: httpx.AsyncClient, after: str) -> None:
    """Invalid cursors and cursors of other lists are refused."""
    answer = await admin.get(PATH, params={"after": after})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")
