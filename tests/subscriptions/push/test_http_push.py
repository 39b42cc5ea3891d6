import asyncio
import json
import socket
import struct
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import standardwebhooks
import svix.webhooks
from cloudevents.core.bindings.http import HTTPMessage, from_http
from cloudevents.core.formats.json import JSONFormat

from app.feed import cloudevents
from app.feed.events import EventRecord
from app.processes.wiring import utc_now
from app.subscriptions.push.destinations import Destinations
from app.subscriptions.push.http_push import Message, Pusher
from tests.subscriptions.push.recording_network import RecordingNetwork
from tests.subscriptions.push.subscribers import (
    BODY,
    HOST,
    KEY,
    LOOPBACK,
    NO_CONTENT,
    Conduct,
    answer_of,
    hangs,
    leaves,
    message,
    pushing,
    resolves_to,
    subscriber,
    to_loopback,
    writes,
)

NOON = datetime(2026, 11, 23, 12, 0, 0, 900_000, tzinfo=UTC)
EVENT = EventRecord(
    id=UUID("3d92084b-a452-5afd-9bf6-d32be4d659e7"),
    app="default",
    type="dots.flow.completed",
    subject="flow/f1",
    sequence=3,
    occurred_at=NOON,
    data={"flow_id": "f1", "reference": "Zoë"},
    position=9,
)


async def test_request_has_the_documented_headers_and_body() -> None:
    """The request is one POST of the unchanged body, with the signature headers."""
    async with subscriber(writes(NO_CONTENT)) as seen, pushing(to_loopback()) as pusher:
        answer = await pusher.push(seen.url("/hook/a?b=c"), message(sent_at=NOON))
        sent = seen.headers()

    assert (answer.status, answer.error, answer.retry_after) == (204, None, None)
    assert seen.requests[0][0].split("\r\n")[0] == "POST /hook/a?b=c HTTP/1.1"
    assert seen.requests[0][1] == BODY
    assert sent.pop("user-agent").startswith("dots-gateway/")
    assert sent.pop("webhook-signature").startswith("v1,")
    assert sent == {
        "host": f"127.0.0.1:{seen.port}",
        "content-type": "application/cloudevents+json; charset=utf-8",
        "content-length": "22",
        "accept-encoding": "identity",
        "webhook-id": "3d92084b-a452-5afd",
        "webhook-timestamp": "1795435200",
    }


