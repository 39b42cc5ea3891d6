from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator.knobs import Unknowns
from tests.simulator.setup import Setup

REDIRECT = {"name": "redirect", "redirect_url": "https://example.com/back"}


async def assume(setup: Setup, **unknowns: Any) -> None:
    """Turn the knobs of what is not documented."""
    await setup.turn(unknowns=unknowns)


async def finished(setup: Setup, *steps: Any) -> dict[str, Any]:
    """A flow that was claimed and walked to its end."""
    flow = await setup.create(*steps)
    while (reported := await setup.control(f"flows/{flow['id']}/complete-next"))["step"] is not None:
        pass
    return dict(reported["flow"])


@pytest.mark.parametrize(("enters", "completed"), [(False, ["payout"]), (True, ["payout", "redirect"])])
async def test_redirect_may_enter_completed_steps(
    setup: Setup,
    enters: bool,  # noqa: FBT001 - a row of the table
    completed: list[str],
) -> None:
    """`redirect_enters_completed_steps`."""
    await assume(setup, redirect_enters_completed_steps=enters)

    flow = await finished(setup, "payout", REDIRECT)

    assert flow["completed_steps"] == completed


async def test_onboarding_may_be_echoed(setup: Setup) -> None:
    """`onboarding_in_completed_steps` and `onboarding_in_steps`, only for flows that needed it."""
    await assume(setup, onboarding_in_completed_steps=["authentication", "onboarding"], onboarding_in_steps=["onboard"])
    user = await setup.create_user()

    known = await setup.create("payout", user_id=user["id"])
    unknown = await setup.create("payout")
    claimed = (await setup.control(f"flows/{unknown['id']}/claim"))["flow"]

    assert (known["steps"], known["completed_steps"]) == (["payout"], [])
    assert (unknown["steps"], unknown["completed_steps"]) == (["onboard", "payout"], [])
    assert (claimed["steps"], claimed["completed_steps"]) == (["onboard", "payout"], ["authentication", "onboarding"])


@pytest.mark.parametrize(
    ("added", "steps", "completed"),
    [
        ("never", ["payout"], ["payout"]),
        ("listed", ["compliance", "payout"], ["compliance", "payout"]),
        ("unlisted", ["payout"], ["compliance", "payout"]),
    ],
)
async def test_compliance_may_be_added_by_dots(
    setup: Setup, added: str, steps: list[str], completed: list[str]
) -> None:
    """`added_compliance`: with or without listing it; the payee walks through it either way."""
    await assume(setup, added_compliance=added)

    flow = await finished(setup, "payout")

    assert (flow["steps"], flow["completed_steps"]) == (steps, completed)


async def test_compliance_that_was_asked_for_is_not_added_again(setup: Setup) -> None:
    """`added_compliance` leaves such flows alone."""
    await assume(setup, added_compliance="listed")

    assert (await setup.create("payout", "compliance"))["steps"] == ["payout", "compliance"]


async def test_times_may_carry_a_zone(setup: Setup) -> None:
    """`times`."""
    await assume(setup, times="utc")

    assert (await setup.create("payout"))["created"] == "2026-11-23T12:00:00.000000Z"


@pytest.mark.parametrize(
    ("is_echoed", "is_reported", "completed", "events"),
    [(False, False, ["payout"], 0), (True, False, ["compliance", "payout"], 0), (False, True, ["payout"], 1)],
)
async def test_a_skipped_step_may_be_echoed_and_told(
    setup: Setup,
    is_echoed: bool,  # noqa: FBT001 - a row of the table
    is_reported: bool,  # noqa: FBT001 - a row of the table
    completed: list[str],
    events: int,
) -> None:
    """`skipped_in_completed_steps` and `skip_sends_webhook`; the payee goes on with the next step either way."""
    await assume(setup, skipped_in_completed_steps=is_echoed, skip_sends_webhook=is_reported)
    user = await setup.create_user()
    flow = await setup.create("compliance", "payout", user_id=user["id"])

    await setup.control(f"flows/{flow['id']}/skip", {"step": "compliance"})
    await setup.settle()
    reported = len(setup.receiver.bodies)
    walked = await setup.control(f"flows/{flow['id']}/complete-next")

    assert reported == events
    assert (walked["step"], walked["flow"]["completed_steps"]) == ("payout", completed)


async def test_a_creation_may_answer_201(setup: Setup) -> None:
    """`create_status`."""
    await assume(setup, create_status=201)

    response = await setup.client.post("/api/v2/flows", json={"steps": ["payout"]})

    assert response.status_code == 201


@pytest.mark.parametrize("step", ["dance", "onboard", "authorization"])
async def test_unknown_steps_may_be_refused(setup: Setup, step: str) -> None:
    """`unknown_steps`: what the API reference does not list, though the guide names `onboard`."""
    await setup.create(step)
    await assume(setup, unknown_steps="refused")

    response = await setup.client.post("/api/v2/flows", json={"steps": [step]})

    assert response.json()["message"] == f"steps: {step} is not a valid step"


