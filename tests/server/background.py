"""Serves the application from its own thread, for test tools without asyncio."""

import asyncio
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

from app.access import manage_keys
from app.dots.signature import Verifier
from app.server.application import create_app
from app.storage import database
from tests.all_inputs import HandClock, gateway_over, inputs_over
from tests.dots.memory_dots import MemoryDots
from tests.webhooks import sending

START_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Service:
    """The URL of a running service, and the header with a key that has every scope."""

    url: str
    headers: dict[str, str]


@contextmanager
def service(database_url: str) -> Iterator[Service]:
    """Run a service on this database, with Dots in memory, until the end of the block."""
    found: Future[Service] = Future()
    loop = asyncio.new_event_loop()
    stopping = asyncio.Event()
    thread = threading.Thread(target=_run, args=(loop, _serve(database_url, found, stopping), found))
    thread.start()
    try:
        yield found.result(timeout=START_SECONDS)
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        loop.close()


def _run(loop: asyncio.AbstractEventLoop, work: object, found: Future[Service]) -> None:
    try:
        loop.run_until_complete(work)  # type: ignore[arg-type]  # a coroutine of ours
    except BaseException as error:
        if not found.done():
            found.set_exception(error)
        raise


async def _serve(database_url: str, found: Future[Service], stopping: asyncio.Event) -> None:
    engine = database.create_engine(database_url)
    dots, clock = MemoryDots(), HandClock()
    inputs = inputs_over(engine, clock, {"default": dots})
    made = await manage_keys.create_key(
        engine, name="all", scopes=manage_keys.SCOPES, now=clock(), random_bytes=secrets.token_bytes
    )
    gateway = gateway_over(inputs, {"default": Verifier([sending.KEY])})
    async with sending.serving(create_app(gateway)) as port:
        headers = {"Authorization": f"Bearer {made.key}"}
        found.set_result(Service(url=f"http://127.0.0.1:{port}", headers=headers))
        await stopping.wait()
    await inputs.pusher.aclose()
    for client in inputs.clients.values():
        await client.aclose()
    await engine.dispose()
