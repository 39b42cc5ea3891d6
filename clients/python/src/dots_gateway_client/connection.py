"""Sends requests and repeats them while the gateway is unavailable."""

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from dots_gateway_client import answers
from dots_gateway_client.errors import UnavailableError

log = logging.getLogger("dots_gateway_client")

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0

Sleep = Callable[[float], Awaitable[None]]
Jitter = Callable[[], float]

# Errors that a retry can solve. Malformed URLs and headers are not among them.
_TEMPORARY = (
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
    httpx.DecodingError,
)


class Connection:
    """Sends requests. `sleep` waits for a number of seconds; `jitter` returns a random number from 0 to 1."""

    def __init__(self, client: httpx.AsyncClient, *, sleep: Sleep, jitter: Jitter) -> None:
        """Use this client. The caller closes it."""
        self._client = client
        self._sleep = sleep
        self._jitter = jitter

    async def ask(self, request: httpx.Request, *, give_up_after_seconds: float = math.inf) -> Any:
        """The JSON of the answer. Repeats the same request, with the same headers, while the gateway is unavailable.

        Raises UnavailableError if the pauses would take longer than `give_up_after_seconds` in total. Raises
        RequestRefusedError and MalformedAnswerError immediately.
        """
        failures, waited_seconds = 0, 0.0
        while True:
            try:
                return await self._send(request)
            except UnavailableError as error:
                pause_seconds = self._pause_seconds(failures, error)
                waited_seconds += pause_seconds
                if waited_seconds > give_up_after_seconds:
                    raise
                log.warning("%s; retrying in %.1f s", error, pause_seconds)
            failures += 1
            await self._sleep(pause_seconds)

    async def _send(self, request: httpx.Request) -> Any:
        try:
            answer = await self._client.send(request)
        except _TEMPORARY as error:
            raise UnavailableError(f"The gateway did not answer ({type(error).__name__}: {error})") from error
        return answers.json_of(answer)

    def _pause_seconds(self, failures: int, error: UnavailableError) -> float:
        """The next pause: doubled up to the longest, up to half of it random, plus the gateway's `Retry-After`."""
        longest = min(FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 10), LONGEST_PAUSE_SECONDS)
        return error.retry_after_seconds + longest * (1 + self._jitter()) / 2