@pytest.mark.parametrize(("enforcement", "status"), [("enforced", 400), ("ignored", 200)])
async def test_the_pattern_of_redirect_urls_may_be_more_than_documentation(
    setup: Setup, enforcement: str, status: int
) -> None:
    """`redirect_url_pattern`: the published one knows no long top-level domain."""
    await assume(setup, redirect_url_pattern=enforcement)
    step = {"name": "redirect", "redirect_url": "https://a.technology/"}

    response = await setup.client.post("/api/v2/flows", json={"steps": [step]})

    assert response.status_code == status


@pytest.mark.parametrize("kind", ["flows", "users"])
@pytest.mark.parametrize(("status", "error_code"), [(404, "not-found"), (403, "forbidden")])
async def test_what_is_not_the_apps_own_may_be_forbidden(setup: Setup, kind: str, status: int, error_code: str) -> None:
    """`foreign_subject_status`: the same answer for what another app has as for what does not exist."""
    await assume(setup, foreign_subject_status=status)
    user = await setup.create_user(api_app_id="app-7")
    flow = await setup.control("flows", {"steps": ["payout"], "api_app_id": "app-7"})
    foreign = {"flows": flow["id"], "users": user["id"]}[kind]

    refused = [await setup.client.get(f"/api/v2/{kind}/{each}") for each in (foreign, "nothing")]
    own = await setup.client.get(f"/api/v2/{kind}/{foreign}", headers={"Api-App-Id": "app-7"})
    listed = await setup.get("/api/v2/flows")

    assert [(each.status_code, each.json()["error_code"]) for each in refused] == [(status, error_code)] * 2
    assert (own.status_code, listed["data"]) == (200, [])


async def test_unknown_users_may_be_accepted(setup: Setup) -> None:
    """`unknown_user`: the user is invented under the id given."""
    await assume(setup, unknown_user="accepted")

    flow = await setup.create("payout", user_id="b3293101-35ef-451a-aad4-881da3697c2f")

    assert (await setup.get(f"/api/v2/users/{flow['user_id']}"))["status"] == "unverified"


@pytest.mark.parametrize("metadata", [{str(n): "" for n in range(51)}, {"k" * 41: ""}, {"k": "v" * 501}])
async def test_metadata_may_be_limited(setup: Setup, metadata: dict[str, str]) -> None:
    """`metadata_limits`; without it anything passes."""
    await setup.create("payout", metadata=metadata)
    await assume(setup, metadata_limits=True)

    response = await setup.client.post("/api/v2/flows", json={"steps": ["payout"], "metadata": metadata})

    assert response.status_code == 400


async def test_lists_may_come_oldest_first(setup: Setup) -> None:
    """`list_order`."""
    await assume(setup, list_order="oldest_first")
    made = [await setup.create("payout") for _ in range(3)]

    page = await setup.get("/api/v2/flows?limit=2")

    assert page == {"data": made[:2], "has_more": True}


async def test_wrong_credentials_may_be_answered_403(setup: Setup) -> None:
    """`bad_credentials_status`, as v1 did."""
    await assume(setup, bad_credentials_status=403)

    response = await setup.client.get("/api/v2/flows", auth=("a", "b"))

    assert response.status_code == 403


@pytest.mark.parametrize(
    ("error_format", "text"),
    [
        ("full", '{"success":false,"message":"Flow not found","error_code":"not-found"}'),
        ("message_only", '{"message":"Flow not found"}'),
        ("empty", "{}"),
        ("text", "Flow not found"),
    ],
)
async def test_errors_may_lack_fields_or_not_be_json(setup: Setup, error_format: str, text: str) -> None:
    """`error_format`."""
    await assume(setup, error_format=error_format)

    response = await setup.client.get("/api/v2/flows/nothing")

    assert (response.status_code, response.text) == (404, text)


@pytest.mark.parametrize(("tells", "retry_after"), [(True, "60"), (False, None)])
async def test_calls_may_be_limited_per_minute(
    setup: Setup,
    tells: bool,  # noqa: FBT001 - a row of the table
    retry_after: str | None,
) -> None:
    """`rate_limit_per_minute` and `rate_limit_retry_after`; a minute later calls pass again."""
    await assume(setup, rate_limit_per_minute=2, rate_limit_retry_after=tells)
    answers = [await setup.client.get("/api/v2/flows") for _ in range(3)]
    setup.clock.now += timedelta(seconds=61)

    later = await setup.client.get("/api/v2/flows")

    assert [answer.status_code for answer in [*answers, later]] == [200, 200, 429, 200]
    assert answers[2].headers.get("retry-after") == retry_after


def test_every_unknown_is_named_here() -> None:
    """A new knob needs a test in this file, or in the one beside it about users and webhooks."""
    here = Path(__file__)
    text = "".join(path.read_text(encoding="utf-8") for path in (here, here.with_name("test_unknown_users.py")))

    assert [name for name in Unknowns.model_fields if name not in text] == []
