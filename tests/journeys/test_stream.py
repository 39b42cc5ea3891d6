"""A reader resumes an event stream after a break."""

import json
from typing import Any

from tests.stack.gateway import Feed, tell
from tests.stack.processes import Stack, running_stack


async def test_a_resumed_stream_neither_misses_nor_repeats_events(database_url: str) -> None:
    """The reader disconnects, and gets the later events from another api with `Last-Event-ID`."""
    async with running_stack(database_url, apis=2) as stack:
        flow = await stack.gateway.create("compliance", "payout")
        await stack.dots.onboard(flow["id"])
        await stack.dots.do(flow["id"], "compliance")
        before, last_id = await read(stack, api=0, count=3)
        await stack.dots.do(flow["id"], "payout")

        after, _ = await read(stack, api=1, count=2, last_id=last_id)

        assert [tell(event) for event in before] == ["flow.created", "flow.claimed", "flow.step_completed compliance"]
        assert [tell(event) for event in after] == ["flow.step_completed payout", "flow.completed"]
        assert before + after == await Feed(stack.gateway).until(lambda events: len(events) == 5)


async def read(stack: Stack, *, api: int, count: int, last_id: str = "") -> tuple[list[dict[str, Any]], str]:
    """The first `count` events of a stream and the id of the last one. Then the reader disconnects."""
    headers = {"Authorization": f"Bearer {stack.key}"} | ({"Last-Event-ID": last_id} if last_id else {})
    events: list[dict[str, Any]] = []
    async with stack.client.stream("GET", f"{stack.apis[api].url}/v1/events/stream", headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            fields |= {name: value}
            if not line:
                events += [json.loads(fields["data"])] if "data" in fields else []
                if len(events) == count:
                    break
                fields = {}
    return events, fields["id"]
