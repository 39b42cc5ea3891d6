"""Addresses to listen on: what cannot be taken is said in one line that names setting, host and port."""

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
    """A port on which another program listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def refusal_of(listen_address: ListenAddress) -> str:
    """Why the place cannot be taken."""
    with pytest.raises(SettingsError) as caught:
        listening.close(listening.bind(listen_address))
    return caught.value.detail


def test_busy_port_is_named(busy_port: int) -> None:
    """By what the operator has set: an option or a setting."""
    said = f"cannot listen on 127.0.0.1:{busy_port}: another program listens there."

    assert refusal_of(ListenAddress(host="127.0.0.1", port=busy_port)) == f"--port: {said}"
    assert refusal_of(ListenAddress(host="127.0.0.1", port=busy_port, **METRICS)) == f"METRICS_PORT: {said}"


@pytest.mark.parametrize("host", ["gateway.invalid", "not a host", "x" * 300, "a..b", "1.2.3.4.5"])
def test_unknown_host_is_named(host: str) -> None:
    """Whatever the resolver makes of it."""
    assert refusal_of(ListenAddress(host=host, port=0)) == f"--host: the host {host} is unknown."


def test_address_of_another_machine_is_named() -> None:
    """The address is a documentation's, which no machine has."""
    assert refusal_of(ListenAddress(host="192.0.2.1", port=8000, **METRICS)) == (
        "METRICS_HOST: cannot listen on 192.0.2.1:8000: this machine has no such address."
    )


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EACCES, "--port: cannot listen on db:80: this process may not; ports from 1024 need no privilege."),
        (errno.ENOBUFS, "--port: cannot listen on db:80: No buffer space available."),
    ],
)
def test_other_refusals_of_the_system_are_explained(number: int, said: str) -> None:
    """A privileged port cannot be had without root, and tests may run as root."""
    error = OSError(number, "No buffer space available")

    assert ListenAddress(host="db", port=80).refused(error).detail == said


def test_every_address_of_a_name_gets_the_same_port() -> None:
    """The name localhost may stand for IPv4 and IPv6; what the machine does not have is left out."""
    listeners = listening.bind(ListenAddress(host="localhost", port=0))
    ports = {listener.getsockname()[1] for listener in listeners}
    listening.close(listeners)

    assert len(ports) == 1
    assert ports != {0}


def test_brackets_around_an_address_are_taken_off() -> None:
    """As in URLs."""
    (listener,) = listening.bind(ListenAddress(host="[127.0.0.1]", port=0))
    host = listener.getsockname()[0]
    listener.close()

    assert host == "127.0.0.1"


def test_nothing_is_accepted_before_serving() -> None:
    """A balancer gets a refused connection, not one that hangs while the process waits for its database."""
    server = http_server.build(FastAPI(), ListenAddress(host="127.0.0.1", port=0))
    (listener,) = listening.bind(ListenAddress(host="127.0.0.1", port=0))
    port = listener.getsockname()[1]

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    listener.close()
    server.close()


async def test_port_that_another_takes_before_serving_is_named() -> None:
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
