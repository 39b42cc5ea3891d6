from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.dots.memory_dots import MemoryDots
from tests.storage import stored

GOOD: dict[str, Any] = {"steps": ["compliance"]}


def redirect(url: object) -> dict[str, Any]:
    """Return a body with one redirect."""
    return {"steps": [{"name": "redirect", "redirect_url": url}]}


# A body, and the fields that the answer must name. The rules' own tests have more cases.
INVALID: list[tuple[Any, list[str]]] = [
    ({}, ["steps"]),
    ({"steps": []}, ["steps"]),
    ({"steps": {"name": "compliance"}}, ["steps"]),
    ({"steps": [17]}, ["steps.0"]),
    ({"steps": [{}]}, ["steps.0.name"]),
    ({"steps": ["compliance", "payout", "compliance"]}, ["steps.2"]),
    ({"steps": [{"name": "compliance", "hide_continue_button": "yes"}]}, ["steps.0.hide_continue_button"]),
    ({"steps": [{"name": "id-verification", "hide_continue_button": 1}]}, ["steps.0.hide_continue_button"]),
    ({"steps": [{"name": "background-check", "hide_continue_button": None}]}, ["steps.0.hide_continue_button"]),
    ({"steps": [{"name": "manage-payments", "hide_continue_button": []}]}, ["steps.0.hide_continue_button"]),
    (
        {
            "steps": [
                {
                    "name": "manage-payouts",
                    "hide_continue_button": 0,
                    "auto_payout_enabled": "true",
                    "require_default_payout_method": 1,
                    "require_auto_payout_method": None,
                }
            ]
        },
        [
            "steps.0.hide_continue_button",
            "steps.0.auto_payout_enabled",
            "steps.0.require_default_payout_method",
            "steps.0.require_auto_payout_method",
        ],
    ),
    (
        {"steps": [{"name": "payout", "auto_payout_enabled": 1, "payout_fee_party": "both"}]},
        ["steps.0.auto_payout_enabled", "steps.0.payout_fee_party"],
    ),
    ({"steps": [{"name": "payout", "payout_fee_party": ["user"]}]}, ["steps.0.payout_fee_party"]),
    ({"steps": [{"name": "pdf-form-fill", "template_id": 7}]}, ["steps.0.template_id"]),
    ({"steps": [{"name": "redirect"}]}, ["steps.0.redirect_url"]),
    (redirect(None), ["steps.0.redirect_url"]),
    (redirect("http://localhost/x"), ["steps.0.redirect_url"]),
    (redirect("https://example.com/a b"), ["steps.0.redirect_url"]),
    (GOOD | {"user_id": "17"}, ["user_id"]),
    (GOOD | {"user_id": 17}, ["user_id"]),
    (GOOD | {"user_ip": ""}, ["user_ip"]),
    (GOOD | {"user_ip": "300.1.1.1"}, ["user_ip"]),
    (GOOD | {"user_ip": "fe80::1%eth0"}, ["user_ip"]),
    (GOOD | {"user_ip": "10.0.0.1, 10.0.0.2"}, ["user_ip"]),
    (GOOD | {"user_ip": 3232235777}, ["user_ip"]),
    (GOOD | {"require_auth": "true"}, ["require_auth"]),
    (GOOD | {"require_auth": 1}, ["require_auth"]),
    (GOOD | {"hide_go_to_dashboard_on_complete": None}, ["hide_go_to_dashboard_on_complete"]),
    (GOOD | {"metadata": 4}, ["metadata"]),
    (GOOD | {"metadata": "a" * 501}, ["metadata"]),
    (GOOD | {"metadata": {"a": ["v" * 499]}}, ["metadata.a"]),
    (GOOD | {"metadata": {"dots_gateway_ref": "x"}}, ["metadata.dots_gateway_ref"]),
    (GOOD | {"reference": ""}, ["reference"]),
    (GOOD | {"reference": 17}, ["reference"]),
    (GOOD | {"reference": "r" * 201}, ["reference"]),
    (GOOD | {"app": None}, ["app"]),
    (GOOD | {"app": ""}, ["app"]),
    (GOOD | {"idempotency_key": "k"}, ["idempotency_key"]),
    # Problems in several fields are reported together.
    (
        {"steps": ["compliance", "compliance", {"name": "redirect"}], "metadata": 4},
        ["steps.1", "steps.2.redirect_url", "metadata"],
    ),
]


async def test_invalid_body_names_its_fields(client: httpx.AsyncClient, dots: MemoryDots, engine: AsyncEngine) -> None:
    """The answer is a 422 with one entry for each wrong field. Dots is not called, and nothing is stored."""
    answers = [(str(body), await client.post("/v1/flows", json=body)) for body, _ in INVALID]

    assert {answer.headers["content-type"] for _, answer in answers} == {"application/problem+json"}
    assert [
        (body, answer.status_code, [problem["field"] for problem in answer.json().get("errors", ())])
        for body, answer in answers
    ] == [(str(body), 422, fields) for body, fields in INVALID]
    assert {answer.json()["code"] for _, answer in answers} == {"invalid_fields"}
    assert all(problem["message"] for _, answer in answers for problem in answer.json()["errors"])
    assert dots.requests == []
    assert await stored.count(engine, "flows") == 0


# JSON that Python reads and Postgres refuses, for every free-form field.
UNSTORABLE = {
    "a NUL": rb'"\u0000"',
    "half a surrogate pair": rb'"\ud800"',
    "the other half": rb'"a\udfff"',
    "NaN": b"NaN",
    "infinity": b"Infinity",
    "1e400": b"1e400",
    "a NUL in a key": rb'{"\u0000": 1}',
    "arrays 400 deep": b"[" * 400 + b"]" * 400,
    "arrays 900 deep": b"[" * 900 + b"]" * 900,
}
PLACES = {
    "an option of a step": b'{"steps": [{"name": "compliance", "option": %s}]}',
    "metadata": b'{"steps": ["compliance"], "metadata": {"a": %s}}',
    "reference": b'{"steps": ["compliance"], "reference": %s}',
    "a step": b'{"steps": [%s]}',
}


async def test_unstorable_value_is_refused(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """Such a value is the caller's error in every field, never a 5xx."""
    headers = {"content-type": "application/json"}
    answers = {
        (place, name): await client.post("/v1/flows", content=template % value, headers=headers)
        for place, template in PLACES.items()
        for name, value in UNSTORABLE.items()
    }

    assert {case: answer.status_code for case, answer in answers.items() if answer.status_code not in (400, 422)} == {}
    assert dots.requests == []


async def test_literal_backslashes_are_stored(client: httpx.AsyncClient) -> None:
    """A text that looks like an escaped NUL comes back unchanged."""
    metadata = {"a": "\\u0000", "b": "\\\\u0000"}

    answer = await client.post("/v1/flows", json=GOOD | {"metadata": metadata})

    assert answer.status_code == 201
    assert answer.json()["metadata"] == metadata


async def test_malformed_idempotency_key_is_422(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """A malformed key is refused before any call or row."""
    keys = ("", " ", "two words", "k" * 256, "tab\tkey")
    answers = [await client.post("/v1/flows", json=GOOD, headers={"Idempotency-Key": key}) for key in keys]

    assert [answer.status_code for answer in answers] == [422] * len(keys)
    assert {problem["field"] for answer in answers for problem in answer.json()["errors"]} == {"Idempotency-Key"}
    assert dots.requests == []
