"""Create subscriptions over HTTP."""

from typing import Any

import httpx

URL = "http://127.0.0.1:9/events"
PATH = "/v1/subscriptions"


async def make(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    """Create a subscription to all events, with these fields changed."""
    answer = await client.post(PATH, json={"url": URL, "types": ["*"]} | body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def path_of(subscription: dict[str, Any], *parts: str) -> str:
    """The path of a subscription or of a part of it."""
    return "/".join((PATH, subscription["id"], *parts))
