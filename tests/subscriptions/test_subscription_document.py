"""Responses about subscriptions and deliveries, checked against the OpenAPI document."""

import httpx
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from tests.all_inputs import AllInputs
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.subscriptions.over_http import PATH, URL
from tests.subscriptions.subscribed import stamp
from tests.surroundings import KeyWith

ONE = "/v1/subscriptions/{subscription_id}"


async def test_answers_are_as_documented(
    app: FastAPI, stranger: httpx.AsyncClient, key_with: KeyWith, inputs: AllInputs
) -> None:
    """A successful response of every operation matches the document."""
    client, document = stranger, app.openapi()
    client.headers.update(await key_with("subscriptions:admin", "compliance:read"))
    created = await client.post(PATH, json={"url": URL, "types": ["*"], "with_compliance": True})
    path = f"{PATH}/{created.json()['id']}"
    (event,) = step_events(1)
    await feeding.append(inputs.engine, [event])
    await stamp(inputs.engine)
    again = {"since": "2026-11-23T12:00:00Z", "dry_run": False}
    answers = {
        ("post", PATH): created,
        ("get", PATH): await client.get(PATH),
        ("get", ONE): await client.get(path),
        ("patch", ONE): await client.patch(path, json={"description": "Orders"}),
        ("post", f"{ONE}/pause"): await client.post(f"{path}/pause"),
        ("post", f"{ONE}/resume"): await client.post(f"{path}/resume"),
        ("post", f"{ONE}/secret"): await client.post(f"{path}/secret"),
        ("post", f"{ONE}/test"): await client.post(f"{path}/test"),
        ("get", f"{ONE}/deliveries"): await client.get(f"{path}/deliveries"),
        ("get", f"{ONE}/deliveries/{{event_id}}"): await client.get(f"{path}/deliveries/{event.id}"),
        ("post", f"{ONE}/deliveries/{{event_id}}/redeliver"): await client.post(
            f"{path}/deliveries/{event.id}/redeliver"
        ),
        ("post", f"{ONE}/redeliver"): await client.post(f"{path}/redeliver", json=again),
        ("delete", ONE): await client.delete(path),
    }

    operations = {
        (method, template): operation
        for template, methods in document["paths"].items()
        for method, operation in methods.items()
        if template.startswith(PATH)
    }
    assert set(answers) == set(operations)
    for key, answer in answers.items():
        assert answer.is_success, answer.text
        content = operations[key]["responses"][str(answer.status_code)].get("content")
        if content is None:
            assert answer.content == b""
            continue
        schema = {**content["application/json"]["schema"], "components": document["components"]}
        Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(answer.json())
