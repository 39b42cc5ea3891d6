"""The apis as a sender of webhooks sees them: which of them answer, and a fast POST."""

import asyncio
from random import Random
from urllib.parse import urlsplit

import httpx

from tests.stack.waiting import eventually

ANSWER_SECONDS = 15.0
REVIVAL_SECONDS = 60.0
PATH = "/webhooks/dots"

Headers = tuple[tuple[bytes, bytes], ...]


class Receivers:
    """The apis' endpoints for webhooks. One that failed is skipped until it reports that it is ready."""

    def __init__(self, urls: list[str], client: httpx.AsyncClient) -> None:
        self._client = client
        self._up = dict.fromkeys(urls, True)
        self._changed = asyncio.Event()
        self._revivals: set[asyncio.Task[None]] = set()
        self._idle: dict[str, list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = {url: [] for url in urls}

    async def choose(self, dice: Random) -> str:
        """Wait for an api that answers, and return its URL."""
        while True:
            if up := [url for url, is_up in self._up.items() if is_up]:
                return dice.choice(up)
            self._changed.clear()
            await self._changed.wait()

    @property
    def all_urls(self) -> list[str]:
        """Every api, whether it answers or not."""
        return list(self._up)

    async def post(self, url: str, headers: Headers, body: bytes) -> int | None:
        """The status of the answer; None when none came. The api is skipped after any status but 2xx and 4xx."""
        status = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                status = await self._exchange(url, headers, body)
        except (OSError, EOFError, ValueError, TimeoutError):
            pass
        if status is None or status >= 500:  # HTTP's server errors
            self._rest(url)
        return status

    async def close(self) -> None:
        """Close every connection."""
        for task in self._revivals:
            task.cancel()
        await asyncio.gather(*self._revivals, return_exceptions=True)
        for connections in self._idle.values():
            for _, writer in connections:
                writer.close()

    async def _exchange(self, url: str, headers: Headers, body: bytes) -> int:
        parts = urlsplit(url)
        idle = self._idle.setdefault(url, [])
        reader, writer = idle.pop() if idle else await asyncio.open_connection(parts.hostname, parts.port)
        is_reusable = False
        try:
            lines = b"".join(b"%s: %s\r\n" % header for header in headers)
            head = f"POST {PATH} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(body)}\r\n".encode()
            writer.write(head + lines + b"\r\n" + body)
            status, is_reusable = await _read_answer(reader)
            return status
        finally:
            if is_reusable:
                idle.append((reader, writer))
            else:
                writer.close()

    def _rest(self, url: str) -> None:
        if self._up.get(url):
            self._up[url] = False
            task = asyncio.create_task(self._revive(url))
            self._revivals.add(task)
            task.add_done_callback(self._revivals.discard)

    async def _revive(self, url: str) -> None:
        async def is_ready() -> bool:
            try:
                return (await self._client.get(f"{url}/readyz", timeout=ANSWER_SECONDS)).is_success
            except httpx.TransportError:
                return False

        await eventually(is_ready, within=REVIVAL_SECONDS)
        self._up[url] = True
        self._changed.set()


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """The status, and whether the connection is good for another request."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    _, has_length, rest = head.partition(b"content-length:")
    if has_length:
        await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
    return status, (bool(has_length) or status == 204) and b"connection: close" not in head  # No Content
