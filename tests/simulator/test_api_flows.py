import re
from typing import Any

import pytest

from tests.simulator.setup import Setup

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.mark.parametrize("path", ["/api/v2/flows", "/api/v2/flows/", "/api/v2/flow/create", "/api/v2/flow/create/"])
async def test_a_created_flow_has_exactly_the_documented_shape(setup: Setup, path: str) -> None:
    """Keys are alphabetical, steps bare names, the time naive with microseconds."""
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


@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_flow_is_answered_again_by_its_id(setup: Setup, slash: str) -> None:
    """GET of one flow answers what POST answered."""
    flow = await setup.create("compliance", metadata="as it was")

    again = await setup.get(f"/api/v2/flows/{flow['id']}{slash}")

    assert again == flow


async def test_a_repeated_post_makes_a_second_flow(setup: Setup) -> None:
    """Dots knows no idempotency key on flows."""
    first, second = await setup.create("payout"), await setup.create("payout")

    assert first["id"] != second["id"]


async def test_a_flow_for_a_known_user_has_that_user_from_the_start(setup: Setup) -> None:
    """`user_id` is taken, whatever its case."""
    user = await setup.create_user()

    flow = await setup.create("payout", user_id=user["id"].upper())

    assert flow["user_id"] == user["id"]


async def test_unknown_steps_options_and_fields_pass(setup: Setup) -> None:
    """New names appear over the years."""
    flow = await setup.create({"name": "sign-in-blood", "colour": "red"}, {"name": "payout", "hue": 1}, mood="good")

    assert flow["steps"] == ["sign-in-blood", "payout"]


@pytest.mark.parametrize("step", ["onboard", "authorization", "onboarding", "authentication"])
async def test_a_flow_may_begin_with_signing_up(setup: Setup, step: str) -> None:
    """Also for a known user, as public code asks for it; the step is one as any other."""
    user = await setup.create_user()

    flow = await setup.create(step, "payout", user_id=user["id"])
    walked = await setup.control(f"flows/{flow['id']}/complete-next")

    assert (walked["step"], walked["flow"]["completed_steps"]) == (step, [step])


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/back?to=1#top",
        "http://127.0.0.1/",
        "https://user@example.com/",
        "https://example.com:8443/x",
        "http://localhost:3000/done",
        "http://[::1]:3000/done",
        "http://shop.localhost/",
    ],
)
async def test_redirect_urls_that_dots_publishes_and_those_of_this_machine_pass(setup: Setup, url: str) -> None:
    """The published pattern is unanchored; this machine is for developers, who use the simulator."""
    flow = await setup.create({"name": "redirect", "redirect_url": url})

    assert flow["steps"] == ["redirect"]


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


@pytest.mark.parametrize(("body", "message"), REFUSED, ids=[message for _, message in REFUSED])
async def test_a_request_against_the_rules_is_refused_in_the_documented_shape(
    setup: Setup, body: Any, message: str
) -> None:
    """Never in the shape of the framework; and no flow is made."""
    response = await setup.client.post("/api/v2/flows", json=body)

    assert response.status_code == 400
    assert response.json() == {"success": False, "message": message, "error_code": "invalid-input"}
    assert (await setup.get("/_control/state"))["flows"] == []


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_not_json_is_refused(setup: Setup, content: bytes) -> None:
    """Whatever is wrong with it."""
    response = await setup.client.post("/api/v2/flows", content=content)

    assert response.status_code == 400
    assert response.json()["message"] == "The request body must be JSON"


@pytest.mark.parametrize(
    ("method", "path", "status", "error_code"),
    [
        ("GET", "/api/v2/flows/b3293101-35ef-451a-aad4-881da3697c2f", 404, "not-found"),
        ("GET", "/api/v2/users/b3293101-35ef-451a-aad4-881da3697c2f", 404, "not-found"),
        ("GET", "/api/v2/nothing-here", 404, "not-found"),
        ("DELETE", "/api/v2/flows", 405, "method-not-allowed"),
    ],
)
async def test_what_is_not_there_is_answered_in_the_documented_shape(
    setup: Setup, method: str, path: str, status: int, error_code: str
) -> None:
    """Unknown ids, paths and methods alike."""
    response = await setup.client.request(method, path)

    answer = response.json()
    assert (response.status_code, answer["success"], answer["error_code"]) == (status, False, error_code)


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", "Basic !", "Bearer abc", "Basic cGtfZGV2X3NpbXVsYXRvcjp3cm9uZw==", "Basic w6k="],
)
async def test_a_call_with_wrong_credentials_is_refused(setup: Setup, authorization: str) -> None:
    """HTTP Basic with the simulator's own client id and key is the only way in."""
    response = await setup.client.get("/api/v2/flows", headers={"authorization": authorization}, auth=None)

    assert response.status_code == 401
    assert response.json()["error_code"] == "unauthorized"


async def test_an_organization_may_name_the_app_it_acts_for(setup: Setup) -> None:
    """`Api-App-Id` is taken beside the same Basic credentials."""
    response = await setup.client.post("/api/v2/flows", json={"steps": ["payout"]}, headers={"Api-App-Id": "a"})

    assert response.status_code == 200