async def test_official_packages_verify_and_parse_the_request() -> None:
    """Standard Webhooks and Svix verify it with the old and the new secret, and the CloudEvents SDK parses it."""
    body = json.dumps(cloudevents.envelope(EVENT), ensure_ascii=False).encode()
    both = Message(id=str(EVENT.id), body=body, sent_at=datetime.now(UTC), keys=(b"the new key", KEY))
    async with subscriber(writes(NO_CONTENT)) as seen, pushing(to_loopback()) as pusher:
        await pusher.push(seen.url(), both)
        headers, received = seen.headers(), seen.requests[0][1]

    for key in both.keys:
        assert standardwebhooks.Webhook(key).verify(received, headers)["id"] == str(EVENT.id)
        svix.webhooks.Webhook(key).verify(received, headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(b"another key").verify(received, headers)
    event = from_http(HTTPMessage(headers=headers, body=received), JSONFormat())
    assert (event.get_id(), event.get_type(), event.get_data()) == (str(EVENT.id), EVENT.type, EVENT.data)


def test_message_needs_a_key() -> None:
    """Every message is signed."""
    with pytest.raises(ValueError, match="needs a key"):
        message(keys=())


def test_repr_hides_keys_and_body() -> None:
    """A message may be logged."""
    assert repr(message(sent_at=NOON)) == f"Message(id='3d92084b-a452-5afd', sent_at={NOON!r})"


ANSWERS = [
    (answer_of(b"200 OK", body=b"thank you"), 200, None, None),
    (answer_of(b"202"), 202, None, None),
    (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer_of(b"200 OK"), 200, None, None),
    (answer_of(b"304 Not Modified"), 304, "redirected", None),
    (answer_of(b"400 Bad Request", b"Retry-After: 7", body=b"{}"), 400, "status_400", None),
    (answer_of(b"410 Gone"), 410, "gone", None),
    (answer_of(b"429 Too Many", b"Retry-After: 7"), 429, "status_429", timedelta(seconds=7)),
    (answer_of(b"503 Busy", b"retry-after: Mon, 23 Nov 2026 12:01:00 GMT"), 503, "status_503", timedelta(seconds=59.1)),
    (answer_of(b"503 Busy", b"Retry-After: whenever"), 503, "status_503", None),
    (b"HTTP/1.0 500 Old\r\n\r\nuntil the end", 500, "status_500", None),
]


@pytest.mark.parametrize(("sent", "status", "error", "retry_after"), ANSWERS)
async def test_status_decides_the_outcome(
    sent: bytes, status: int, error: str | None, retry_after: timedelta | None
) -> None:
    """Success is 2xx. 429 and 503 may request a wait."""
    pusher = Pusher(Destinations([LOOPBACK], denied=()), now=lambda: NOON)
    async with subscriber(leaves(sent)) as seen, pushing(pusher):
        answer = await pusher.push(seen.url(), message())

    assert (answer.status, answer.error, answer.retry_after) == (status, error, retry_after)


async def test_duration_is_measured() -> None:
    """The duration comes from the `monotonic` clock."""
    ticks = iter([10.0, 10.25])
    pusher = Pusher(Destinations([LOOPBACK], denied=()), monotonic=lambda: next(ticks), now=utc_now)
    async with subscriber(writes(NO_CONTENT)) as seen, pushing(pusher):
        answer = await pusher.push(seen.url(), message())

    assert answer.took == timedelta(milliseconds=250)


async def resets(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reset the connection."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


INVALID: dict[str, tuple[Conduct, str]] = {
    "nothing": (leaves(b""), "protocol_error"),
    "junk": (leaves(b"\x00\xff\x16\x03\x01 junk\r\n\r\n"), "protocol_error"),
    "another protocol": (leaves(b"220 mail.example ESMTP\r\n"), "protocol_error"),
    "half a status line": (leaves(b"HTTP/1.1 20"), "protocol_error"),
    "half a head": (leaves(b"HTTP/1.1 200 OK\r\nContent-Len"), "protocol_error"),
    "two lengths": (leaves(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}"), "protocol_error"),
    "endless headers": (leaves(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 50_000), "protocol_error"),
    "endless hints": (leaves(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50_000), "protocol_error"),
    "a reset": (resets, "disconnected"),
}


@pytest.mark.parametrize(("conduct", "error"), INVALID.values(), ids=INVALID)
async def test_invalid_answer_is_a_failure_without_a_status(conduct: Conduct, error: str) -> None:
    """An invalid answer has an error code, and raises no exception."""
    async with subscriber(conduct) as seen, pushing(to_loopback()) as pusher:
        answer = await pusher.push(seen.url(), message())

    assert (answer.status, answer.error) == (None, error)


CUT_BODIES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\njunk",
]


@pytest.mark.parametrize("sent", CUT_BODIES)
async def test_broken_body_does_not_change_the_outcome(sent: bytes) -> None:
    """The event counts as delivered after a status of success."""
    async with subscriber(leaves(sent)) as seen, pushing(to_loopback()) as pusher:
        answer = await pusher.push(seen.url(), message())

    assert (answer.status, answer.error) == (200, None)


async def test_push_can_be_cancelled() -> None:
    """Cancelling a push raises CancelledError."""
    arrived = asyncio.Event()

    async def announce(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await hangs(reader, writer)

    async with subscriber(announce) as seen, pushing(to_loopback()) as pusher:
        push = asyncio.ensure_future(pusher.push(seen.url(), message()))
        await arrived.wait()
        push.cancel()

        with pytest.raises(asyncio.CancelledError):
            await push


async def test_refused_connection_is_unreachable() -> None:
    """A refused connection has its own error code."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening, so connections are refused
        async with pushing(to_loopback()) as pusher:
            answer = await pusher.push(f"http://127.0.0.1:{taken.getsockname()[1]}/", message())

    assert (answer.status, answer.error) == (None, "unreachable")


@pytest.mark.parametrize("found", [(), ("not an address",), ("127.0.0.1", "not an address")])
async def test_name_without_valid_addresses_is_unresolvable(found: tuple[str, ...]) -> None:
    """An address that cannot be parsed cannot be checked."""
    pusher = Pusher(Destinations([LOOPBACK], denied=()), resolver=resolves_to(*found), now=utc_now)
    async with pushing(pusher):
        answer = await pusher.push(f"http://{HOST}/", message())

    assert (answer.status, answer.error) == (None, "unresolvable")


async def test_unknown_name_is_unresolvable() -> None:
    """The system's resolver is the default."""
    pusher = Pusher(Destinations([".invalid:80"], denied=()), now=utc_now)
    async with pushing(pusher):
        answer = await pusher.push("http://hooks.invalid/", message())

    assert (answer.status, answer.error) == (None, "unresolvable")


async def test_next_address_is_dialled_after_a_refusal() -> None:
    """Several addresses of a host are tried in order."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with subscriber(writes(NO_CONTENT)) as seen:
            network = RecordingNetwork(seen.port, elsewhere={"10.0.0.1": taken.getsockname()[1]})
            pusher = Pusher(
                Destinations([".test:80"], denied=()),
                resolver=resolves_to("10.0.0.1", "10.0.0.2"),
                network=network,
                now=utc_now,
            )
            async with pushing(pusher):
                answer = await pusher.push(f"http://{HOST}/", message())

    assert answer.status == 204
    assert network.dialled == ["10.0.0.1", "10.0.0.2"]


async def test_pusher_works_after_failures() -> None:
    """Failed pushes leave no broken connection for a later push."""
    conducts = iter([leaves(b""), hangs, leaves(b"junk\r\n\r\n"), resets, writes(NO_CONTENT)])

    async def take_turns(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await next(conducts)(reader, writer)

    async with subscriber(take_turns) as seen, pushing(to_loopback(timeout=timedelta(seconds=0.3))) as pusher:
        answers = [await pusher.push(seen.url(), message()) for _ in range(5)]

    assert [answer.error for answer in answers] == [
        "protocol_error",
        "timed_out",
        "protocol_error",
        "disconnected",
        None,
    ]


async def test_refused_url_is_an_outcome() -> None:
    """A URL that was allowed at subscription may be refused later. The outcome quotes no part of it."""
    async with pushing(Pusher(Destinations([], denied=()), now=utc_now)) as pusher:
        answer = await pusher.push("https://user:SECRET@hooks.test/SECRET", message())

    assert answer.error == "refused_destination"
    assert "SECRET" not in repr(answer)
