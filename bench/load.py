"""The load generator, a process of its own: keep-alive connections that send as soon as they are answered.

Everything costly (signing, serializing) is done before the clock starts, so that the machine is left to the
receiver and to Postgres. With `--rate` it is done on the way, because signatures are valid for five minutes only.
Prints one JSON object; see `LoadResult`.
"""

import argparse
import asyncio
import json
import os
import re
import secrets
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from uuid import uuid4

import uvloop

from bench.signed_webhooks import SignedWebhook, sign_webhooks

CONTENT_LENGTH = re.compile(rb"^content-length:[ \t]*(\d+)", re.IGNORECASE | re.MULTILINE)
SUCCESSES = range(200, 300)
# Svix waits 15 s for an answer (dots-api.md §5), so a slower answer counts as a failure here too.
ANSWER_WITHIN_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class LoadResult:
    """The result of one run. `seconds` is the time from the first byte sent to the last acknowledgement."""

    acknowledged: int
    refused: dict[str, int]
    unanswered: int
    seconds: float
    p50_milliseconds: float
    p99_milliseconds: float


@dataclass(kw_only=True)
class PassResult:
    """The results of the connections so far. Times are `time.perf_counter()` seconds."""

    upcoming: Iterator[SignedWebhook]
    rate: float | None = None
    started_at: float = 0.0
    stop_at: float = 0.0
    begun: int = 0
    last_answer_at: float = 0.0
    acknowledged_ids: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)

    def pause_seconds(self, now: float) -> float:
        """Count one more webhook and return how long to wait before it is sent."""
        self.begun += 1
        return 0.0 if self.rate is None else max(0.0, self.started_at + self.begun / self.rate - now)


def answered_status(received: bytes) -> int | None:
    """Return the status once the whole answer has arrived. Raises ValueError for a chunked answer."""
    head, separator, rest = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    if b"transfer-encoding" in head.lower():
        raise ValueError("the load generator reads no chunked answers")
    length = CONTENT_LENGTH.search(head)
    if length and len(rest) < int(length[1]):
        return None
    return int(head[9:12])


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one webhook in flight."""

    def __init__(self, step_counts: PassResult) -> None:
        self._tally = step_counts
        self._transport: asyncio.WriteTransport | None = None
        self._in_flight: SignedWebhook | None = None
        self._sent_at = 0.0
        self._received = b""
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport; `send_next` sends the first webhook."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's own class is no subclass

    def connection_lost(self, _: Exception | None) -> None:
        """Finish. The webhook in flight stays unanswered."""
        self._finish()

    def send_next(self) -> None:
        """Send the next webhook, immediately or at its time."""
        pause = self._tally.pause_seconds(time.perf_counter())
        if pause:
            asyncio.get_running_loop().call_later(pause, self._send)
        else:
            self._send()

    def _send(self) -> None:
        """Send the next webhook, or finish when the time or the webhooks are used up."""
        now = time.perf_counter()
        self._in_flight = next(self._tally.upcoming, None) if now < self._tally.stop_at else None
        if self._in_flight is None or self._transport is None:
            self._finish()
            return
        self._sent_at = now
        self._transport.write(self._in_flight.request)

    def data_received(self, data: bytes) -> None:
        """Count the answer once it is complete, and send the next webhook."""
        self._received += data
        status = answered_status(self._received)
        if status is None or self._in_flight is None:
            return
        now = time.perf_counter()
        if status in SUCCESSES:
            self._tally.acknowledged_ids.append(self._in_flight.message_id)
            self._tally.latencies.append(now - self._sent_at)
            self._tally.last_answer_at = now
        else:
            self._tally.refused[status] += 1
        self._received = b""
        self.send_next()

    @property
    def is_unanswered(self) -> bool:
        """Whether a webhook was sent and its complete answer has not arrived."""
        return self._in_flight is not None

    def close(self) -> None:
        """Close the socket, whatever is in flight."""
        if self._transport is not None:
            self._transport.close()

    def _finish(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)


async def send_load(
    *, port: int, connections: int, seconds: float, webhooks: Iterable[SignedWebhook], rate: float | None
) -> tuple[LoadResult, list[str]]:
    """Send webhooks for `seconds`, or until they are used up; returns the result and the acknowledged ids.

    `rate` is how many are sent each second; with None each connection sends as soon as it is answered.
    """
    step_counts = PassResult(upcoming=iter(webhooks), rate=rate)
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda: Connection(step_counts), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    started_at = step_counts.started_at = time.perf_counter()
    step_counts.stop_at = started_at + seconds
    for connection in opened:
        connection.send_next()
    await asyncio.wait([each.finished for each in opened], timeout=seconds + ANSWER_WITHIN_SECONDS)
    unanswered = sum(each.is_unanswered for each in opened)
    for connection in opened:
        connection.close()
    percentiles = statistics.quantiles(step_counts.latencies, n=100) if len(step_counts.latencies) > 1 else [0.0] * 99
    result = LoadResult(
        acknowledged=len(step_counts.acknowledged_ids),
        refused={str(status): count for status, count in step_counts.refused.items()},
        unanswered=unanswered,
        seconds=max(step_counts.last_answer_at - started_at, 0.0),
        p50_milliseconds=percentiles[49] * 1000,
        p99_milliseconds=percentiles[98] * 1000,
    )
    return result, step_counts.acknowledged_ids


def parsed_arguments() -> argparse.Namespace:
    """Read the command line; the webhook secret comes from `WEBHOOK_SECRET`."""
    parser = argparse.ArgumentParser(description="Send signed webhooks to 127.0.0.1 and count the acknowledged ones.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--webhooks", type=int, default=60_000, help="largest number of webhooks to sign and send")
    parser.add_argument("--flows", type=int, default=500, help="number of flows that the webhooks are about")
    parser.add_argument("--flow-ids", type=Path, help="file with ids of flows; default: random ids")
    parser.add_argument("--rate", type=float, help="webhooks per second; default: as fast as they are answered")
    parser.add_argument("--prefix", help="prefix of the message ids; default: ids like those of Svix")
    parser.add_argument("--acknowledged-ids", type=Path, required=True, help="file for the acknowledged ids")
    return parser.parse_args()


def svix_id(_number: int) -> str:
    """Return an id that begins with the time, as those of Svix do (KSUID)."""
    return f"msg_{int(time.time()):08x}{secrets.token_hex(10)[:19]}"


def main() -> None:
    """Sign, send, write the acknowledged ids, print the result."""
    arguments = parsed_arguments()
    prefix: str | None = arguments.prefix
    webhooks = sign_webhooks(
        secret=os.environ["WEBHOOK_SECRET"],
        host=f"127.0.0.1:{arguments.port}",
        message_id=svix_id if prefix is None else lambda number: f"{prefix}{number}",
        count=arguments.webhooks,
        flow_ids=(
            arguments.flow_ids.read_text().split()
            if arguments.flow_ids
            else [str(uuid4()) for _ in range(arguments.flows)]
        ),
        clock=lambda: datetime.now(UTC),
    )
    result, acknowledged_ids = uvloop.run(
        send_load(
            port=arguments.port,
            connections=arguments.connections,
            seconds=arguments.seconds,
            webhooks=list(webhooks) if arguments.rate is None else webhooks,
            rate=arguments.rate,
        )
    )
    arguments.acknowledged_ids.write_text("\n".join(acknowledged_ids))
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
