"""A payee completes a flow in a browser, and the feed reports each step."""

from collections.abc import Iterable

from playwright.async_api import Page, Route, expect

from tests.stack import database
from tests.stack.gateway import Feed
from tests.stack.processes import Stack, running_stack

REDIRECT_URL = "https://thanks.example.com/done"
TYPED = {
    "Phone number": "555 010 7788",
    "One-time code": "918273",
    "Full name": "Philippa Quennerstedt",
    "Date of birth": "1983-02-17",
    "Social Security number": "078-05-1120",
    "Address": "77 Nowhere Crescent, Gloamwick",
}


async def test_clicks_become_events_and_input_stays_in_the_browser(page: Page, database_url: str) -> None:
    """Onboarding, tax details, a flagged check and a redirect become exactly their events, in order."""
    async with running_stack(database_url) as stack:
        steps = ["compliance", "background-check", {"name": "redirect", "redirect_url": REDIRECT_URL}]
        flow = await stack.gateway.create(*steps, reference="payee-17")
        await page.route(f"{REDIRECT_URL}**", thank)

        await page.goto(flow["link"])
        await onboard(page)
        await submit(page, "compliance", "Full name", "Date of birth", "Social Security number", "Address")
        await submit(
            page, "background-check", "Full name", "Date of birth", "Social Security number", outcome="Flagged"
        )
        await is_on_step(page, "redirect")
        await page.get_by_role("button", name="Continue").click()
        await page.wait_for_url(f"{REDIRECT_URL}**")
        user_id, events = await claimed_by(stack, flow["id"]), Feed(stack.gateway)
        reported_for_flow = await events.until_reported(f"flow/{flow['id']}", 5)
        reported_for_user = await events.until_reported(f"user/{user_id}", 1)

        assert reported_for_flow == [
            "flow.created",
            "flow.claimed",
            "flow.step_completed compliance",
            "flow.step_completed background-check",
            "flow.completed",
        ]
        assert reported_for_user == ["background_check.flagged"]
        assert {event["data"].get("reference", "payee-17") for event in events.events} == {"payee-17"}
        await assert_nowhere(stack, TYPED.values())


async def thank(route: Route) -> None:
    """Answer for the page of the redirect, so that no request leaves this machine."""
    await route.fulfill(status=200, content_type="text/html", body="<h1>Thank you</h1>")


async def onboard(page: Page) -> None:
    """Sign in with a phone number and a code."""
    await says_it_is_a_simulator(page)
    await page.get_by_label("Phone number").fill(TYPED["Phone number"])
    await page.get_by_role("button", name="Continue").click()
    await says_it_is_a_simulator(page)
    await page.get_by_label("One-time code").fill(TYPED["One-time code"])
    await page.get_by_role("button", name="Continue").click()


async def submit(page: Page, step: str, *labels: str, outcome: str | None = None) -> None:
    """Fill in a step's form and continue. `outcome` is the tester's choice for a check."""
    await is_on_step(page, step)
    await says_it_is_a_simulator(page)
    for label in labels:
        await page.get_by_label(label).fill(TYPED[label])
    if outcome is not None:
        await page.get_by_label(outcome, exact=True).check()
    await page.get_by_role("button", name="Continue").click()


async def is_on_step(page: Page, step: str) -> None:
    """Wait until the page shows this step."""
    await expect(page.get_by_test_id(f"step-{step}")).to_be_visible()


async def says_it_is_a_simulator(page: Page) -> None:
    """Check that the page has the simulator's notice."""
    await expect(page.get_by_role("note")).to_contain_text("This is a simulator, not Dots.")


async def claimed_by(stack: Stack, flow_id: str) -> str:
    """The id of the flow's user at Dots."""
    flows = (await stack.dots.ask("state"))["flows"]
    return str(next(flow["user_id"] for flow in flows if flow["id"] == flow_id))


async def assert_nowhere(stack: Stack, words: Iterable[str]) -> None:
    """Check that the database, the logs, the simulator's state and its webhooks do not contain the words."""
    places = await database.everything(stack.database_url)
    assert places["flows.reference"] == "payee-17"
    places["logs"] = stack.logs.text()
    for path in ("state", "webhooks", "deliveries"):
        places[path] = str(await stack.dots.ask(path))
    for place, text in places.items():
        assert not [word for word in words if word in text], place
