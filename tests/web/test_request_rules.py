from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.server.application import create_metrics_app
from tests.all_inputs import AllInputs
from tests.surroundings import KeyWith

ID = "5f0c0a1e-7a52-4d0f-9d43-0a4f0c7b8e11"
ALL = ("flows:read", "flows:write", "events:read", "ops:admin", "subscriptions:admin", "compliance:read")


@pytest.fixture
async def operator(stranger: httpx.AsyncClient, key_with: KeyWith) -> httpx.AsyncClient:
    """A client with every scope."""
    stranger.headers.update(await key_with(*ALL))
    return stranger


LISTS = {
    "/v1/flows": "reference user_id status step app created_from created_before after limit",
    "/v1/events": "after limit wait types",
    "/v1/webhooks": "app event subject_id state received_from received_before after limit",
    "/v1/subscriptions": "after limit",
}


@pytest.mark.parametrize("path", LISTS)
async def test_empty_value_counts_as_absent(operator: httpx.AsyncClient, path: str) -> None:
    """Many clients send unused parameters as empty ones."""
    names = LISTS[path].split()

    answers = [await operator.get(path, params={name: ""}) for name in names]

    assert {answer.status_code for answer in answers} == {200}
    assert (await operator.get(path, params=dict.fromkeys(names, ""))).status_code == 200


async def test_empty_cursor_in_a_body_counts_as_absent(operator: httpx.AsyncClient) -> None:
    """The request passes validation, and then fails because the subscription is unknown."""
    body = {"since": "2026-11-23T06:00:00Z", "after": ""}
    answer = await operator.post(f"/v1/subscriptions/{ID}/redeliver", json=body)

    assert answer.status_code == 404


UNKNOWN = [
    ("GET", "/v1/flows?referense=x", "referense", "is not a query parameter here; did you mean reference?"),
    ("GET", "/v1/flows?After=", "After", "is not a query parameter here; did you mean after?"),
    ("GET", "/v1/events?type=dots.flow.*", "type", "is not a query parameter here; did you mean types?"),
    ("GET", "/v1/events/stream?limit=5", "limit", "is not a query parameter here"),
    ("GET", f"/v1/flows/{ID}?x=1", "x", "is not a query parameter here"),
    ("POST", "/v1/flows?dry_run=true", "dry_run", "is not a query parameter here"),
    ("POST", f"/v1/webhooks/{ID}/replay?ap=eu", "ap", "is not a query parameter here; did you mean app?"),
    ("DELETE", f"/v1/subscriptions/{ID}?force=1", "force", "is not a query parameter here"),
]


@pytest.mark.parametrize(("method", "path", "field", "message"), UNKNOWN)
async def test_unknown_query_parameter_is_refused_with_the_nearest(
    operator: httpx.AsyncClient, method: str, path: str, field: str, message: str
) -> None:
    """Otherwise a misspelt filter would find everything."""
    answer = await operator.request(method, path)

    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": field, "message": message}]


@pytest.mark.parametrize("value", [0, 1, "false", "yes", None], ids=repr)
@pytest.mark.parametrize("path", ["/v1/webhooks/replay", f"/v1/subscriptions/{ID}/redeliver"])
async def test_dry_run_must_be_a_boolean(operator: httpx.AsyncClient, path: str, value: Any) -> None:
    """A caller that sends 0 must not replay by accident."""
    body = {"dry_run": value} | ({"since": "2026-11-23T06:00:00Z"} if "redeliver" in path else {})
    answer = await operator.post(path, json=body)

    assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (422, ["dry_run"])


@pytest.mark.parametrize(
    "value", [1764000000, "1764000000", "2026-11-23", "2026-11-23T12:00:00", "2026-11-23 12:00:00Z", True], ids=repr
)
async def test_time_needs_date_and_zone(operator: httpx.AsyncClient, value: Any) -> None:
    """A number could be seconds or milliseconds, and a time without a zone is ambiguous."""
    in_query = await operator.get("/v1/flows", params={"created_from": value})
    in_body = await operator.post("/v1/webhooks/replay", json={"received_from": value})

    assert [answer.status_code for answer in (in_query, in_body)] == [422, 422]
    assert in_query.json()["errors"][0]["field"] == "created_from"
    assert in_body.json()["errors"][0]["field"] == "received_from"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_probes_answer_head(stranger: httpx.AsyncClient, path: str) -> None:
    """Load balancers probe with HEAD."""
    assert (await stranger.head(path)).status_code == 200


async def test_metrics_port_answers_head_too(inputs: AllInputs) -> None:
    """The same rules apply to METRICS_PORT."""
    transport = httpx.ASGITransport(create_metrics_app(inputs))
    async with httpx.AsyncClient(transport=transport, base_url="http://gw") as asking:
        answers = [await asking.head(path) for path in ("/livez", "/metrics")]
        refused = await asking.post("/metrics")

    assert [answer.status_code for answer in answers] == [200, 200]
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")


async def test_json_without_a_content_type_is_accepted(operator: httpx.AsyncClient) -> None:
    """A JSON content type or none is accepted. Another one is an error of the field `Content-Type`."""
    body = b'{"steps": ["compliance"]}'
    without = await operator.post("/v1/flows", content=body)
    vendor = await operator.post("/v1/flows", content=body, headers={"Content-Type": "application/x.shop+json"})
    form = await operator.post("/v1/flows", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    empty = await operator.post("/v1/webhooks/replay", content=b"{}")

    assert "content-type" not in without.request.headers
    assert [without.status_code, vendor.status_code, empty.status_code, form.status_code] == [201, 201, 200, 422]
    assert [each["field"] for each in form.json()["errors"]] == ["Content-Type"]


async def test_allow_names_every_method_of_the_path(operator: httpx.AsyncClient, app: FastAPI) -> None:
    """The header lists all routes of the path."""
    documented = {
        path: {method.upper() for method in operations}
        for path, operations in app.openapi()["paths"].items()
        if not path.startswith("/webhooks")
    }
    answers = {path: await operator.request("TRACE", path) for path in documented}

    assert {answer.status_code for answer in answers.values()} == {405}
    allowed = {path: set(answer.headers["Allow"].split(", ")) for path, answer in answers.items()}
    assert {path: documented[path] - allowed[path] for path in documented if documented[path] - allowed[path]} == {}
    assert allowed["/v1/flows"] == {"GET", "POST"}
    assert allowed["/v1/subscriptions/{subscription_id}"] == {"DELETE", "GET", "PATCH"}
    assert allowed["/livez"] == {"GET", "HEAD"}
