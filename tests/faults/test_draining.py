"""SIGTERM while something hangs: the process still ends in bounded time."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.faults.test_stopping import begin, signed, with_key
from tests.stack import database
from tests.stack.processes import Process, Stack, empty_stack
from tests.subscriptions import subscriber

DRAIN_SECONDS = 2.0
# Well above the drain, and well below everything that hangs.
SOON_SECONDS = 12.0
HANGS_SECONDS = 50

_RUN = """
import os
import uvloop
from app import logs, settings
from app.processes import api, worker
found = settings.read(os.environ)
logs.configure(log_format=found.log_format, log_level=found.log_level)
uvloop.run({coroutine})
"""
API = "api.serve(found, host='127.0.0.1', port=0, with_worker=True, drain_seconds={seconds})"
WORKER = "worker.work(found, drain_seconds={seconds})"


@asynccontextmanager
async def hanging(stack: Stack) -> AsyncIterator[None]:
    """A refresh that Dots does not answer and a delivery that its subscriber does not answer, both in flight."""
    async with subscriber.listening() as shop:
        made = await stack.client.post(
            f"{stack.apis[0].url}/v1/subscriptions", **with_key(stack), json={"url": shop.url, "types": ["*"]}
        )
        assert made.status_code == 201, made.text
        shop.is_open.clear()
        flow = await stack.gateway.create("payout", user_id=await stack.dots.add_user())
        await shop.has_under_way(1)
        slow = {"kind": "hang", "seconds": HANGS_SECONDS, "path_contains": flow["id"]}
        await stack.dots.turn(faults={"next_responses": [slow] * 20})
        await stack.dots.do(flow["id"], "payout")
        await stack.dots.hanging_call(flow["id"])
        yield
        # It would hang at its own end, and the test would wait for it.
        await stack.simulators[0].kill()


@asynccontextmanager
async def one_process(
    database_url: str, *, coroutine: str, seconds: float, name: str
) -> AsyncIterator[tuple[Stack, Process]]:
    """A simulator, an api without a worker, and the process that is to be ended."""
    settings = {"DOTS_TIMEOUT_SECONDS": "50", "DELIVERY_TIMEOUT_SECONDS": "50"}
    async with empty_stack(database_url, **settings) as stack:
        await stack.start_simulator()
        ready = "listening" if name == "api" else "worker started"
        code = _RUN.format(coroutine=coroutine.format(seconds=seconds))
        async with asyncio.TaskGroup() as starting:
            starting.create_task(stack.create_key())
            starting.create_task(stack.start_api(name="caller"))
            run = starting.create_task(stack.start_python(code, name=name, ready=f'"{ready}"'))
        process = run.result()
        await stack.dots.send_webhooks_to(stack.apis[0].url)
        yield stack, process


async def end(stack: Stack, process: Process, *, signals: int = 1) -> tuple[int, float]:
    """Send SIGTERM. Returns the exit status, and how many seconds the process took."""
    began = time.monotonic()
    for _ in range(signals):
        process.ask_to_end()
        await stack.logs.hear(process.child.name, '"draining"')
    status = await process.exit_status()
    return status, time.monotonic() - began


async def test_api_with_a_worker_ends_although_everything_hangs(database_url: str) -> None:
    """Dots, a subscriber, a reader of a stream and a request's database never answer. The drain is bounded."""
    async with one_process(database_url, coroutine=API, seconds=DRAIN_SECONDS, name="api") as (stack, api):
        stack.apis.insert(0, api)
        async with hanging(stack), database.nothing_commits(database_url, "webhooks"):
            webhook = await begin(stack, "POST", "/webhooks/dots", **signed("msg_1"))
            stream = await begin(stack, "GET", "/v1/events/stream", **with_key(stack))
            status, seconds = await end(stack, api)
            await asyncio.gather(webhook, stream, return_exceptions=True)

    assert status == 0
    assert seconds < SOON_SECONDS


async def test_worker_ends_although_everything_hangs(database_url: str) -> None:
    """Dots and a subscriber never answer. The leases of the unfinished work expire later."""
    async with (
        one_process(database_url, coroutine=WORKER, seconds=DRAIN_SECONDS, name="worker") as (stack, worker),
        hanging(stack),
    ):
        status, seconds = await end(stack, worker)

    assert status == 0
    assert seconds < SOON_SECONDS


@pytest.mark.parametrize(("name", "coroutine"), [("api", API), ("worker", WORKER)], ids=["api", "worker"])
async def test_second_signal_ends_the_process_without_waiting(database_url: str, name: str, coroutine: str) -> None:
    """An operator's second signal skips the drain."""
    async with (
        one_process(database_url, coroutine=coroutine, seconds=HANGS_SECONDS, name=name) as (stack, process),
        hanging(stack),
    ):
        status, seconds = await end(stack, process, signals=2)

    assert status == 0
    assert seconds < SOON_SECONDS
