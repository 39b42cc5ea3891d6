"""Who may be sent, be shown, and send again events of background checks."""

from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.flows.rules.verdict import Verdict
from tests.all_inputs import AllInputs
from tests.feed import feeding
from tests.feed.feeding import step_events, verdict_events
from tests.storage import stored
from tests.subscriptions import subscriber
from tests.subscriptions.over_http import (
    PATH,
    URL,
    make,
    path_of,
)
from tests.subscriptions.subscribing import deliver, sequence
from tests.surroundings import KeyWith

NOON = "2026-11-23T12:00:00Z"
(FLAGGED,) = verdict_events(Verdict.FLAGGED)
TRAIL = "SELECT caller, what FROM compliance_reads ORDER BY id"

Headers = dict[str, str]


@pytest.fixture
async def admin(stranger: httpx.AsyncClient, key_with: KeyWith) -> httpx.AsyncClient:
    """A client that may administer subscriptions, and not read about background checks."""
    stranger.headers.update(await key_with("subscriptions:admin", name="orders"))
    return stranger


@pytest.fixture
async def officer(key_with: KeyWith) -> Headers:
    """The headers of somebody who may do both."""
    return await key_with("subscriptions:admin", "compliance:read", name="officer")


async def made_by(client: httpx.AsyncClient, officer: Headers, **body: Any) -> dict[str, Any]:
    """A subscription with compliance events, made by the officer."""
    answer = await client.post(PATH, json={"url": URL, "types": ["*"], "with_compliance": True} | body, headers=officer)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def events_arrive(inputs: AllInputs) -> None:
    """A step and a verdict get their places and their deliveries."""
    await feeding.append(inputs.engine, step_events(1))
    await feeding.append(inputs.engine, [FLAGGED])
    await sequence(inputs)


async def test_only_the_entitled_make_subscriptions_to_verdicts(
    admin: httpx.AsyncClient, officer: Headers, engine: AsyncEngine
) -> None:
    """The right to administer is not the right to read."""
    body = {"url": URL, "types": ["*"], "with_compliance": True}
    barred = await admin.post(PATH, json=body)
    allowed = await admin.post(PATH, json=body, headers=officer)

    assert (barred.status_code, barred.json()["code"]) == (403, "scope_missing")
    assert "compliance:read" in barred.json()["detail"]
    assert (allowed.status_code, allowed.json()["with_compliance"]) == (201, True)
    assert await stored.count(engine, "subscriptions") == 1


async def test_subscription_without_the_right_is_never_sent_a_verdict(
    admin: httpx.AsyncClient, officer: Headers, inputs: AllInputs
) -> None:
    """Whatever its patterns, and whoever made it."""
    async with subscriber.listening() as shop, subscriber.listening() as office:
        await make(admin, url=shop.url, types=["*", "dots.*"])
        await admin.post(PATH, json={"url": shop.url, "types": ["dots.*"]}, headers=officer)
        await made_by(admin, officer, url=office.url)
        await events_arrive(inputs)
        await deliver(inputs)

    assert {received.event["type"] for received in shop.received} == {"dots.flow.step_completed"}
    assert {received.event["type"] for received in office.received} == {
        "dots.flow.step_completed",
        "dots.background_check.flagged",
    }


async def test_verdicts_are_not_turned_elsewhere_by_who_may_not_read_them(
    admin: httpx.AsyncClient, officer: Headers
) -> None:
    """Else the right to administer would be the right to read, by way of a URL of one's own."""
    made = await made_by(admin, officer)

    barred = await admin.patch(path_of(made), json={"url": "http://127.0.0.1:8/mine"})
    url_then = (await admin.get(path_of(made))).json()["url"]
    allowed = await admin.patch(path_of(made), json={"url": "http://127.0.0.1:8/theirs"}, headers=officer)

    assert (barred.status_code, barred.json()["code"], url_then) == (403, "scope_missing", URL)
    assert (allowed.status_code, allowed.json()["url"]) == (200, "http://127.0.0.1:8/theirs")


