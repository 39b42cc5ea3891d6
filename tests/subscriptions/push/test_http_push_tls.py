"""TLS verifies the name, while the gateway dials a checked address."""

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from app.processes.wiring import utc_now
from app.subscriptions.push.destinations import Destinations
from app.subscriptions.push.http_push import Pusher
from tests.stack.certificates import Authority
from tests.subscriptions.push.subscribers import (
    ANY_TEST_HOST,
    HOST,
    LOOPBACK,
    NO_CONTENT,
    hangs,
    leaves,
    message,
    pushing,
    resolves_to,
    subscriber,
    writes,
)

LONG = timedelta(seconds=20)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority that the pusher trusts."""
    return Authority(tmp_path)


def trusting(authority: Authority, *, timeout: timedelta = LONG) -> Pusher:
    """A pusher that trusts this authority and resolves every name to this machine."""
    return Pusher(
        Destinations([ANY_TEST_HOST, LOOPBACK], denied=()),
        resolver=resolves_to("127.0.0.1"),
        ssl_context=authority.trusted(),
        timeout=timeout,
        now=utc_now,
    )


async def test_name_is_sent_and_verified(authority: Authority) -> None:
    """SNI and `Host` hold the name, and the certificate is verified against it."""
    asked: list[str | None] = []
    server = authority.server(HOST)
    server.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with subscriber(writes(NO_CONTENT), tls=server) as seen, pushing(trusting(authority)) as pusher:
        answers = [await pusher.push(seen.url(host=HOST, scheme="https"), message()) for _ in range(2)]

    assert [(answer.status, answer.error) for answer in answers] == [(204, None)] * 2
    assert asked == [HOST]
    assert seen.headers()["host"] == f"{HOST}:{seen.port}"
    assert seen.accepted == 1


async def test_address_in_the_url_is_verified(authority: Authority) -> None:
    """A certificate may be for an address."""
    server = authority.server("127.0.0.1")
    async with subscriber(writes(NO_CONTENT), tls=server) as seen, pushing(trusting(authority)) as pusher:
        answer = await pusher.push(seen.url(scheme="https"), message())

    assert (answer.status, answer.error) == (204, None)


@pytest.mark.parametrize("named", ["other.test", "127.0.0.1", "hooks.test.other.test", "*.hooks.test"])
async def test_certificate_for_another_name_is_refused(authority: Authority, named: str) -> None:
    """A certificate for the dialled address is refused as well. The event is not sent."""
    server = authority.server(named)
    async with subscriber(writes(NO_CONTENT), tls=server) as seen, pushing(trusting(authority)) as pusher:
        answer = await pusher.push(seen.url(host=HOST, scheme="https"), message())

    assert (answer.status, answer.error) == (None, "tls_failed")
    assert seen.requests == []


async def test_certificate_of_an_unknown_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    """The event is not sent."""
    stranger = Authority(tmp_path).server(HOST)
    async with subscriber(writes(NO_CONTENT), tls=stranger) as seen, pushing(trusting(authority)) as pusher:
        answer = await pusher.push(seen.url(host=HOST, scheme="https"), message())

    assert (answer.status, answer.error) == (None, "tls_failed")
    assert seen.requests == []


async def test_system_authorities_are_the_default(authority: Authority) -> None:
    """Without `ssl_context`, the pusher does not trust the test authority."""
    default = Pusher(Destinations([ANY_TEST_HOST], denied=()), resolver=resolves_to("127.0.0.1"), now=utc_now)
    async with subscriber(writes(NO_CONTENT), tls=authority.server(HOST)) as seen, pushing(default) as pusher:
        answer = await pusher.push(seen.url(host=HOST, scheme="https"), message())

    assert answer.error == "tls_failed"
    assert seen.requests == []


async def test_server_that_requires_a_client_certificate_fails(authority: Authority) -> None:
    """With TLS 1.3, the server refuses only after the handshake."""
    server = authority.server(HOST)
    server.verify_mode = ssl.CERT_REQUIRED
    async with subscriber(writes(NO_CONTENT), tls=server) as seen, pushing(trusting(authority)) as pusher:
        answer = await pusher.push(seen.url(host=HOST, scheme="https"), message())

    assert answer.status is None
    assert answer.error in {"tls_failed", "disconnected"}


@pytest.mark.parametrize("spoken", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
async def test_server_without_tls_fails(authority: Authority, spoken: bytes) -> None:
    """The event is not sent unencrypted."""
    async with subscriber(leaves(spoken), reads=False) as seen, pushing(trusting(authority)) as pusher:
        answer = await pusher.push(seen.url(host=HOST, scheme="https"), message())

    assert (answer.status, answer.error) == (None, "tls_failed")
    assert seen.accepted == 1


async def test_deadline_covers_the_handshake(authority: Authority) -> None:
    """The connection to a silent server is closed at the deadline."""
    short = timedelta(milliseconds=200)
    async with subscriber(hangs, reads=False) as seen, pushing(trusting(authority, timeout=short)) as pusher:
        async with asyncio.timeout(10):
            answer = await pusher.push(seen.url(host=HOST, scheme="https"), message())

    assert (answer.status, answer.error) == (None, "timed_out")


async def test_http_to_a_tls_server_fails(authority: Authority) -> None:
    """A TLS server's answer to plain HTTP is not a success."""
    async with (
        subscriber(writes(NO_CONTENT), tls=authority.server(HOST)) as seen,
        pushing(trusting(authority)) as pusher,
    ):
        answer = await pusher.push(seen.url(host=HOST), message())

    assert answer.status is None
    assert seen.requests == []
