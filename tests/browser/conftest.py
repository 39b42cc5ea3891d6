"""A real browser, for each test anew."""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A page in a fresh browser: Debian's Chromium, or the one Playwright has brought."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            # Chromium refuses to sandbox what root runs.
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        page = await browser.new_page()
        page.set_default_timeout(20_000)
        yield page
        await browser.close()
