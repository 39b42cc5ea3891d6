"""Controls the simulator in tests: acts as the payee, sets knobs, reads its state."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from tests.stack.waiting import DEADLINE_SECONDS, eventually

CLIENT_ID = "pk_dev_simulator"
API_KEY = "sk_dev_simulator"
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Dots:
    """A client of a simulator's `/_control`."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        """Use the simulator at this URL."""
        self.url = url
        self._client = client

    async def ask(self, path: str) -> Any:
        """GET from the control API; the JSON of the answer."""
        return _json(await self._client.get(f"{self.url}/_control/{path}"))

    async def tell(self, path: str, body: Any = None) -> Any:
        """POST to the control API; the JSON of the answer."""
        return _json(await self._client.post(f"{self.url}/_control/{path}", json=body))

    async def turn(self, **knobs: int | Mapping[str, Any]) -> None:
        """Set knobs, by group."""
        _json(await self._client.patch(f"{self.url}/_control/knobs", json=knobs))

    async def send_webhooks_to(self, *api_urls: str, secret: str = WEBHOOK_SECRET) -> None:
        """Make these gateways the only webhook endpoints."""
        endpoints = [{"url": f"{url}/webhooks/dots", "secret": secret} for url in api_urls]
        _json(await self._client.put(f"{self.url}/_control/webhook-endpoints", json=endpoints))

    async def add_user(self, **fields: Any) -> str:
        """Create a user, `verified` by default; the id."""
        return str((await self.tell("users", fields))["id"])

    async def onboard(self, flow_id: str) -> str:
        """Claim a flow as a new payee; the user's id."""
        return str((await self.tell(f"flows/{flow_id}/claim"))["flow"]["user_id"])

    async def do(self, flow_id: str, step: str, *, verdict: str = "cleared") -> None:
        """Complete a step of a claimed flow. `verdict` is the result of a background check."""
        how = {"verdict": verdict} if step == "background-check" else {}
        await self.tell(f"flows/{flow_id}/complete", {"step": step, **how})

    async def do_all(self, actions: Iterable[tuple[str, str, str | None]]) -> list[str]:
        """Perform actions (flow, step or `onboarding`, verdict) in order; the flows' users."""
        body = [{"flow_id": flow_id, "step": step, "verdict": verdict} for flow_id, step, verdict in actions]
        return list((await self.tell("flows/complete", body))["user_ids"])

    async def walk(self, flow: Mapping[str, Any], *, verdict: str = "cleared", steps: int | None = None) -> None:
        """Act as the payee of a new flow: claim it if it has no user, then complete all steps or the first `steps`."""
        if flow["user_id"] is None:
            await self.onboard(flow["id"])
        for step in flow["steps"][:steps]:
            await self.do(flow["id"], step["name"], verdict=verdict)

    async def send(self, **body: str) -> str:
        """Send a webhook with this body; its message id."""
        answer = await self.tell("webhooks", {"body": json.dumps(body)})
        return str(answer["message_ids"][0])

    async def attempts(self) -> list[dict[str, Any]]:
        """All finished attempts to deliver webhooks."""
        return list((await self.ask("deliveries"))["deliveries"])

    async def acknowledged(self) -> set[str]:
        """The ids of the messages with a 2xx answer."""
        return {each["message_id"] for each in await self.attempts() if each["status"] in range(200, 300)}

    async def all_sent(self, *, within: float = DEADLINE_SECONDS) -> None:
        """Wait until all deliveries are finished, including retries."""

        async def is_idle() -> bool:
            return bool((await self.ask("deliveries"))["under_way"] == 0)

        await eventually(is_idle, within=within)

    async def hanging_call(self, path_part: str) -> None:
        """Wait until a call of the Dots API hangs whose path contains `path_part`."""

        async def hangs() -> bool:
            calls = (await self.ask("api-calls"))["api_calls"]
            return any(
                call["fault"] == "hang" and call["status"] is None and path_part in call["path"] for call in calls
            )

        await eventually(hangs)


def _json(response: httpx.Response) -> Any:
    assert response.is_success, f"{response.request.url}: {response.status_code} {response.text}"
    return response.json()
