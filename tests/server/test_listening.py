"""If an address cannot be used, the error is one line with the setting, the host and the port."""

import asyncio
import errno
import socket
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from app.errors import SettingsError
from app.server import http_server, listening
from app.server.listening import ListenAddress

METRICS = {"host_setting": "METRICS_HOST", "port_setting": "METRICS_PORT"}


@pytest.fixture
def busy_port() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def refusal_of(listen_address: ListenAddress) -> str:
    """Return the error text for this address."""
    with pytest.raises(SettingsError) as caught:
        listening.close(listening.bind(listen_address))
    return caught.value.detail


def test_busy_port_is_named(busy_port: int) -> None:
    """The error names the option or setting that the operator has used."""
    message = f"cannot listen on 127.0.0.1:{busy_port}: another program listens there."

    assert refusal_of(ListenAddress(host="127.0.0.1", port=busy_port)) == f"--port: {message}"
    assert refusal_of(ListenAddress(host="127.0.0.1", port=busy_port, **METRICS)) == f"METRICS_PORT: {message}"


@pytest.mark.parametrize("host", ["gateway.invalid", "not a host", "x" * 300, "a..b", "1.2.3.4.5"])
def test_unknown_host_is_named(host: str) -> None:
    """The resolver fails in several ways. The error is always the same."""
    assert refusal_of(ListenAddress(host=host, port=0)) == f"--host: the host {host} is unknown."


def test_address_of_another_machine_is_named() -> None:
    """The address is reserved for documentation, so that no machine has it."""
    assert refusal_of(ListenAddress(host="192.0.2.1", port=8000, **METRICS)) == (
        "METRICS_HOST: cannot listen on 192.0.2.1:8000: this machine has no such address."
    )


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "--port: cannot listen on db:80: this process may not; ports from 1024 need no privilege."),
        (errno.ENOBUFS, "--port: cannot listen on db:80: No buffer space available."),
    ],
)
def test_other_refusals_of_the_system_are_explained(number: int, message: str) -> None:
    """The error is made by hand, because root may bind any port and tests may run as root."""
    error = OSError(number, "No buffer space available")

    assert ListenAddress(host="db", port=80).refused(error).detail == message


def test_every_address_of_a_name_gets_the_same_port() -> None:
    """`localhost` may have an IPv4 and an IPv6 address."""
    listeners = listening.bind(ListenAddress(host="localhost", port=0))
    ports = {listener.getsockname()[1] for listener in listeners}
    listening.close(listeners)

    assert len(ports) == 1
    assert ports != {0}


def test_host_may_have_brackets() -> None:
    """URLs write IPv6 addresses in brackets."""
    (listener,) = listening.bind(ListenAddress(host="[127.0.0.1]", port=0))
    host = listener.getsockname()[0]
    listener.close()

    assert host == "127.0.0.1"


def test_connections_are_refused_before_serving() -> None:
    """While the process waits for its database, a connection is refused. It does not hang."""
    server = http_server.build(FastAPI(), ListenAddress(host="127.0.0.1", port=0))
    (listener,) = listening.bind(ListenAddress(host="127.0.0.1", port=0))
    port = listener.getsockname()[1]

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    listener.close()
    server.close()


async def test_port_on_which_another_process_listens_first_is_named() -> None:
    """Two processes may bind a port, but only one can listen on it."""
    (other,) = listening.bind(ListenAddress(host="127.0.0.1", port=0))
    port = other.getsockname()[1]
    server = http_server.build(FastAPI(), ListenAddress(host="127.0.0.1", port=port))
    other.listen()

    with pytest.raises(SettingsError, match=f"--port: cannot listen on 127.0.0.1:{port}"):
        async with asyncio.timeout(10):
            await server.serve()
    server.close()
    other.close()
