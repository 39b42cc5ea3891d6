import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.simulator.setup import Setup

GREEN = {"primaryColor": "#0a5", "borderRadius": "4px"}


async def finish(setup: Setup, flow: dict[str, Any], step: str, *, query: str = "", **fields: str) -> httpx.Response:
    """Send the form of a step and follow the redirect."""
    path = f"/flow/{flow['id']}/complete{query}"
    return await setup.client.post(path, data={"step": step, **fields}, follow_redirects=True)


async def open_page(setup: Setup, flow: dict[str, Any], **query: str) -> str:
    """The page at a flow's link."""
    response = await setup.client.get(flow["link"], params=query)
    assert response.status_code == 200
    return response.text


async def test_the_page_after_a_step_reports_the_step(setup: Setup) -> None:
    """After the step is complete, so that the embedding page can ask the API immediately."""
    flow = await setup.create_known("compliance", "payout")
    before = await open_page(setup, flow)

    after = (await finish(setup, flow, "compliance")).text

    assert "data-step" not in before
    assert 'data-step="compliance" data-status="completed"' in after
    assert '<script src="/static/embedded.js">' in after


async def test_an_unchanged_payout_method_is_reported_as_saved(setup: Setup) -> None:
    """The choice is kept for the payee's next flow. Another choice is reported as completed."""
    user_id = (await setup.create_user())["id"]
    statuses = []
    for choice in ("2", "2", "1"):
        flow = await setup.create_known("manage-payouts", user_id=user_id)
        text = (await finish(setup, flow, "manage-payouts", choice=choice)).text
        statuses.append(text.split('data-status="')[1].split('"')[0])

    assert statuses == ["completed", "completed-saved", "completed"]


@pytest.mark.parametrize(
    "query", [{"over": "payout", "status": "completed"}, {"over": "compliance", "status": '"><script>'}]
)
async def test_a_page_does_not_report_false_claims_in_its_url(setup: Setup, query: dict[str, str]) -> None:
    """A step that is not complete, or an invalid status."""
    flow = await setup.create_known("compliance", "payout")
    await finish(setup, flow, "compliance")

    assert "data-step" not in await open_page(setup, flow, **query)


async def test_a_theme_is_applied_and_kept_from_page_to_page(setup: Setup) -> None:
    """The link has `?styles=<JSON>`; forms and redirects keep it."""
    flow = await setup.create_known("compliance", "payout")

    first = await setup.client.get(flow["link"], params={"styles": json.dumps(GREEN)})
    action = first.text.split('action="')[1].split('"')[0].replace("&amp;", "&")
    second = await finish(setup, flow, "compliance", query=f"?{urlsplit(action).query}")

    declared = 'style="--accent: #0a5; --accent-dark: #0a5; --radius: 4px"'
    assert (declared in first.text, declared in second.text) == (True, True)
    assert parse_qs(urlsplit(action).query) == {"styles": [json.dumps(GREEN)]}
    assert "styles-problem" not in first.text


async def test_an_invalid_theme_is_reported_and_injects_nothing(setup: Setup) -> None:
    """The payee still sees the page."""
    flow = await setup.create_known("payout")
    cases = [
        ("{", "styles: invalid JSON"),
        ("[" * 20_000, "styles: invalid JSON"),
        ('"#fff"', "styles: not a JSON object"),
        ('{"primaryColor": "#12"}', "styles: cannot use primaryColor"),
        ('{"primaryColor": "url(//evil)"}', "styles: cannot use primaryColor"),
        ('{"primaryColor": "red; background: url(//evil)"}', "styles: cannot use primaryColor"),
        ('{"primaryColor": "#fff\\n"}', "styles: cannot use primaryColor"),
        ('{"borderRadius": 4}', "styles: cannot use borderRadius"),
        ('{"</style><script>x": "red"}', "styles: cannot use &lt;/style&gt;&lt;script&gt;x"),
    ]

    pages = [(problem, await open_page(setup, flow, styles=styles)) for styles, problem in cases]

    assert [problem for problem, text in pages if problem not in text or "step-payout" not in text] == []
    assert [problem for problem, text in pages if "evil" in text.split("<form")[0] or "<script>" in text] == []


async def test_a_frame_works_without_cookies(setup: Setup) -> None:
    """The URL has the session, because browsers do not send cookies in a frame of another site."""
    flow, other = await setup.create("payout"), await setup.create("payout")
    code = await setup.client.post(f"/flow/{flow['id']}/code")
    query = urlsplit(code.headers["location"]).query
    await setup.client.post(f"/flow/{other['id']}/code")
    setup.client.cookies.clear()

    shown = await setup.client.get(f"/flow/{flow['id']}?{query}")
    elsewhere = await setup.client.get(f"/flow/{other['id']}?{query}")
    done = await finish(setup, flow, "payout", query=f"?{query}")

    assert ("step-payout" in shown.text, "step-code" in elsewhere.text) == (True, True)
    assert f'action="/flow/{flow["id"]}/complete?{query}"' in shown.text
    assert "flow-finished" in done.text


@pytest.mark.parametrize("hides", [True, False])
async def test_a_loopback_redirect_ends_on_a_page_with_a_link(
    setup: Setup,
    hides: bool,  # noqa: FBT001 - a row of the table
) -> None:
    """Perhaps no program listens at the URL. The step is complete."""
    url = "http://localhost:3000/done?a=1&b=2"
    flow = await setup.create_known({"name": "redirect", "redirect_url": url, "hide_continue_button": hides})

    if hides:
        response = await setup.client.get(flow["link"], follow_redirects=True)
    else:
        response = await finish(setup, flow, "redirect")

    assert response.url.path == f"/flow/{flow['id']}/thanks"
    assert 'href="http://localhost:3000/done?a=1&amp;b=2"' in response.text
    assert 'data-step="redirect" data-status="completed"' in response.text
    assert "flow-finished" in await open_page(setup, flow)


async def test_the_thanks_page_is_only_for_finished_loopback_redirects(setup: Setup) -> None:
    """Before the redirect and for other URLs it redirects to the flow."""
    near = await setup.create_known({"name": "redirect", "redirect_url": "http://localhost:3000/"})
    far = await setup.create_known({"name": "redirect", "redirect_url": "https://example.com/"})
    await setup.client.post(f"/flow/{far['id']}/complete", data={"step": "redirect"})

    answers = [await setup.client.get(f"/flow/{flow['id']}/thanks") for flow in (near, far)]

    assert [answer.headers["location"] for answer in answers] == [f"/flow/{flow['id']}" for flow in (near, far)]


async def test_the_tester_can_skip_a_step(setup: Setup) -> None:
    """A second click changes nothing, and the page does not report the step as completed."""
    flow = await setup.create_known("compliance", "payout")
    text = await open_page(setup, flow)

    clicks = [
        await setup.client.post(f"/flow/{flow['id']}/skip", data={"step": "compliance"}, follow_redirects=True)
        for _ in range(2)
    ]

    assert f'formaction="/flow/{flow["id"]}/skip"' in text
    assert ["step-payout" in click.text and "data-step" not in click.text for click in clicks] == [True, True]
    assert (await setup.get(f"/api/v2/flows/{flow['id']}"))["completed_steps"] == []
