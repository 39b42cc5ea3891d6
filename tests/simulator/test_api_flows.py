import re
from typing import Any

import pytest

from tests.simulator.setup import Setup

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.mark.parametrize("path", ["/api/v2/flows", "/api/v2/flows/", "/api/v2/flow/create", "/api/v2/flow/create/"])
async def test_a_created_flow_has_the_documented_fields(setup: Setup, path: str) -> None:
    """Keys are sorted, steps are bare names, and the time has microseconds and no zone."""
    steps = ["compliance", {"name": "manage-payouts", "auto_payout_enabled": False}]

    response = await setup.client.post(path, json={"steps": steps, "metadata": {"team": "eu"}})

    flow_id = response.json()["id"]
    assert response.status_code == 200
    assert re.fullmatch(UUID, flow_id)
    assert response.text == (
        '{"completed_steps":[],"created":"2026-11-23T12:00:00.000000",'
        f'"id":"{flow_id}","link":"http://dots.test/flow/{flow_id}","metadata":{{"team":"eu"}},'
        '"payout_link_id":null,"steps":["compliance","manage-payouts"],"user_id":null}'
    )


async def test_get_returns_the_flow_that_post_created(setup: Setup) -> None:
    """With and without a trailing slash. The same POST again creates a second flow."""
    first, second = [await setup.create("compliance", metadata="text") for _ in range(2)]

    assert await setup.get(f"/api/v2/flows/{first['id']}") == first
    assert await setup.get(f"/api/v2/flows/{second['id']}/") == second
    assert first["id"] != second["id"]


async def test_a_flow_for_a_known_user_has_that_user(setup: Setup) -> None:
    """`user_id` is not case-sensitive."""
    user = await setup.create_user()

    flow = await setup.create("payout", user_id=user["id"].upper())

    assert flow["user_id"] == user["id"]


async def test_unknown_steps_options_and_fields_are_accepted(setup: Setup) -> None:
    """Dots adds new names over time."""
    flow = await setup.create({"name": "sign-in-blood", "colour": "red"}, {"name": "payout", "hue": 1}, mood="good")

    assert flow["steps"] == ["sign-in-blood", "payout"]


@pytest.mark.parametrize("step", ["onboard", "authorization", "onboarding", "authentication"])
async def test_a_flow_can_start_with_a_sign_up_step(setup: Setup, step: str) -> None:
    """Public code requests such steps, also for known users. They behave like other steps."""
    user = await setup.create_user()

    flow = await setup.create(step, "payout", user_id=user["id"])
    walked = await setup.control(f"flows/{flow['id']}/complete-next")

    assert (walked["step"], walked["flow"]["completed_steps"]) == (step, [step])


async def test_redirect_urls_that_match_the_published_pattern_or_are_loopback_are_accepted(setup: Setup) -> None:
    """The published pattern is unanchored. Developers use loopback URLs."""
    urls = [
        "https://example.com/back?to=1#top",
        "http://127.0.0.1/",
        "https://user@example.com/",
        "https://example.com:8443/x",
        "http://localhost:3000/done",
        "http://[::1]:3000/done",
        "http://shop.localhost/",
    ]

    flows = [await setup.create({"name": "redirect", "redirect_url": url}) for url in urls]

    assert [flow["steps"] for flow in flows] == [["redirect"]] * len(urls)


