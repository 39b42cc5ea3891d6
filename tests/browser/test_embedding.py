"""A company's own page shows a flow in a frame, and hears from it what the payee does."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

from playwright.async_api import FrameLocator, Page, expect

from tests.stack import dots
from tests.stack.processes import Stack, empty_stack

HEIGHT_WITHOUT_CONTENT = 50
THEME = {"primaryColor": "#0a5f38"}
LISTEN = "var told = []; addEventListener('message', each => told.push({origin: each.origin, data: each.data}))"


async def test_an_embedded_flow_tells_its_height_and_each_step(page: Page) -> None:
    """To the page around it, from the simulator's origin; a payout method that was saved before has its own word."""
    async with empty_stack("") as stack:
        await stack.start_simulator()
        user_id = await stack.dots.add_user()
        first = await flow_of(stack, user_id, "payout", "manage-payouts")
        async with embedding(page, first) as frame:
            await press(frame, "payout")
            await press(frame, "manage-payouts")
            reported = await heard(page, "manage-payouts")
        second = await flow_of(stack, user_id, "manage-payouts", redirect_to(stack))
        async with embedding(page, second) as frame:
            await press(frame, "manage-payouts")
            await press(frame, "redirect")
            reported_again = await heard(page, "redirect")
            await expect(frame.get_by_test_id("flow-thanks")).to_be_visible()

        assert [each["data"] for each in reported if "step" in each["data"]] == [
            {"step": "payout", "status": "completed"},
            {"step": "manage-payouts", "status": "completed"},
        ]
        assert [each["data"] for each in reported_again if "step" in each["data"]] == [
            {"step": "manage-payouts", "status": "completed-saved"},
            {"step": "redirect", "status": "completed"},
        ]
        assert {each["origin"] for each in reported} == {stack.dots.url}
        heights = [each["data"]["height"] for each in reported if "height" in each["data"]]
        assert all(height > HEIGHT_WITHOUT_CONTENT for height in heights)
        assert len(heights) >= 3


async def test_a_payee_signs_up_in_a_frame_of_another_site_and_sees_its_theme(page: Page) -> None:
    """The browser sends no cookie there; `?styles=` on the link colours the button of every page."""
    async with empty_stack("") as stack:
        await stack.start_simulator()
        flow = await flow_of(stack, None, "payout", "manage-payouts")

        async with embedding(page, flow) as frame:
            await frame.get_by_label("Phone number").fill("555 010 7788")
            await press(frame, "phone")
            await frame.get_by_label("One-time code").fill("918273")
            await press(frame, "code")
            for step in ("payout", "manage-payouts"):
                button = frame.get_by_role("button", name="Continue")
                await expect(frame.get_by_test_id(f"step-{step}")).to_be_visible()
                await expect(button).to_have_css("background-color", "rgb(10, 95, 56)")
                await press(frame, step)
            await expect(frame.get_by_test_id("flow-finished")).to_be_visible()


async def flow_of(stack: Stack, user_id: str | None, *steps: Any) -> dict[str, Any]:
    """A flow made at the simulator itself, for a known user if there is an id."""
    answer = await stack.client.post(
        f"{stack.dots.url}/api/v2/flows",
        json={"steps": list(steps), "user_id": user_id},
        auth=(dots.CLIENT_ID, dots.API_KEY),
    )
    return dict(answer.raise_for_status().json())


def redirect_to(stack: Stack) -> dict[str, str]:
    """A redirect to this machine."""
    return {"name": "redirect", "redirect_url": f"{stack.dots.url}/done"}


@contextlib.asynccontextmanager
async def embedding(page: Page, flow: dict[str, Any]) -> AsyncIterator[FrameLocator]:
    """Open a page of another site that shows the flow in a frame, and keeps what it hears.

    The page is really served from this machine: Chromium lets no page from elsewhere show one from here.
    """
    link = f"{flow['link']}?{urlencode({'styles': json.dumps(THEME)})}"
    frame = f'<iframe src="{link}" width="500" height="300"></iframe>'
    content = f"<!doctype html><script>{LISTEN}</script>{frame}".encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {len(content)}\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):  # A connection opened in advance, and not used.
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head.encode() + content)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        await page.goto(f"http://localhost:{server.sockets[0].getsockname()[1]}/")
        yield page.frame_locator("iframe")
        await page.goto("about:blank")


async def press(frame: FrameLocator, step: str) -> None:
    """Finish a step on its page."""
    await expect(frame.get_by_test_id(f"step-{step}")).to_be_visible()
    await frame.get_by_role("button", name="Continue").click()


async def heard(page: Page, step: str) -> list[dict[str, Any]]:
    """What the page around has heard, once it has heard of this step."""
    await page.wait_for_function(f"told.some(each => each.data.step === '{step}')")
    return list(await page.evaluate("told"))
