"""Connections to Postgres go silent: both sides think they are open, but the network drops all packets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from tests.faults.campaigns import proxy
from tests.faults.campaigns.proxy import Link, Proxy
from tests.journeys.asking import KINDS, ask_at_once, ask_one_by_one, at_most_one_failed, use_all_connections
from tests.stack import database
from tests.stack.gateway import Feed
from tests.stack.processes import Stack, running_stack
from tests.stack.waiting import eventually

EVENT_SECONDS = 10.0


@pytest.mark.parametrize("first", KINDS)
async def test_at_most_one_request_fails_on_silent_connections(database_url: str, first: str) -> None:
    """All connections of an idle service go silent. A failing request takes at most 5 s."""
    async with behind_a_proxy(database_url) as (stack, fault_proxy):
        await use_all_connections(stack)
        silenced = fault_proxy.silence()

        answers = await ask_one_by_one(stack, first, *KINDS, *KINDS)

        assert silenced > 10
        assert at_most_one_failed(answers), answers
        stored = await database.column(database_url, "SELECT message_id FROM webhooks")
        assert {answer.message_id for answer in answers if answer.status == 204} <= set(stored)


async def test_at_most_one_concurrent_request_fails_on_silent_connections(database_url: str) -> None:
    """Ten requests arrive at the same time and use silent connections."""
    async with behind_a_proxy(database_url) as (stack, fault_proxy):
        await use_all_connections(stack)
        fault_proxy.silence()

        answers = await ask_at_once(stack, *(["read"] * 10))
        later = await ask_one_by_one(stack, *KINDS)

        assert at_most_one_failed(answers), answers
        assert not any(answer.is_failure for answer in later), later


async def test_worker_continues_after_its_connections_went_silent(database_url: str) -> None:
    """All connections of api and worker go silent. The next step is reported within seconds."""
    async with behind_a_proxy(database_url) as (stack, fault_proxy):
        flow = await stack.gateway.create("compliance", "payout")
        feed = Feed(stack.gateway)
        await stack.dots.walk(flow, steps=1)
        await feed.until_reported(f"flow/{flow['id']}", 3)
        await database.all_handled(database_url)
        fault_proxy.silence()

        await stack.dots.do(flow["id"], "payout")
        reported = await feed_without_failures(stack, feed, f"flow/{flow['id']}", 5)

        assert reported[3:] == ["flow.step_completed payout", "flow.completed"]


async def test_silent_listeners_do_not_stop_events(database_url: str) -> None:
    """The connections that listen for notifications go silent. Readers poll, and the processes listen again."""
    async with behind_a_proxy(database_url) as (stack, fault_proxy):
        flow = await stack.gateway.create("compliance", "payout")
        feed = Feed(stack.gateway)
        await stack.dots.walk(flow, steps=1)
        await feed.until_reported(f"flow/{flow['id']}", 3)
        silenced = fault_proxy.silence(is_listening)

        await stack.dots.do(flow["id"], "payout")
        reported = await feed.until(lambda events: len(events) == 5, within=EVENT_SECONDS)

        async def listen_again() -> bool:
            return fault_proxy.count(is_listening) == silenced

        await eventually(listen_again)
        assert silenced == 2
        assert len(reported) == 5


def is_listening(link: Link) -> bool:
    """Whether a connection listens for notifications."""
    return link.is_listening


@asynccontextmanager
async def behind_a_proxy(database_url: str) -> AsyncIterator[tuple[Stack, Proxy]]:
    """An api and a worker that reach Postgres through a proxy."""
    parts = urlsplit(database_url)
    async with proxy.listening(Proxy(parts.port or 5432)) as fault_proxy:
        url = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{fault_proxy.port}").geturl()
        async with running_stack(url) as stack:
            yield stack, fault_proxy


async def feed_without_failures(stack: Stack, feed: Feed, subject: str, count: int) -> list[str]:
    """The events of a subject, read after the one request that may fail."""
    await ask_one_by_one(stack, "readyz")
    await feed.until(lambda events: len(events) >= count, within=EVENT_SECONDS)
    return await feed.until_reported(subject, count)
