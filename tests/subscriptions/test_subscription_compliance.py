"""Sending, reading and redelivering events of background checks needs compliance:read."""

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
AUDIT = "SELECT caller, what FROM compliance_reads ORDER BY id"

Headers = dict[str, str]


@pytest.fixture
async def admin(stranger: httpx.AsyncClient, key_with: KeyWith) -> httpx.AsyncClient:
    """A client with subscriptions:admin but without compliance:read."""
    stranger.headers.update(await key_with("subscriptions:admin", name="orders"))
    return stranger


@pytest.fixture
async def officer(key_with: KeyWith) -> Headers:
    """The headers of a key with both scopes."""
    return await key_with("subscriptions:admin", "compliance:read", name="officer")


async def made_by(client: httpx.AsyncClient, officer: Headers, **body: Any) -> dict[str, Any]:
    """Create a subscription with compliance events as the officer."""
    answer = await client.post(PATH, json={"url": URL, "types": ["*"], "with_compliance": True} | body, headers=officer)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def events_arrive(inputs: AllInputs) -> None:
    """Append and number a step and a verdict, and create their deliveries."""
    await feeding.append(inputs.engine, step_events(1))
    await feeding.append(inputs.engine, [FLAGGED])
    await sequence(inputs)


async def test_subscription_to_verdicts_needs_compliance_read(
    admin: httpx.AsyncClient, officer: Headers, engine: AsyncEngine
) -> None:
    """The scope subscriptions:admin alone does not allow it."""
    body = {"url": URL, "types": ["*"], "with_compliance": True}
    refused = await admin.post(PATH, json=body)
    allowed = await admin.post(PATH, json=body, headers=officer)

    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert "compliance:read" in refused.json()["detail"]
    assert (allowed.status_code, allowed.json()["with_compliance"]) == (201, True)
    assert await stored.count(engine, "subscriptions") == 1


async def test_subscription_without_compliance_gets_no_verdict(
    admin: httpx.AsyncClient, officer: Headers, inputs: AllInputs
) -> None:
    """This holds for every pattern and for every creator."""
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


async def test_changing_a_subscription_to_verdicts_needs_compliance_read(
    admin: httpx.AsyncClient, officer: Headers
) -> None:
    """Otherwise an administrator could redirect verdicts to another URL."""
    made = await made_by(admin, officer)

    refused = await admin.patch(path_of(made), json={"url": "http://127.0.0.1:8/mine"})
    url_then = (await admin.get(path_of(made))).json()["url"]
    allowed = await admin.patch(path_of(made), json={"url": "http://127.0.0.1:8/theirs"}, headers=officer)

    assert (refused.status_code, refused.json()["code"], url_then) == (403, "scope_missing", URL)
    assert (allowed.status_code, allowed.json()["url"]) == (200, "http://127.0.0.1:8/theirs")


async def test_reading_deliveries_of_verdicts_is_restricted_and_audited(
    admin: httpx.AsyncClient, officer: Headers, inputs: AllInputs
) -> None:
    """Lists and single deliveries hide verdicts from other keys. Only entitled reads are audited."""
    made = await made_by(admin, officer)
    await events_arrive(inputs)
    one = path_of(made, "deliveries", str(FLAGGED.id))

    for_admin = await admin.get(path_of(made, "deliveries"))
    one_for_admin = await admin.get(one)
    audit_of_admin = await stored.rows(inputs.engine, AUDIT)
    for_officer = await admin.get(path_of(made, "deliveries"), headers=officer)
    one_for_officer = await admin.get(one, headers=officer)

    assert [each["type"] for each in for_admin.json()["deliveries"]] == ["dots.flow.step_completed"]
    assert (one_for_admin.status_code, one_for_admin.json()["code"]) == (404, "delivery_not_found")
    assert audit_of_admin == []
    assert [each["type"] for each in for_officer.json()["deliveries"]] == [
        "dots.background_check.flagged",
        "dots.flow.step_completed",
    ]
    assert one_for_officer.json()["delivery"]["type"] == "dots.background_check.flagged"
    assert await stored.rows(inputs.engine, AUDIT) == [{"caller": "officer", "what": str(FLAGGED.id)}] * 2


async def test_hidden_deliveries_do_not_shorten_a_page(
    admin: httpx.AsyncClient, officer: Headers, inputs: AllInputs
) -> None:
    """`has_more` does not reveal them either."""
    made = await made_by(admin, officer)
    await events_arrive(inputs)

    page = (await admin.get(path_of(made, "deliveries"), params={"limit": 1})).json()

    assert ([each["subject"] for each in page["deliveries"]], page["has_more"]) == (["flow/flow-1"], False)


async def test_redelivering_a_verdict_needs_compliance_read(
    admin: httpx.AsyncClient, officer: Headers, inputs: AllInputs
) -> None:
    """Other keys get 404."""
    async with subscriber.listening() as office:
        made = await made_by(admin, officer, url=office.url)
        await events_arrive(inputs)
        await deliver(inputs)
        one = path_of(made, "deliveries", str(FLAGGED.id), "redeliver")
        refused = await admin.post(one)
        await deliver(inputs)
        sent_by_admin = len(office.received) - 2
        allowed = await admin.post(one, headers=officer)
        await deliver(inputs)

    assert (refused.status_code, allowed.status_code) == (404, 200)
    assert (sent_by_admin, len(office.received)) == (0, 3)


async def test_counts_do_not_include_hidden_verdicts(
    admin: httpx.AsyncClient, officer: Headers, inputs: AllInputs
) -> None:
    """Counts of verdicts are sensitive. A request for their type is refused instead of counting 0."""
    made = await made_by(admin, officer)
    await events_arrive(inputs)
    await stored.execute(inputs.engine, "UPDATE deliveries SET state = 'delivered', settled_at = now()")
    path = path_of(made, "redeliver")

    for_admin = await admin.post(path, json={"since": NOON})
    by_name = await admin.post(path, json={"since": NOON, "types": ["dots.background_check.flagged"]})
    for_officer = await admin.post(path, json={"since": NOON}, headers=officer)

    assert [answer.json()["again"] for answer in (for_admin, for_officer)] == [1, 2]
    assert (by_name.status_code, by_name.json()["code"]) == (403, "scope_missing")


async def test_error_about_types_lists_only_visible_types(admin: httpx.AsyncClient) -> None:
    """The error lists only the types that this key may see."""
    made = await make(admin)
    answers = [
        await admin.post(PATH, json={"url": URL, "types": ["nonsense"]}),
        await admin.post(path_of(made, "redeliver"), json={"since": NOON, "types": ["nonsense"]}),
    ]

    assert ["dots.flow.created" in answer.text for answer in answers] == [True, True]
    assert ["background_check" in answer.text for answer in answers] == [False, False]
