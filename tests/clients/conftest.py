"""Fixtures for tests of the clients against the real service, over HTTP, with a real database and a fake Dots."""

from collections.abc import Iterator

import pytest
import structlog

from app.feed import watch_feed
from tests.dots.memory_dots import MemoryDots


@pytest.fixture(autouse=True)
def _capture_logs_and_poll_often(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Capture the logs, and poll the feed more often, because no worker sends notifications."""
    monkeypatch.setattr(watch_feed, "POLL_SECONDS", 0.05)
    with structlog.testing.capture_logs():
        yield


@pytest.fixture
async def dots() -> MemoryDots:
    """The Dots of the service."""
    return MemoryDots()
