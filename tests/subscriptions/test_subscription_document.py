"""Responses about subscriptions and deliveries, checked against the OpenAPI document."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from fastapi import FastAPI

from app.storage import database
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.server import background
from tests.server.background import Service
from tests.subscriptions.over_http import PATH, URL
from tests.subscriptions.subscribed import stamp

NOON = "2026-11-23T12:00:00Z"
ONE = "/v1/subscriptions/{subscription_id}"


@pytest.fixture
def service(database_url: str) -> Iterator[Service]:
    """A service on a real socket."""
    with background.service(database_url) as service:
        yield service


async def one_event(database_url: str) -> str:
    """Append and number an event, and create its deliveries. Returns its id."""
    engine = database.create_engine(database_url)
    try:
        await feeding.append(engine, step_events(1))
        await stamp(engine)
    finally:
        await engine.dispose()
    return str(step_events(1)[0].id)


def test_answers_are_as_documented(app: FastAPI, service: Service, database_url: str) -> None:
    """A successful response of every operation matches the document."""
    schema = schemathesis.openapi.from_dict(app.openapi())
    with httpx.Client(base_url=service.url, headers=service.headers) as client:
        created = client.post(PATH, json={"url": URL, "types": ["*"], "with_compliance": True})
        path = f"{PATH}/{created.json()['id']}"
        event_id = asyncio.run(one_event(database_url))
        again = {"since": NOON, "dry_run": False}
        answers = {
            ("POST", PATH): created,
            ("GET", PATH): client.get(PATH),
            ("GET", ONE): client.get(path),
            ("PATCH", ONE): client.patch(path, json={"description": "Orders"}),
            ("POST", f"{ONE}/pause"): client.post(f"{path}/pause"),
            ("POST", f"{ONE}/resume"): client.post(f"{path}/resume"),
            ("POST", f"{ONE}/secret"): client.post(f"{path}/secret"),
            ("POST", f"{ONE}/test"): client.post(f"{path}/test"),
            ("GET", f"{ONE}/deliveries"): client.get(f"{path}/deliveries"),
            ("GET", f"{ONE}/deliveries/{{event_id}}"): client.get(f"{path}/deliveries/{event_id}"),
            ("POST", f"{ONE}/deliveries/{{event_id}}/redeliver"): client.post(
                f"{path}/deliveries/{event_id}/redeliver"
            ),
            ("POST", f"{ONE}/redeliver"): client.post(f"{path}/redeliver", json=again),
            ("DELETE", ONE): client.delete(path),
        }

    about_subscriptions = {
        (method.upper(), template)
        for template, operations in app.openapi()["paths"].items()
        for method in operations
        if template.startswith(PATH)
    }
    assert set(answers) == about_subscriptions
    for (method, template), answer in answers.items():
        assert answer.is_success, answer.text
        schema[template][method].validate_response(answer)
