"""SIGTERM: requests in flight are answered, waiting readers are released, and the process exits soon with 0."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks.webhooks import Webhook

from tests.stack import database, dots
from tests.stack.gateway import Feed
from tests.stack.processes import Stack, running_stack

SOON_SECONDS = 10.0


async def test_api_answers_what_is_in_flight_and_ends_with_status_0(database_url: str) -> None:
    """Webhooks wait for their commit, a long poll and a stream for events. SIGTERM drops none of them."""
    async with running_stack(database_url, workers=0) as stack:
        api = stack.apis[0]
        async with database.nothing_commits(database_url, "webhooks"):
            webhooks = [await begin(stack, "POST", "/webhooks/dots", **signed(f"msg_{number}")) for number in range(10)]
            poll = await begin(stack, "GET", "/v1/events", **with_key(stack), params={"after": "latest", "wait": 30})
            stream = await begin(stack, "GET", "/v1/events/stream", **with_key(stack))
            # The api reads its sockets in the order of arrival. Once it answers this, it has begun all of those.
            assert (await stack.gateway.get("/livez")).status_code == 200
            asked_at = time.monotonic()
            api.ask_to_end()
            polled, streamed = await asyncio.gather(poll, stream)
            answered_early = [webhook for webhook in webhooks if webhook.done()]
        answers = await asyncio.gather(*webhooks)
        status = await api.exit_status()

        assert status == 0
        assert time.monotonic() - asked_at < SOON_SECONDS
        assert (polled.status_code, polled.json()["events"]) == (200, [])
        assert (streamed.status_code, streamed.text.count("id: ")) == (200, 1)
        assert answered_early == []
        assert [answer.status_code for answer in answers] == [204] * 10
        assert await database.column(database_url, "SELECT count(*) FROM webhooks") == [10]


async def test_worker_finishes_what_it_has_begun_and_ends_with_status_0(database_url: str) -> None:
    """A refresh that waits for Dots at SIGTERM is still applied by the same worker."""
    async with running_stack(database_url) as stack:
        flow = await stack.gateway.create("payout", user_id=await stack.dots.add_user())
        slow = {"kind": "hang", "seconds": 1, "path_contains": flow["id"]}
        await stack.dots.turn(faults={"next_responses": [slow]})
        await stack.dots.do(flow["id"], "payout")
        await stack.dots.hanging_call(flow["id"])
        asked_at = time.monotonic()
        stack.workers[0].ask_to_end()

        status = await stack.workers[0].exit_status()

        assert status == 0
        assert time.monotonic() - asked_at < SOON_SECONDS
        assert (await stack.gateway.read(f"/v1/flows/{flow['id']}"))["status"] == "completed"
        await stack.start_worker(name="worker-after")
        reported = await Feed(stack.gateway).until_reported(f"flow/{flow['id']}", 3)
        assert reported[-1] == "flow.completed"


async def test_idle_worker_ends_at_once(database_url: str) -> None:
    """Nothing to finish: status 0, and no lease or lock is left behind."""
    async with running_stack(database_url) as stack:
        asked_at = time.monotonic()
        stack.workers[0].ask_to_end()

        status = await stack.workers[0].exit_status()

        assert status == 0
        assert time.monotonic() - asked_at < SOON_SECONDS


async def begin(stack: Stack, method: str, path: str, **request: Any) -> asyncio.Task[httpx.Response]:
    """Send a request to the first api, whose answer comes later."""
    is_sent = asyncio.Event()

    async def note(name: str, _info: dict[str, Any]) -> None:
        if name == "http11.send_request_body.complete":
            is_sent.set()

    url = f"{stack.apis[0].url}{path}"
    answer = asyncio.create_task(stack.client.request(method, url, **request, extensions={"trace": note}))
    await is_sent.wait()
    return answer


def with_key(stack: Stack) -> dict[str, Any]:
    """The headers with the caller's key."""
    return {"headers": {"Authorization": f"Bearer {stack.key}"}}


def signed(message_id: str) -> dict[str, Any]:
    """The headers of a signed webhook."""
    body, now = '{"event": "transfer.updated"}', datetime.now(UTC)
    signature = Webhook(dots.WEBHOOK_SECRET).sign(message_id, now, body)
    headers = {"svix-id": message_id, "svix-timestamp": str(int(now.timestamp())), "svix-signature": signature}
    return {"headers": headers, "content": body}
