from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.simulator.setup import Setup

STEPS = [
    "compliance",
    "id-verification",
    "background-check",
    "manage-payments",
    "manage-payouts",
    "payout",
    "pdf-form-fill",
    "onboard",
    "never-heard-of",
]
WITH_OPTIONS = [{"name": step, "template_id": "tpl"} if step == "pdf-form-fill" else step for step in STEPS]


async def page(setup: Setup, flow: dict[str, Any]) -> str:
    """The page at a flow's link."""
    response = await setup.client.get(flow["link"], follow_redirects=True)
    assert response.status_code == 200
    return response.text


async def press(setup: Setup, flow: dict[str, Any], action: str, **fields: str) -> httpx.Response:
    """Send a form like a browser and follow the redirect."""
    return await setup.client.post(f"/flow/{flow['id']}/{action}", data=fields, follow_redirects=True)


async def test_a_payee_can_complete_every_page(setup: Setup) -> None:
    """Phone, code, each step, finish. Every page says that this is a simulator."""
    flow = await setup.create(*WITH_OPTIONS)
    pages = [await page(setup, flow)]
    pages.append((await press(setup, flow, "phone")).text)
    pages.append((await press(setup, flow, "code")).text)

    pages.extend([(await press(setup, flow, "complete", step=step)).text for step in STEPS])

    marks = ["step-phone", "step-code", *[f"step-{step}" for step in STEPS], "flow-finished"]
    assert all(f'data-testid="{mark}"' in text for mark, text in zip(marks, pages, strict=True))
    assert all("This is a simulator, not Dots." in text for text in pages)
    assert (await setup.get(f"/api/v2/flows/{flow['id']}"))["completed_steps"] == STEPS


async def test_the_code_claims_the_flow(setup: Setup) -> None:
    """The phone number alone does not."""
    flow = await setup.create("payout")

    await press(setup, flow, "phone")
    before = await setup.get(f"/api/v2/flows/{flow['id']}")
    await press(setup, flow, "code")
    after = await setup.get(f"/api/v2/flows/{flow['id']}")

    assert (before["user_id"], after["user_id"] is None) == (None, False)


@pytest.mark.parametrize(
    ("step", "outcome", "is_verified", "status"),
    [
        ("background-check", "cleared", False, "pass"),
        ("background-check", "flagged", False, "failed"),
        ("background-check", "pending", False, "pending"),
        ("background-check", "consider", False, "consider"),
        ("id-verification", "verified", True, None),
        ("id-verification", "failed", False, None),
    ],
)
async def test_the_tester_chooses_the_outcome_of_a_check(
    setup: Setup,
    step: str,
    outcome: str,
    is_verified: bool,  # noqa: FBT001 - a row of the table
    status: str | None,
) -> None:
    """The page offers the outcome, the user gets it, and the step is complete in any case."""
    flow = await setup.create_known(step)
    text = await page(setup, flow)

    await press(setup, flow, "complete", step=step, outcome=outcome)

    compliance = (await setup.get(f"/api/v2/users/{flow['user_id']}"))["compliance"]
    assert f'data-testid="outcome-{outcome}"' in text
    assert (compliance["id_verified"], compliance.get("background_check", {}).get("status")) == (is_verified, status)
    assert (await setup.get(f"/api/v2/flows/{flow['id']}"))["completed_steps"] == [step]


async def test_inputs_for_personal_data_have_no_name(setup: Setup) -> None:
    """The browser does not send them, so the simulator cannot store them."""
    flow = await setup.create_known("background-check")

    text = await page(setup, flow)

    inputs = [line for line in text.splitlines() if "<input" in line and "required" in line]
    assert all(label in text for label in ("Full name", "Date of birth", "Social Security number"))
    assert len(inputs) == 3
    assert not any("name=" in line for line in inputs)


async def test_the_pages_own_button_replaces_a_hidden_continue_button(setup: Setup) -> None:
    """It completes the step."""
    flow = await setup.create_known({"name": "manage-payouts", "hide_continue_button": True}, "payout")

    hidden = await page(setup, flow)
    shown = (await press(setup, flow, "complete", step="manage-payouts")).text

    assert ("Continue" in hidden, "Save payout method" in hidden) == (False, True)
    assert ("Continue" in shown, "Withdraw</button>" in shown) == (True, False)


async def test_a_redirect_step_redirects_after_continue(setup: Setup) -> None:
    """Then the flow is finished."""
    flow = await setup.create_known({"name": "redirect", "redirect_url": "https://example.com/back"})
    text = await page(setup, flow)

    response = await setup.client.post(f"/flow/{flow['id']}/complete", data={"step": "redirect"})

    assert "example.com" in text
    assert (response.status_code, response.headers["location"]) == (303, "https://example.com/back")
    assert "flow-finished" in await page(setup, flow)


async def test_a_redirect_step_with_a_hidden_continue_button_redirects_immediately(setup: Setup) -> None:
    """The payee does not see its page."""
    step = {"name": "redirect", "redirect_url": "https://example.com/back", "hide_continue_button": True}
    flow = await setup.create_known(step)

    response = await setup.client.get(flow["link"])

    assert (response.status_code, response.headers["location"]) == (303, "https://example.com/back")


@pytest.mark.parametrize("hides", [True, False])
async def test_the_finish_page_can_hide_the_dashboard(
    setup: Setup,
    hides: bool,  # noqa: FBT001 - a row of the table
) -> None:
    """`hide_go_to_dashboard_on_complete`."""
    flow = await setup.create_known("payout", hide_go_to_dashboard_on_complete=hides)

    text = (await press(setup, flow, "complete", step="payout")).text

    assert ("Go to dashboard" in text) is not hides


async def test_a_link_for_a_known_user_needs_a_code_after_15_minutes(setup: Setup) -> None:
    """Afterwards the browser that enters a code is authenticated."""
    flow = await setup.create_known("payout")
    setup.clock.now += timedelta(minutes=15)
    in_time = await page(setup, flow)
    setup.clock.now += timedelta(seconds=1)

    too_late = await page(setup, flow)
    with_code = (await press(setup, flow, "code")).text

    assert "step-payout" in in_time
    assert "step-code" in too_late
    assert "step-payout" in with_code


async def test_require_auth_always_asks_for_a_code(setup: Setup) -> None:
    """Without the code the payee cannot complete a step."""
    flow = await setup.create_known("payout", require_auth=True)

    text = (await press(setup, flow, "complete", step="payout")).text

    assert "step-code" in text
    assert (await setup.get(f"/api/v2/flows/{flow['id']}"))["completed_steps"] == []


async def test_a_second_click_changes_nothing(setup: Setup) -> None:
    """The form of a completed step redirects to the next step."""
    flow = await setup.create_known("compliance", "payout")
    await press(setup, flow, "complete", step="compliance")

    text = (await press(setup, flow, "complete", step="compliance")).text

    assert "step-payout" in text
    assert (await setup.get(f"/api/v2/flows/{flow['id']}"))["completed_steps"] == ["compliance"]


async def test_an_unknown_flow_has_an_error_page(setup: Setup) -> None:
    """Its status is 404."""
    response = await setup.client.get("/flow/nothing")

    assert response.status_code == 404
    assert "No such flow" in response.text


async def test_the_name_of_a_step_is_escaped(setup: Setup) -> None:
    """The page shows it as text."""
    flow = await setup.create_known("<script>alert(1)</script>")

    assert "<script>" not in await page(setup, flow)
