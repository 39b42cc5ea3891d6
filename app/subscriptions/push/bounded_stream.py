"""A connection of which only so much is read of one answer."""

import ssl
from typing import Any

import httpcore


class AnswerTooLongError(Exception):
    """The answer is longer than what is read of one; its connection is of no further use."""


class BoundedStream(httpcore.AsyncNetworkStream):
    """A stream that gives at most `limit_bytes` from one write to the next: that is, of one answer."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, *, limit_bytes: int) -> None:
        """Wrap a connection that nothing was read from."""
        self._stream = stream
        self._limit_bytes = limit_bytes
        self._left_bytes = limit_bytes

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read some more; raises AnswerTooLongError."""
        if self._left_bytes == 0:
            raise AnswerTooLongError
        content = await self._stream.read(min(max_bytes, self._left_bytes), timeout)
        self._left_bytes -= len(content)
        return content

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write a piece of a request; the answer to it may be read anew."""
        self._left_bytes = self._limit_bytes
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Greet; what is bounded from then on is what was deciphered."""
        try:
            greeted = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            # httpcore closes after errors only, and a deadline comes as a cancellation.
            await self._stream.aclose()
            raise
        return BoundedStream(greeted, limit_bytes=self._limit_bytes)

    def get_extra_info(self, info: str) -> Any:
        """What httpcore wants to know of its own streams."""
        return self._stream.get_extra_info(info)
