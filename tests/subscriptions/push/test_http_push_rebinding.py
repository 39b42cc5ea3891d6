"""Attempts to redirect the gateway after it has checked the destination."""

import itertools
import random

import pytest

from tests.subscriptions.push.recording_network import GOOD, RecordingNetwork, trapped_pusher
from tests.subscriptions.push.subscribers import (
    HOST,
    NO_CONTENT,
    Subscriber,
    leaves,
    message,
    pushing,
    resolves_to,
    subscriber,
    writes,
)


async def test_rebinding_name_never_reaches_an_unchecked_address(trap: Subscriber) -> None:
    """Each push to a name with changing addresses resolves it exactly once."""
    rebinding = random.Random(4)
    bad = ["127.0.0.1", "169.254.169.254", "::ffff:169.254.169.254", "192.168.0.1", "fd00:ec2::254", "::1"]
    asked: list[tuple[str, ...]] = []

    async def rebind(_host: str) -> tuple[str, ...]:
        # Alternate good and bad addresses. A check that resolves separately from the dial would be fooled.
        good = len(asked) % 2 == 0
        found = [GOOD] if good else rebinding.choice([[rebinding.choice(bad)], [GOOD, rebinding.choice(bad)]])
        asked.append(tuple(found))
        return tuple(found)

    async with subscriber(leaves(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")) as good:
        network = RecordingNetwork(trap.port, elsewhere={GOOD: good.port})
        async with pushing(trapped_pusher(network, allowed=["10.0.0.0/16:80"], resolver=rebind)) as here:
            answers = [await here.push(f"http://{HOST}/", message()) for _ in range(200)]

    assert [answer.error for answer in answers] == list(
        itertools.islice(itertools.cycle([None, "refused_destination"]), 200)
    )
    assert len(asked) == 200
    assert network.dialled == [GOOD] * 100
    assert (good.accepted, trap.accepted) == (100, 0)


async def test_kept_connection_keeps_its_checked_address(trap: Subscriber) -> None:
    """If a name moves to a bad address, the open connection is reused and no new one is dialled."""
    answers = iter([(GOOD,), ("169.254.169.254",)])

    async def rebind(_host: str) -> tuple[str, ...]:
        return next(answers)

    async with subscriber(writes(NO_CONTENT)) as good:
        network = RecordingNetwork(trap.port, elsewhere={GOOD: good.port})
        async with pushing(trapped_pusher(network, resolver=rebind)) as here:
            statuses = [(await here.push(f"http://{HOST}/", message())).status for _ in range(3)]

    assert statuses == [204, 204, 204]
    assert network.dialled == [GOOD]
    assert (good.accepted, trap.accepted) == (1, 0)


REDIRECTS = [
    (b"301", b"http://169.254.169.254/latest/meta-data/"),
    (b"302", b"//169.254.169.254/"),
    (b"303", b"http://127.0.0.1/"),
    (b"307", b"http://metadata.google.internal/"),
    (b"308", b"/elsewhere"),
]


@pytest.mark.parametrize(("status", "location"), REDIRECTS)
async def test_redirect_is_not_followed(trap: Subscriber, status: bytes, location: bytes) -> None:
    """A redirect is a failure, whatever its target."""
    redirect = b"HTTP/1.1 " + status + b" Elsewhere\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
    async with subscriber(leaves(redirect)) as good:
        network = RecordingNetwork(trap.port, elsewhere={GOOD: good.port})
        async with pushing(trapped_pusher(network, resolver=resolves_to(GOOD))) as here:
            answer = await here.push(f"http://{HOST}/", message())

    assert (answer.status, answer.error) == (int(status), "redirected")
    assert network.dialled == [GOOD]
    assert (len(good.requests), trap.accepted) == (1, 0)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_proxy_of_the_environment_is_not_used(
    trap: Subscriber, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would resolve the name again without the check."""
    monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")

    async with subscriber(leaves(NO_CONTENT)) as good, pushing(trapped_pusher(None)) as here:
        answer = await here.push(good.url(), message())

    assert answer.status == 204
    assert (good.accepted, trap.accepted) == (1, 0)
