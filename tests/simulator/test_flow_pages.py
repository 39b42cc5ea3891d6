from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.simulator.stage import Stage

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


async def page(stage: Stage, flow: dict[str, Any]) -> str:
    """The page at a flow's link."""
    response = await stage.client.get(flow["link"], follow_redirects=True)
    assert response.status_code == 200
    return response.text


async def press(stage: Stage, flow: dict[str, Any], action: str, **fields: str) -> httpx.Response:
    """Send a form as a browser would, and go where it leads."""
    return await stage.client.post(f"/flow/{flow['id']}/{action}", data=fields, follow_redirects=True)


async def known_flow(stage: Stage, *steps: Any, **fields: Any) -> dict[str, Any]:
    """A flow for a known user, whose link needs no code."""
    user = await stage.create_user()
    return await stage.create(*steps, user_id=user["id"], **fields)


async def test_a_payee_walks_through_every_page(stage: Stage) -> None:
    """Phone, code, each step, finish; every page says that this is a simulator."""
    flow = await stage.create(*WITH_OPTIONS)
    pages = [await page(stage, flow)]
    pages.append((await press(stage, flow, "phone")).text)
    pages.append((await press(stage, flow, "code")).text)

    pages.extend([(await press(stage, flow, "complete", step=step)).text for step in STEPS])

    marks = ["step-phone", "step-code", *[f"step-{step}" for step in STEPS], "flow-finished"]
    assert all(f'data-testid="{mark}"' in text for mark, text in zip(marks, pages, strict=True))
    assert all("This is a simulator, not Dots." in text for text in pages)
    assert (await stage.get(f"/api/v2/flows/{flow['id']}"))["completed_steps"] == STEPS


async def test_onboarding_happens_once_the_code_is_given(stage: Stage) -> None:
    """The phone number alone claims nothing."""
    flow = await stage.create("payout")

    await press(stage, flow, "phone")
    before = await stage.get(f"/api/v2/flows/{flow['id']}")
    await press(stage, flow, "code")
    after = await stage.get(f"/api/v2/flows/{flow['id']}")

    assert (before["user_id"], after["user_id"] is None) == (None, False)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [("cleared", "pass"), ("flagged", "failed"), ("pending", "pending"), ("consider", "consider")],
)
async def test_the_tester_chooses_how_a_background_check_ends(stage: Stage, outcome: str, status: str) -> None:
    """The page offers the outcome, and the user gets it."""
    flow = await known_flow(stage, "background-check")
    text = await page(stage, flow)

    await press(stage, flow, "complete", step="background-check", outcome=outcome)

    user = await stage.get(f"/api/v2/users/{flow['user_id']}")
    assert f'data-testid="outcome-{outcome}"' in text
    assert user["compliance"]["background_check"]["status"] == status


@pytest.mark.parametrize(("outcome", "is_verified"), [("verified", True), ("failed", False)])
async def test_the_tester_chooses_how_an_id_check_ends(
    stage: Stage,
    outcome: str,
    is_verified: bool,  # noqa: FBT001 - a row of the table
) -> None:
    """Either way the step is done."""
    flow = await known_flow(stage, "id-verification")

    await press(stage, flow, "complete", step="id-verification", outcome=outcome)

    user = await stage.get(f"/api/v2/users/{flow['user_id']}")
    assert user["compliance"]["id_verified"] is is_verified
    assert (await stage.get(f"/api/v2/flows/{flow['id']}"))["completed_steps"] == ["id-verification"]


async def test_fields_for_personal_data_have_no_name(stage: Stage) -> None:
    """A browser sends nothing of them, so nothing can be kept."""
    flow = await known_flow(stage, "background-check")

    text = await page(stage, flow)

    inputs = [line for line in text.splitlines() if "<input" in line and "required" in line]
    assert all(label in text for label in ("Full name", "Date of birth", "Social Security number"))
    assert len(inputs) == 3
    assert not any("name=" in line for line in inputs)


async def test_a_hidden_continue_button_leaves_the_pages_own_action(stage: Stage) -> None:
    """Which completes the step."""
    flow = await known_flow(stage, {"name": "manage-payouts", "hide_continue_button": True}, "payout")

    hidden = await page(stage, flow)
    shown = (await press(stage, flow, "complete", step="manage-payouts")).text

    assert ("Continue" in hidden, "Save payout method" in hidden) == (False, True)
    assert ("Continue" in shown, "Withdraw</button>" in shown) == (True, False)


async def test_redirect_sends_the_payee_on(stage: Stage) -> None:
    """After Continue, and then the flow is finished."""
    flow = await known_flow(stage, {"name": "redirect", "redirect_url": "https://example.com/back"})
    text = await page(stage, flow)

    response = await stage.client.post(f"/flow/{flow['id']}/complete", data={"step": "redirect"})

    assert "example.com" in text
    assert (response.status_code, response.headers["location"]) == (303, "https://example.com/back")
    assert "flow-finished" in await page(stage, flow)


async def test_redirect_without_its_continue_button_redirects_at_once(stage: Stage) -> None:
    """There is nothing to see on its page."""
    step = {"name": "redirect", "redirect_url": "https://example.com/back", "hide_continue_button": True}
    flow = await known_flow(stage, step)

    response = await stage.client.get(flow["link"])

    assert (response.status_code, response.headers["location"]) == (303, "https://example.com/back")


@pytest.mark.parametrize("hides", [True, False])
async def test_the_finish_page_may_hide_the_dashboard(
    stage: Stage,
    hides: bool,  # noqa: FBT001 - a row of the table
) -> None:
    """`hide_go_to_dashboard_on_complete`."""
    flow = await known_flow(stage, "payout", hide_go_to_dashboard_on_complete=hides)

    text = (await press(stage, flow, "complete", step="payout")).text

    assert ("Go to dashboard" in text) is not hides


async def test_a_link_for_a_known_user_needs_a_code_after_15_minutes(stage: Stage) -> None:
    """Until then it is open; afterwards one code lets this browser in."""
    flow = await known_flow(stage, "payout")
    stage.clock.now += timedelta(minutes=15)
    in_time = await page(stage, flow)
    stage.clock.now += timedelta(seconds=1)

    too_late = await page(stage, flow)
    with_code = (await press(stage, flow, "code")).text

    assert "step-payout" in in_time
    assert "step-code" in too_late
    assert "step-payout" in with_code


async def test_require_auth_asks_for_a_code_at_once(stage: Stage) -> None:
    """And without it no step can be completed."""
    flow = await known_flow(stage, "payout", require_auth=True)

    text = (await press(stage, flow, "complete", step="payout")).text

    assert "step-code" in text
    assert (await stage.get(f"/api/v2/flows/{flow['id']}"))["completed_steps"] == []


async def test_a_second_click_changes_nothing(stage: Stage) -> None:
    """The form of a step that is over leads to the step that is next."""
    flow = await known_flow(stage, "compliance", "payout")
    await press(stage, flow, "complete", step="compliance")

    text = (await press(stage, flow, "complete", step="compliance")).text

    assert "step-payout" in text
    assert (await stage.get(f"/api/v2/flows/{flow['id']}"))["completed_steps"] == ["compliance"]


async def test_a_link_to_nothing_says_so(stage: Stage) -> None:
    """As a page, with 404."""
    response = await stage.client.get("/flow/nothing")

    assert response.status_code == 404
    assert "No such flow" in response.text


async def test_the_name_of_a_step_cannot_smuggle_markup_into_a_page(stage: Stage) -> None:
    """Unknown names are shown as text."""
    flow = await known_flow(stage, "<script>alert(1)</script>")

    assert "<script>" not in await page(stage, flow)
