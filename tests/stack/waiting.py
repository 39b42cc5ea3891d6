"""Waiting for what other processes do: a condition and a deadline, never a length of time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

DEADLINE_SECONDS = 30.0
_POLL_SECONDS = 0.02

Answer = TypeVar("Answer")


async def eventually(ask: Callable[[], Awaitable[Answer]], *, within: float = DEADLINE_SECONDS) -> Answer:
    """The first answer that is true; AssertionError with the last one when there is none `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        answer = await ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"still {answer!r} after {within:g} s"
        await asyncio.sleep(_POLL_SECONDS)
