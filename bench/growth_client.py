"""One keep-alive connection to the api, with hardly any overhead."""

import asyncio

ANSWER_WITHIN_SECONDS = 40.0


class UnexpectedStatusError(Exception):
    """The api answered with another status than 200; the message is the status."""


class Client:
    """Sends one request after the other."""

    def __init__(self, port: int, key: str) -> None:
        """Use the api at this port of 127.0.0.1. The first request connects."""
        self._port = port
        self._key = key
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()

    async def get(self, path: str) -> bytes:
        """Return the body of the answer. Raises `UnexpectedStatusError`."""
        return await self._send("GET", path, b"")

    async def post(self, path: str, body: bytes) -> bytes:
        """Return the body of the answer. Raises `UnexpectedStatusError`."""
        return await self._send("POST", path, body)

    async def _send(self, method: str, path: str, body: bytes) -> bytes:
        # The api closes idle connections.
        if self._streams is None or self._streams[0].at_eof():
            self.close()
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(
            f"{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {self._key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(
                line.lower().split(": ", 1) for line in head.decode("latin-1").split("\r\n")[1:] if ": " in line
            )
            answer = await reader.readexactly(int(fields["content-length"]))
        status = head.split(b" ", 2)[1].decode()
        if status != "200":
            raise UnexpectedStatusError(status)
        return answer
