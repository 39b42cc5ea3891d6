"""A page embeds a flow in a frame and receives messages about the payee's steps."""

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
LISTEN = "var received = []; addEventListener('message', ({origin, data}) => received.push({origin, data}))"


async def test_embedded_flow_reports_its_height_and_each_step(page: Page) -> None:
    """The messages come from the simulator's origin. An unchanged payout method is reported as saved."""
    async with empty_stack("") as stack:
        await stack.start_simulator()
        user_id = await stack.dots.add_user()
        first = await flow_of(stack, user_id, "payout", "manage-payouts")
        async with embedding(page, first) as frame:
            await press(frame, "payout")
            await press(frame, "manage-payouts")
            reported = await messages(page, "manage-payouts")
        second = await flow_of(stack, user_id, "manage-payouts", redirect_to(stack))
        async with embedding(page, second) as frame:
            await press(frame, "manage-payouts")
            await press(frame, "redirect")
            reported_again = await messages(page, "redirect")
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


async def test_payee_can_sign_up_in_a_themed_frame_of_another_site(page: Page) -> None:
    """The browser sends no cookie in the frame. `?styles=` on the link sets the button colour of every page."""
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
    """Create a flow at the simulator, for this user if there is one."""
    answer = await stack.client.post(
        f"{stack.dots.url}/api/v2/flows",
        json={"steps": list(steps), "user_id": user_id},
        auth=(dots.CLIENT_ID, dots.API_KEY),
    )
    return dict(answer.raise_for_status().json())


def redirect_to(stack: Stack) -> dict[str, str]:
    """A redirect to a loopback URL."""
    return {"name": "redirect", "redirect_url": f"{stack.dots.url}/done"}


@contextlib.asynccontextmanager
async def embedding(page: Page, flow: dict[str, Any]) -> AsyncIterator[FrameLocator]:
    """Open a page of another site that shows the flow in a frame and keeps the received messages.

    A local server serves the page, because Chromium does not let a public page embed a local one.
    """
    link = f"{flow['link']}?{urlencode({'styles': json.dumps(THEME)})}"
    frame = f'<iframe src="{link}" width="500" height="300"></iframe>'
    content = f"<!doctype html><script>{LISTEN}</script>{frame}".encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {len(content)}\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):  # An unused connection.
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head.encode() + content)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        await page.goto(f"http://localhost:{server.sockets[0].getsockname()[1]}/")
        yield page.frame_locator("iframe")
        await page.goto("about:blank")


async def press(frame: FrameLocator, step: str) -> None:
    """Complete a step on its page."""
    await expect(frame.get_by_test_id(f"step-{step}")).to_be_visible()
    await frame.get_by_role("button", name="Continue").click()


async def messages(page: Page, step: str) -> list[dict[str, Any]]:
    """Wait for the message about a step; all messages of the embedding page."""
    await page.wait_for_function(f"received.some(each => each.data.step === '{step}')")
    return list(await page.evaluate("received"))
