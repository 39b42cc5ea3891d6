from collections.abc import AsyncIterator

import pytest

from tests.subscriptions.push.subscribers import NO_CONTENT, Subscriber, leaves, subscriber


@pytest.fixture
async def trap() -> AsyncIterator[Subscriber]:
    """A listener that the gateway must never connect to."""
    async with subscriber(leaves(NO_CONTENT)) as seen:
        yield seen
