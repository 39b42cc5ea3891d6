"""Answers like Dots for every flow and user, fast enough not to affect the measurement.

Each answer about a flow has one more step completed than the last, until all are.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

STEPS = ("compliance", "id-verification", "manage-payouts", "redirect")


@dataclass(kw_only=True)
class DotsStandIn:
    """Counts the answers; `url` is the value for DOTS_API_URL."""

    url: str = ""
    answered: int = 0
    _asked: Counter[str] = field(default_factory=Counter)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one keep-alive connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = json.dumps(self._answer(head.split(b" ", 2)[1].decode())).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                    % (len(body), body)
                )
                self.answered += 1
        writer.close()

    def _answer(self, path: str) -> dict[str, object]:
        resource, _, name = path.partition("?")[0].rpartition("/")
        if resource.endswith("/users"):
            return {"id": name, "status": "verified", "compliance": {"id_verified": True}}
        if not resource.endswith("/flows"):
            return {"data": [], "has_more": False}
        self._asked[name] += 1
        return {
            "id": name,
            "steps": STEPS,
            "completed_steps": STEPS[: min(self._asked[name], len(STEPS) - 1)],
            "user_id": None,
            "link": f"https://my.dots.dev/flow/{name}",
            "metadata": None,
            "payout_link_id": None,
            "created": "2026-07-11T21:10:30.846081",
        }


@asynccontextmanager
async def listening() -> AsyncIterator[DotsStandIn]:
    """Yield a stand-in that listens on a free port of 127.0.0.1."""
    stand_in = DotsStandIn()
    server = await asyncio.start_server(stand_in.serve, "127.0.0.1", 0)
    stand_in.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api"
    try:
        yield stand_in
    finally:
        server.close()
