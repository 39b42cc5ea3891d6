"""Events pushed to healthy, slow and temporarily unreachable subscribers."""

import asyncio

from dots_gateway_client import verify
from tests.clients import programs
from tests.clients.programs import CLIENTS
from tests.journeys.arrivals import EVENTS, FLOWS, by_subject, first_arrivals, has, walk
from tests.stack.gateway import Feed
from tests.stack.processes import running_stack
from tests.stack.waiting import eventually
from tests.subscriptions import subscriber


async def test_each_subscriber_gets_every_event_in_order(database_url: str, unused_tcp_port: int) -> None:
    """Slow subscribers do not delay the others. An unreachable subscriber gets the events when it is back."""
    async with running_stack(database_url) as stack:
        async with subscriber.listening() as healthy, subscriber.listening() as slow:
            slow.is_open.clear()
            secret = (await stack.gateway.subscribe(healthy.url))["secret"]
            await stack.gateway.subscribe(slow.url)
            await stack.gateway.subscribe(f"http://127.0.0.1:{unused_tcp_port}/events")
            await walk(stack)
            await has(healthy, EVENTS)
            slow_before = len(slow.received)
            slow.is_open.set()
            async with subscriber.listening(port=unused_tcp_port) as away:
                await asyncio.gather(has(slow, EVENTS), has(away, EVENTS))
            feed = by_subject(await Feed(stack.gateway).until(lambda events: len(events) >= EVENTS))

        assert slow_before == FLOWS
        for shop in (healthy, slow, away):
            assert by_subject(first_arrivals(shop.received)) == feed
        for each in healthy.received:
            assert verify(each.body, each.headers, [secret]).id == each.event["id"]


async def test_javascript_consumer_accepts_a_delivery(database_url: str, unused_tcp_port: int) -> None:
    """The consumer in `clients/javascript` verifies it, also after a rotation of the secret."""
    async with running_stack(database_url) as stack:
        subscription = await stack.gateway.subscribe(f"http://127.0.0.1:{unused_tcp_port}/")
        environment = {"PORT": str(unused_tcp_port), "WEBHOOK_SECRET": subscription["secret"]}
        async with programs.running("node", "consumer.js", directory=CLIENTS / "javascript", **environment) as shop:
            await shop.line_with("listening on")
            await stack.gateway.post(f"/v1/subscriptions/{subscription['id']}/secret")
            await stack.gateway.create("compliance")
            await shop.line_with("dots.flow.created")

            async def is_delivered() -> bool:
                page = await stack.gateway.read(f"/v1/subscriptions/{subscription['id']}/deliveries")
                return [each["state"] for each in page["deliveries"]] == ["delivered"]

            await eventually(is_delivered)