REFUSED: list[tuple[Any, str]] = [
    ([], "The request body must be a JSON object"),
    ({}, "steps: must be an array of at least one step"),
    ({"steps": []}, "steps: must be an array of at least one step"),
    ({"steps": "compliance"}, "steps: must be an array of at least one step"),
    ({"steps": ["payout", "payout"]}, "steps: must be unique"),
    ({"steps": ["payout", {"name": "payout"}]}, "steps: must be unique"),
    ({"steps": [7]}, "steps: each must be a name or an object with a name"),
    ({"steps": [""]}, "steps: each must be a name or an object with a name"),
    ({"steps": [{"options": {}}]}, "steps: each must be a name or an object with a name"),
    ({"steps": ["redirect"]}, "steps: redirect requires redirect_url"),
    ({"steps": [{"name": "redirect", "redirect_url": "ftp://a.com"}]}, "steps: redirect has an invalid redirect_url"),
    ({"steps": [{"name": "redirect", "redirect_url": "http://host"}]}, "steps: redirect has an invalid redirect_url"),
    ({"steps": [{"name": "redirect", "redirect_url": "HTTP://a.com"}]}, "steps: redirect has an invalid redirect_url"),
    ({"steps": [{"name": "redirect", "redirect_url": "http://[x"}]}, "steps: redirect has an invalid redirect_url"),
    ({"steps": [{"name": "redirect", "redirect_url": 1}]}, "steps: redirect has an invalid redirect_url"),
    (
        {"steps": [{"name": "compliance", "hide_continue_button": "yes"}]},
        "steps: compliance has an invalid hide_continue_button",
    ),
    ({"steps": [{"name": "payout", "payout_fee_party": "bank"}]}, "steps: payout has an invalid payout_fee_party"),
    (
        {"steps": [{"name": "manage-payouts", "require_default_payout_method": 1}]},
        "steps: manage-payouts has an invalid require_default_payout_method",
    ),
    ({"steps": ["pdf-form-fill"]}, "steps: pdf-form-fill requires template_id"),
    ({"steps": [{"name": "pdf-form-fill", "template_id": 3}]}, "steps: pdf-form-fill has an invalid template_id"),
    ({"steps": ["payout"], "user_id": "nobody"}, "user_id: must be a UUID"),
    ({"steps": ["payout"], "user_id": 5}, "user_id: must be a UUID"),
    ({"steps": ["payout"], "user_id": "b3293101-35ef-451a-aad4-881da3697c2f"}, "user_id: no such user"),
    ({"steps": ["payout"], "require_auth": "no"}, "require_auth: must be a boolean"),
    (
        {"steps": ["payout"], "hide_go_to_dashboard_on_complete": 0},
        "hide_go_to_dashboard_on_complete: must be a boolean",
    ),
    ({"steps": ["payout"], "metadata": ["a"]}, "metadata: must be a string or an object"),
]


async def test_an_invalid_request_is_refused_in_the_documented_format(setup: Setup) -> None:
    """The answer never has FastAPI's format, and no flow is created."""
    answers = [await setup.client.post("/api/v2/flows", json=body) for body, _ in REFUSED]

    assert {answer.status_code for answer in answers} == {400}
    assert [answer.json() for answer in answers] == [
        {"success": False, "message": message, "error_code": "invalid-input"} for _, message in REFUSED
    ]
    assert (await setup.get("/_control/state"))["flows"] == []


async def test_a_body_that_is_not_json_is_refused(setup: Setup) -> None:
    """Empty, incomplete, not UTF-8, or too deep for the parser."""
    bodies = [b"", b"{", b"\xff", b"[" * 100_000]

    answers = [await setup.client.post("/api/v2/flows", content=body) for body in bodies]

    assert [(answer.status_code, answer.json()["message"]) for answer in answers] == [
        (400, "The request body must be JSON")
    ] * 4


@pytest.mark.parametrize(
    ("method", "path", "status", "error_code"),
    [
        ("GET", "/api/v2/flows/b3293101-35ef-451a-aad4-881da3697c2f", 404, "not-found"),
        ("GET", "/api/v2/users/b3293101-35ef-451a-aad4-881da3697c2f", 404, "not-found"),
        ("GET", "/api/v2/nothing-here", 404, "not-found"),
        ("DELETE", "/api/v2/flows", 405, "method-not-allowed"),
    ],
)
async def test_unknown_ids_paths_and_methods_are_answered_in_the_documented_format(
    setup: Setup, method: str, path: str, status: int, error_code: str
) -> None:
    """404 and 405 are errors in Dots' format."""
    response = await setup.client.request(method, path)

    answer = response.json()
    assert (response.status_code, answer["success"], answer["error_code"]) == (status, False, error_code)


async def test_a_call_with_wrong_credentials_is_refused(setup: Setup) -> None:
    """Only HTTP Basic with the simulator's client id and key is accepted."""
    wrong = ["", "Basic", "Basic !", "Bearer abc", "Basic cGtfZGV2X3NpbXVsYXRvcjp3cm9uZw==", "Basic w6k="]

    answers = [
        await setup.client.get("/api/v2/flows", headers={"authorization": authorization}, auth=None)
        for authorization in wrong
    ]

    assert [(answer.status_code, answer.json()["error_code"]) for answer in answers] == [(401, "unauthorized")] * 6


async def test_an_organization_can_name_an_app(setup: Setup) -> None:
    """`Api-App-Id` works with the same Basic credentials."""
    response = await setup.client.post("/api/v2/flows", json={"steps": ["payout"]}, headers={"Api-App-Id": "a"})

    assert response.status_code == 200
