"""The real service for clients of it: over real HTTP, a real database below it, a Dots in memory beside it."""

from collections.abc import Iterator

import pytest
import structlog

from app.feed import watch_feed
from tests.dots.memory_dots import MemoryDots


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is logged to the terminal; without a worker to give hints, the feed is looked at more often."""
    monkeypatch.setattr(watch_feed, "POLL_SECONDS", 0.05)
    with structlog.testing.capture_logs():
        yield


@pytest.fixture
async def dots() -> MemoryDots:
    """The Dots that the service asks."""
    return MemoryDots()
