"""Attempts to make the gateway connect to forbidden addresses. Every address in the network leads to a trap."""

import itertools
import socket

import pytest

from app.subscriptions.push.resolver import SystemResolver
from app.subscriptions.push.urls import Endpoint
from tests.subscriptions.push.never_addresses import NEVER
from tests.subscriptions.push.recording_network import GOOD, RecordingNetwork, trapped_pusher
from tests.subscriptions.push.subscribers import (
    HOST,
    Subscriber,
    message,
    pushing,
    resolves_to,
)


async def test_trap_is_reachable(trap: Subscriber) -> None:
    """Control: an allowed address does lead to the trap, by name and by address."""
    network = RecordingNetwork(trap.port)
    async with pushing(trapped_pusher(network, resolver=resolves_to(GOOD))) as here:
        answers = [await here.push(url, message()) for url in (f"http://{HOST}/", f"http://{GOOD}/")]

    assert [answer.status for answer in answers] == [204, 204]
    assert network.dialled == [GOOD, GOOD]
    assert trap.accepted == 2


@pytest.mark.parametrize("address", [address for address in NEVER if "%" not in address])
async def test_address_in_the_url_is_refused(trap: Subscriber, address: str) -> None:
    """The setting allows everything, and still no such address is dialled."""
    network = RecordingNetwork(trap.port)
    url = f"http://[{address}]/" if ":" in address else f"http://{address}/"
    async with pushing(trapped_pusher(network)) as here:
        answer = await here.push(url, message())

    assert (answer.status, answer.error) == (None, "refused_destination")
    assert network.dialled == []
    assert trap.accepted == 0


@pytest.mark.parametrize("address", NEVER)
async def test_address_behind_a_name_is_refused(trap: Subscriber, address: str) -> None:
    """The host is allowed by name, but one bad address among its addresses refuses it, in any order."""
    network = RecordingNetwork(trap.port)
    for found in ((address,), (GOOD, address), (address, GOOD), (GOOD, "10.0.0.2", address)):
        async with pushing(trapped_pusher(network, resolver=resolves_to(*found))) as here:
            answer = await here.push(f"http://{HOST}/", message())

        assert (answer.status, answer.error) == (None, "refused_destination")
    assert network.dialled == []
    assert trap.accepted == 0


NOT_LISTED = [
    "0177.0.0.1",  # Resolvers do not return this form. If one did, it would be refused.
    "10.1.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "127.0.0.1",
    "127.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "8.8.8.8",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.1.0.1",
    "fc00::1",
    "fd12:3456::1",
    "2a00:1450:4001::1",
]


@pytest.mark.parametrize("address", NOT_LISTED)
async def test_address_outside_the_setting_is_refused(trap: Subscriber, address: str) -> None:
    """With one network allowed, every other address is refused, alone or beside an allowed one."""
    network = RecordingNetwork(trap.port)
    for found in ((address,), (GOOD, address)):
        async with pushing(trapped_pusher(network, allowed=["10.0.0.0/16:80"], resolver=resolves_to(*found))) as here:
            answer = await here.push(f"http://{HOST}/", message())

        assert answer.error in {"refused_destination", "unresolvable"}
    assert network.dialled == []
    assert trap.accepted == 0


