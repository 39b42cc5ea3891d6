"""Subscriptions made over HTTP, by an administrator and by one who may read about background checks too."""

from typing import Any

import httpx

URL = "http://127.0.0.1:9/events"
PATH = "/v1/subscriptions"


async def make(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    """A new subscription to everything, apart from these fields."""
    answer = await client.post(PATH, json={"url": URL, "types": ["*"]} | body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def path_of(subscription: dict[str, Any], *parts: str) -> str:
    """Where a subscription is, or something of it."""
    return "/".join((PATH, subscription["id"], *parts))
