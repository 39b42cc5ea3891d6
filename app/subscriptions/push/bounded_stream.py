"""A connection that limits the length of an answer."""

import ssl
from typing import Any

import httpcore


class AnswerTooLongError(Exception):
    """The answer is longer than the limit. Its connection cannot be used again."""


class BoundedStream(httpcore.AsyncNetworkStream):
    """A stream that returns at most `limit_bytes` between two writes, so of one answer."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, *, limit_bytes: int) -> None:
        """Wrap a connection before the first read."""
        self._stream = stream
        self._limit_bytes = limit_bytes
        self._left_bytes = limit_bytes

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read more bytes. Raises AnswerTooLongError."""
        if self._left_bytes == 0:
            raise AnswerTooLongError
        content = await self._stream.read(min(max_bytes, self._left_bytes), timeout)
        self._left_bytes -= len(content)
        return content

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write a part of a request. The limit starts again for its answer."""
        self._left_bytes = self._limit_bytes
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Start TLS. The limit then applies to decrypted bytes."""
        try:
            encrypted = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            # httpcore closes the stream only after errors, but a deadline raises a cancellation.
            await self._stream.aclose()
            raise
        return BoundedStream(encrypted, limit_bytes=self._limit_bytes)

    def get_extra_info(self, info: str) -> Any:
        """Pass on the wrapped stream's information."""
        return self._stream.get_extra_info(info)
