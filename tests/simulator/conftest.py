"""A fresh in-process simulator for each test."""

from collections.abc import AsyncIterator

import httpx
import pytest

from simulator.application import create_app
from simulator.simulation import build
from tests.simulator.setup import SETTINGS, ManualClock, Receiver, Setup


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    """A simulator that sends webhooks to an in-process receiver, and a client with its credentials."""
    clock, receiver = ManualClock(), Receiver()
    simulation = build(SETTINGS, clock=clock.read, sleep=clock.sleep, transport=httpx.MockTransport(receiver))
    transport = httpx.ASGITransport(create_app(simulation))
    credentials = (SETTINGS.client_id, SETTINGS.api_key)
    async with httpx.AsyncClient(transport=transport, base_url="http://dots.test", auth=credentials) as client:
        yield Setup(simulation=simulation, client=client, clock=clock, receiver=receiver)
    await simulation.close()