async def test_deliveries_of_verdicts_are_shown_to_the_entitled_and_leave_a_trail(
    admin: httpx.AsyncClient, officer: Headers, inputs: AllInputs
) -> None:
    """In a list and by themselves; what the others see leaves none."""
    made = await made_by(admin, officer)
    await events_arrive(inputs)
    one = path_of(made, "deliveries", str(FLAGGED.id))

    for_admin = await admin.get(path_of(made, "deliveries"))
    one_for_admin = await admin.get(one)
    trail_of_admin = await stored.rows(inputs.engine, TRAIL)
    for_officer = await admin.get(path_of(made, "deliveries"), headers=officer)
    one_for_officer = await admin.get(one, headers=officer)

    assert [each["type"] for each in for_admin.json()["deliveries"]] == ["dots.flow.step_completed"]
    assert (one_for_admin.status_code, one_for_admin.json()["code"]) == (404, "delivery_not_found")
    assert trail_of_admin == []
    assert [each["type"] for each in for_officer.json()["deliveries"]] == [
        "dots.background_check.flagged",
        "dots.flow.step_completed",
    ]
    assert one_for_officer.json()["delivery"]["type"] == "dots.background_check.flagged"
    assert await stored.rows(inputs.engine, TRAIL) == [{"caller": "officer", "what": str(FLAGGED.id)}] * 2


async def test_hidden_deliveries_do_not_shorten_a_page(
    admin: httpx.AsyncClient, officer: Headers, inputs: AllInputs
) -> None:
    """Nor tell by `has_more` that there are any."""
    made = await made_by(admin, officer)
    await events_arrive(inputs)

    page = (await admin.get(path_of(made, "deliveries"), params={"limit": 1})).json()

    assert ([each["subject"] for each in page["deliveries"]], page["has_more"]) == (["flow/flow-1"], False)


async def test_verdict_is_sent_again_by_the_entitled_only(
    admin: httpx.AsyncClient, officer: Headers, inputs: AllInputs
) -> None:
    """To the others there is no such delivery."""
    async with subscriber.listening() as office:
        made = await made_by(admin, officer, url=office.url)
        await events_arrive(inputs)
        await deliver(inputs)
        one = path_of(made, "deliveries", str(FLAGGED.id), "redeliver")
        barred = await admin.post(one)
        await deliver(inputs)
        sent_by_admin = len(office.received) - 2
        allowed = await admin.post(one, headers=officer)
        await deliver(inputs)

    assert (barred.status_code, allowed.status_code) == (404, 200)
    assert (sent_by_admin, len(office.received)) == (0, 3)


async def test_counts_do_not_tell_of_verdicts(admin: httpx.AsyncClient, officer: Headers, inputs: AllInputs) -> None:
    """How many were flagged in an hour is about persons too; asking by name is refused, not answered with 0."""
    made = await made_by(admin, officer)
    await events_arrive(inputs)
    await stored.execute(inputs.engine, "UPDATE deliveries SET state = 'delivered', settled_at = now()")
    path = path_of(made, "redeliver")

    for_admin = await admin.post(path, json={"since": NOON})
    by_name = await admin.post(path, json={"since": NOON, "types": ["dots.background_check.flagged"]})
    for_officer = await admin.post(path, json={"since": NOON}, headers=officer)

    assert [answer.json()["again"] for answer in (for_admin, for_officer)] == [1, 2]
    assert (by_name.status_code, by_name.json()["code"]) == (403, "scope_missing")


async def test_complaint_about_types_names_no_hidden_ones(admin: httpx.AsyncClient) -> None:
    """The types that there are, are those that this key may have."""
    made = await make(admin)
    answers = [
        await admin.post(PATH, json={"url": URL, "types": ["nonsense"]}),
        await admin.post(path_of(made, "redeliver"), json={"since": NOON, "types": ["nonsense"]}),
    ]

    assert ["dots.flow.created" in answer.text for answer in answers] == [True, True]
    assert ["background_check" in answer.text for answer in answers] == [False, False]
