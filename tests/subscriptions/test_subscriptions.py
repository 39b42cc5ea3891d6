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

NOBODY = f"{PATH}/00000000-0000-4000-8000-000000000001"


@pytest.fixture
async def admin(stranger: httpx.AsyncClient, key_with: KeyWith) -> httpx.AsyncClient:
    """A client that may administer subscriptions, and nothing else."""
    stranger.headers.update(await key_with("subscriptions:admin", name="orders"))
    return stranger


async def test_new_subscription_is_shown_with_its_secret_once(admin: httpx.AsyncClient) -> None:
    """And from then on without, wherever it is shown."""
    made = await make(admin, types=["dots.flow.*"], description="Orders", app="eu")
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


async def test_pages_put_together_are_all_newest_first(admin: httpx.AsyncClient, clock: HandClock) -> None:
    """Pages of two, followed by their cursors: every subscription once."""
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


@pytest.mark.parametrize(
    ("patch", "changed"),
    [
        ({}, {}),
        ({"url": "http://127.0.0.1:8/new"}, {"url": "http://127.0.0.1:8/new"}),
        ({"types": ["dots.user.*"]}, {"types": ["dots.user.*"]}),
        ({"description": None}, {"description": None}),
        ({"app": None}, {"app": None}),
        ({"app": "default", "description": "New"}, {"app": "default", "description": "New"}),
    ],
)
async def test_patch_changes_what_it_names(
    admin: httpx.AsyncClient, patch: dict[str, Any], changed: dict[str, Any]
) -> None:
    """What is left out stays, and null takes away what may be absent."""
    made = await make(admin, description="Orders", app="eu")
    del made["secret"]

    answer = await admin.patch(path_of(made), json=patch)

    assert answer.status_code == 200
    assert answer.json() == made | changed
    assert (await admin.get(path_of(made))).json() == made | changed


async def test_pause_and_resume_are_shown(admin: httpx.AsyncClient) -> None:
    """Whoever looks sees since when, and by whom."""
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
    """204 without a body, and 404 from then on."""
    made = await make(admin)

    deleted = await admin.delete(path_of(made))
    again = await admin.delete(path_of(made))

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (again.status_code, again.json()["code"]) == (404, "subscription_not_found")


async def test_rotated_secret_is_another_and_says_until_when_both_sign(admin: httpx.AsyncClient) -> None:
    """Shown this once; with too many live ones the complaint is a problem document."""
    made = await make(admin)

    answers = [await admin.post(path_of(made, "secret")) for _ in range(4)]

    secrets = {made["secret"], *(answer.json()["secret"] for answer in answers[:3])}
    assert len(secrets) == 4
    assert answers[0].json()["previous_until"] == "2026-11-24T12:00:00Z"
    assert (answers[3].status_code, answers[3].json()["code"]) == (422, "invalid_fields")


async def test_no_secret_is_logged(
    admin: httpx.AsyncClient, logs: Logs, caplog: pytest.LogCaptureFixture, inputs: AllInputs
) -> None:
    """However it is made, used or asked for wrongly; nor the URL, which may hold a token of the receiver's."""
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


async def test_test_event_says_how_it_went(admin: httpx.AsyncClient) -> None:
    """Taken or not, the request itself is fine."""
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


async def test_without_encryption_keys_the_setting_is_named(gateway: Gateway, key_with: KeyWith) -> None:
    """503, for the caller did nothing wrong."""
    without_keys = dataclasses.replace(gateway.subscriptions, secret_cipher=None)
    app = create_app(dataclasses.replace(gateway, subscriptions=without_keys))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gw") as client:
        headers = await key_with("subscriptions:admin")
        answer = await client.post(PATH, json={"url": URL, "types": ["*"]}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (503, "encryption_unavailable")
    assert "ENCRYPTION_KEYS" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"types": ["*"]}, 422, "invalid_fields"),
        ({"url": URL}, 422, "invalid_fields"),
        ({"url": URL, "types": []}, 422, "invalid_fields"),
        ({"url": URL, "types": "*"}, 422, "invalid_fields"),
        ({"url": URL, "types": ["dots.flow.finished"]}, 422, "invalid_fields"),
        ({"url": URL, "types": ["*"], "secret": "whsec_mine"}, 422, "invalid_fields"),
        ({"url": URL, "types": ["*"], "with_compliance": "yes"}, 422, "invalid_fields"),
        ({"url": URL, "types": ["*"], "description": "\x00"}, 422, "invalid_fields"),
        ({"url": URL, "types": ["*"], "description": "\ud800"}, 422, "invalid_fields"),
        ({"url": URL, "types": ["*"], "app": "nowhere"}, 404, "unknown_app"),
        ({"url": "http://192.0.2.1/events", "types": ["*"]}, 422, "destination_refused"),
        ({"url": "http://169.254.169.254/latest/meta-data", "types": ["*"]}, 422, "destination_refused"),
        ({"url": "not a url", "types": ["*"]}, 422, "destination_refused"),
    ],
)
async def test_wrong_subscription_gets_a_clear_answer(
    admin: httpx.AsyncClient, engine: AsyncEngine, *, body: dict[str, Any], status: int, code: str
) -> None:
    """A problem document, and nothing made."""
    # Written in ASCII, because half of a character is JSON, but not UTF-8.
    answer = await admin.post(PATH, content=json.dumps(body), headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await stored.count(engine, "subscriptions") == 0


@pytest.mark.parametrize("patch", [{"url": None}, {"types": None}, {"types": []}, {"with_compliance": True}, {"id": 1}])
async def test_wrong_patch_changes_nothing(admin: httpx.AsyncClient, patch: dict[str, Any]) -> None:
    """What cannot be absent is not taken away, and the right is given at the beginning or never."""
    made = await make(admin)
    del made["secret"]

    answer = await admin.patch(path_of(made), json=patch)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
    assert (await admin.get(path_of(made))).json() == made


@pytest.mark.parametrize(
    ("method", "path"),
    [
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
    ],
)
async def test_unknown_subscription_is_404_everywhere(
    admin: httpx.AsyncClient, key_with: KeyWith, method: str, path: str
) -> None:
    """And 403 before that, to a key without the scope."""
    body = {"PATCH": {}, "POST": {"since": "2026-11-23T00:00:00Z"}}.get(method)
    other = await key_with("flows:read", "flows:write", "events:read", "compliance:read", "ops:admin")

    known = await admin.request(method, NOBODY + path, json=body)
    barred = await admin.request(method, NOBODY + path, json=body, headers=other)

    assert (known.status_code, known.json()["code"]) == (404, "subscription_not_found")
    assert (barred.status_code, barred.json()["code"]) == (403, "scope_missing")


@pytest.mark.parametrize("after", ["junk", cursors.by_time("flows").write((NOW, UUID(int=1)))])
async def test_cursor_that_is_none_is_refused(admin: httpx.AsyncClient, after: str) -> None:
    """A cursor that was made up is refused, and so is one of another list."""
    answer = await admin.get(PATH, params={"after": after})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")