# Some parser reads each of these as 127.0.0.1, where the trap listens.
SPELLINGS = [
    "http://127.0.0.1:{port}/",
    "http://127.0.0.2:{port}/",
    "http://2130706433:{port}/",
    "http://4294967297:{port}/",
    "http://017700000001:{port}/",
    "http://0x7f000001:{port}/",
    "http://0X7F000001:{port}/",
    "http://0x7f.0x0.0x0.0x1:{port}/",
    "http://0177.0.0.01:{port}/",
    "http://00000177.0.0.1:{port}/",
    "http://0177.0x0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://127.65536:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0x0:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.0.0.1..:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://localhost.:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[::ffff:0:127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b:1::127.0.0.1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:7f00:1::]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://[::1%lo]:{port}/",
    "http://hooks.test@127.0.0.1:{port}/",
    "http://hooks.test:80@127.0.0.1:{port}/",
    "http://hooks.test%40127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@hooks.test/",
    "http://127.0.0.1:{port}#@hooks.test/",
    "http://127.0.0.1:{port}\\@hooks.test/",
    "http://hooks.test\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\t/",
    "http://127.0.0.1\n:{port}/",
    "http://127.0.0.1 :{port}/",
    "http://127%2e0%2e0%2e1:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127。0。0。1:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://１２７.0.0.1:{port}/",
    "http://ⓛocalhost:{port}/",
    "http:127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    "gopher://127.0.0.1:{port}/",
    "ws://127.0.0.1:{port}/",
    "http+unix://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "http://127.0.0.1:0{port}/",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_own_listener_is_refused_in_every_spelling(trap: Subscriber, spelling: str) -> None:
    """With the real network and resolver, the trap stands for the gateway's own database on this machine."""
    own = Endpoint(host="127.0.0.1", port=trap.port)
    async with pushing(trapped_pusher(None, denied=[own], resolver=SystemResolver())) as here:
        answer = await here.push(spelling.format(port=trap.port), message())

    assert (answer.status, answer.error) == (None, "refused_destination")
    assert trap.accepted == 0


@pytest.mark.parametrize("host", ["metadata.google.internal", "broker.test"])
async def test_name_is_refused_with_any_address(trap: Subscriber, host: str) -> None:
    """Metadata servers and brokers are refused by name, because they may resolve to different addresses."""
    answers = itertools.count(1)

    async def resolve(_host: str) -> tuple[str, ...]:
        return (f"10.0.0.{next(answers)}",)

    network = RecordingNetwork(trap.port)
    async with pushing(
        trapped_pusher(network, denied=[Endpoint(host="broker.test", port=4222)], resolver=resolve)
    ) as here:
        answer = await here.push(f"http://{host}/", message())

    assert answer.error == "refused_destination"
    assert network.dialled == []


async def test_address_of_an_own_name_is_refused(trap: Subscriber) -> None:
    """Another name with the broker's address is refused too."""
    network = RecordingNetwork(trap.port)
    own = Endpoint(host="broker.test", port=4222)
    async with pushing(trapped_pusher(network, denied=[own], resolver=resolves_to(GOOD))) as here:
        errors = [(await here.push(f"http://{host}/", message())).error for host in ("broker.test", "alias.test", GOOD)]

    assert errors == ["refused_destination"] * 3
    assert network.dialled == []


async def test_address_of_an_own_name_is_remembered(trap: Subscriber) -> None:
    """The broker's address stays refused while its name cannot be resolved."""
    answers = iter([(GOOD,)])

    async def resolve(_host: str) -> tuple[str, ...]:
        try:
            return next(answers)
        except StopIteration:
            raise OSError from None

    network = RecordingNetwork(trap.port)
    own = Endpoint(host="broker.test", port=4222)
    async with pushing(trapped_pusher(network, denied=[own], resolver=resolve)) as here:
        elsewhere = await here.push("http://10.0.0.3/", message())
        behind = await here.push(f"http://{GOOD}/", message())

    assert (elsewhere.status, behind.error) == (204, "refused_destination")
    assert network.dialled == ["10.0.0.3"]


@pytest.mark.parametrize(("errno", "error"), [(socket.EAI_AGAIN, "unresolvable"), (socket.EAI_NONAME, None)])
async def test_own_name_without_a_known_address(trap: Subscriber, errno: int, error: str | None) -> None:
    """Nothing is sent while the address is unknown. If the name does not exist, deliveries continue."""

    async def resolve(_host: str) -> tuple[str, ...]:
        raise socket.gaierror(errno, "no address")

    own = Endpoint(host="broker.test", port=4222)
    async with pushing(trapped_pusher(RecordingNetwork(trap.port), denied=[own], resolver=resolve)) as here:
        answer = await here.push(f"http://{GOOD}/", message())

    assert answer.error == error
    assert trap.accepted == (0 if error else 1)
