"""Waits for a condition with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

DEADLINE_SECONDS = 30.0
_POLL_SECONDS = 0.02

Answer = TypeVar("Answer")


async def eventually(condition: Callable[[], Awaitable[Answer]], *, within: float = DEADLINE_SECONDS) -> Answer:
    """Repeat the condition until it is true; its value. AssertionError with the last value after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        answer = await condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"still {answer!r} after {within:g} s"
        await asyncio.sleep(_POLL_SECONDS)
