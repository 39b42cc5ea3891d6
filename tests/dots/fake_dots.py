"""A fake Dots that always gives the same answer, and its client."""

from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from app.dots.client import DotsAccess, DotsClient
from tests.dots.gates import open_gate

FLOW = "b3293101-35ef-451a-aad4-881da3697c2f"
USER = "5f0c0a1e-7a52-4d0f-9d43-0a4f0c7b8e11"
FLOW_JSON = {"id": FLOW, "steps": ["payout"]}
API_KEY = "sk_dev_very_secret"
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def access(*, base_url: str = "https://dots.example/api", app_id: str | None = None) -> DotsAccess:
    """One Dots app."""
    return DotsAccess(
        app="default",
        base_url=base_url,
        client_id="pk_dev_1",
        api_key=API_KEY,
        app_id=app_id,
    )


class Recorder:
    """A transport's handler that always gives the same answer and records the requests."""

    def __init__(self, payload: object, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Answer with this payload."""
        self.response = httpx.Response(status, json=payload, headers=headers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer once more."""
        self.requests.append(request)
        return httpx.Response(self.response.status_code, content=self.response.content, headers=self.response.headers)


def client(handler: Callable[[httpx.Request], httpx.Response], dots_access: DotsAccess | None = None) -> DotsClient:
    """A client whose requests this function answers."""
    return DotsClient(dots_access or access(), gate=open_gate(now), transport=httpx.MockTransport(handler), now=now)


def now() -> datetime:
    """Return the same time always."""
    return NOW
