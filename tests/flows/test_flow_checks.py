from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.dots.memory_dots import MemoryDots
from tests.storage import stored

GOOD: dict[str, Any] = {"steps": ["compliance"]}


def redirect(url: object) -> dict[str, Any]:
    """A body with one redirect."""
    return {"steps": [{"name": "redirect", "redirect_url": url}]}


# A body, and the fields that the answer must name.
INVALID: list[tuple[Any, list[str]]] = [
    ({}, ["steps"]),
    ({"steps": None}, ["steps"]),
    ({"steps": []}, ["steps"]),
    ({"steps": "compliance"}, ["steps"]),
    ({"steps": {"name": "compliance"}}, ["steps"]),
    ({"steps": 1}, ["steps"]),
    ({"steps": ["a"] * 51}, ["steps"]),
    ({"steps": [None]}, ["steps.0"]),
    ({"steps": [17]}, ["steps.0"]),
    ({"steps": [[]]}, ["steps.0"]),
    ({"steps": [""]}, ["steps.0"]),
    ({"steps": ["a" * 101]}, ["steps.0"]),
    ({"steps": ["two\nlines"]}, ["steps.0"]),
    ({"steps": [{}]}, ["steps.0.name"]),
    ({"steps": [{"name": 5}]}, ["steps.0.name"]),
    ({"steps": ["compliance", "payout", "compliance"]}, ["steps.2"]),
    ({"steps": ["compliance", {"name": "compliance"}]}, ["steps.1"]),
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
    ({"steps": [{"name": "pdf-form-fill", "template_id": ""}]}, ["steps.0.template_id"]),
    ({"steps": [{"name": "pdf-form-fill", "template_id": 7}]}, ["steps.0.template_id"]),
    ({"steps": ["redirect"]}, ["steps.0.redirect_url"]),
    ({"steps": [{"name": "redirect"}]}, ["steps.0.redirect_url"]),
    ({"steps": ["Redirect"]}, ["steps.0"]),
    ({"steps": [{"name": "redirect\u00a0"}]}, ["steps.0.name"]),
    ({"steps": ["pdf-form-fill"]}, ["steps.0.template_id"]),
    (redirect(None), ["steps.0.redirect_url"]),
    (redirect(""), ["steps.0.redirect_url"]),
    (redirect("example.com"), ["steps.0.redirect_url"]),
    (redirect("ftp://example.com"), ["steps.0.redirect_url"]),
    (redirect("javascript:alert(1)//example.com"), ["steps.0.redirect_url"]),
    (redirect("http://localhost/x"), ["steps.0.redirect_url"]),
    (redirect("http://[::1]/"), ["steps.0.redirect_url"]),
    (redirect("http://[::1/"), ["steps.0.redirect_url"]),
    (redirect("https://example.com:99999"), ["steps.0.redirect_url"]),
    (redirect("https://example.com/a b"), ["steps.0.redirect_url"]),
    (redirect("https://example.com/" + "a" * 2048), ["steps.0.redirect_url"]),
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
    (GOOD | {"metadata": True}, ["metadata"]),
    (GOOD | {"metadata": ["a"]}, ["metadata"]),
    (GOOD | {"metadata": "a" * 501}, ["metadata"]),
    (GOOD | {"metadata": {str(number): 1 for number in range(50)}}, ["metadata"]),
    (GOOD | {"metadata": {"k" * 41: 1}}, ["metadata." + "k" * 40]),
    (GOOD | {"metadata": {"a": "v" * 501}}, ["metadata.a"]),
    (GOOD | {"metadata": {"a": ["v" * 499]}}, ["metadata.a"]),
    (GOOD | {"metadata": {"dots_gateway_ref": "x"}}, ["metadata.dots_gateway_ref"]),
    (GOOD | {"reference": ""}, ["reference"]),
    (GOOD | {"reference": 17}, ["reference"]),
    (GOOD | {"reference": "r" * 201}, ["reference"]),
    (GOOD | {"app": None}, ["app"]),
    (GOOD | {"app": ""}, ["app"]),
    (GOOD | {"idempotency_key": "k"}, ["idempotency_key"]),
    # What is wrong in two places is said of both.
    (
        {"steps": ["compliance", "compliance", {"name": "redirect"}], "metadata": 4},
        ["steps.1", "steps.2.redirect_url", "metadata"],
    ),
]


async def test_invalid_body_names_its_fields(client: httpx.AsyncClient, dots: MemoryDots, engine: AsyncEngine) -> None:
    """422 with one line for each field that is wrong; Dots is not asked, nothing is stored."""
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


# JSON that Python reads but that Postgres or the next reader would choke on, in every place that is free-form.
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


async def test_value_that_cannot_be_kept_is_refused(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """Odd JSON is the caller's mistake wherever it stands, and never a 5xx."""
    headers = {"content-type": "application/json"}
    answers = {
        (place, name): await client.post("/v1/flows", content=template % value, headers=headers)
        for place, template in PLACES.items()
        for name, value in UNSTORABLE.items()
    }

    assert {case: answer.status_code for case, answer in answers.items() if answer.status_code not in (400, 422)} == {}
    assert dots.requests == []


async def test_literal_backslashes_are_no_escapes(client: httpx.AsyncClient) -> None:
    """A text that only looks like an escaped NUL is stored and given back."""
    metadata = {"a": "\\u0000", "b": "\\\\u0000"}

    answer = await client.post("/v1/flows", json=GOOD | {"metadata": metadata})

    assert answer.status_code == 201
    assert answer.json()["metadata"] == metadata


async def test_malformed_idempotency_key_is_422(client: httpx.AsyncClient, dots: MemoryDots) -> None:
    """A key that could not be kept as given is refused before anything happens."""
    keys = ("", " ", "two words", "k" * 256, "tab\tkey")
    answers = [await client.post("/v1/flows", json=GOOD, headers={"Idempotency-Key": key}) for key in keys]

    assert [answer.status_code for answer in answers] == [422] * len(keys)
    assert {problem["field"] for answer in answers for problem in answer.json()["errors"]} == {"Idempotency-Key"}
    assert dots.requests == []
