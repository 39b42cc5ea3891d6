"""Creates flows over HTTP."""

from typing import Any

import httpx


async def create(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    """Create a flow."""
    answer = await client.post("/v1/flows", json={"steps": ["compliance", "payout"]} | body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())
