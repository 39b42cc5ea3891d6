"""Proxies in front of a broker. They also work for Kafka, whose clients connect to the address the server names."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.campaigns.proxy import Proxy


class Relay(Proxy):
    """Passes all bytes on, and replaces the server's address in answers with the relay's for Kafka's client."""

    def intercept(self) -> "Watch":
        """Filter the client's requests."""
        return Watch(self.ask)

    def intercept_answers(self) -> "Watch":
        """Replace the address. Kafka writes it as the host and the port in four bytes."""
        theirs, ours = (b"127.0.0.1" + port.to_bytes(4, "big") for port in (self.target, self.port))
        return Watch(lambda data: self.answer(data.replace(theirs, ours)))

    def ask(self, data: bytes) -> bytes:
        """The bytes to pass on to the server."""
        return data

    def answer(self, data: bytes) -> bytes:
        """The bytes to pass on to the client."""
        return data


class Recorder(Relay):
    """Records the client's bytes in `heard`."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.heard = b""

    def ask(self, data: bytes) -> bytes:
        """Record the bytes."""
        self.heard += data
        return data


class ProducerIdGranted(Relay):
    """Changes Tansu's refusal of a producer id (id and epoch -1) into the id 0, and drops all records."""

    def ask(self, data: bytes) -> bytes:
        """Pass on every request but Produce, whose number is 0."""
        return b"" if data[4:6] == bytes(2) else data

    def answer(self, data: bytes) -> bytes:
        """Grant the id 0."""
        return data.replace(b"\xff" * 12, bytes(12))


class AcknowledgementsLost(Relay):
    """Drops every answer after these bytes have gone to the server, until `mend`."""

    def __init__(self, target: int, *, after: bytes) -> None:
        super().__init__(target)
        self._after = after
        self._last = b""
        self.is_losing = self._is_mended = False

    def mend(self) -> None:
        """Disconnect the clients that wait for an answer, and stop dropping."""
        self.is_losing, self._is_mended = False, True
        self.cut()

    def ask(self, data: bytes) -> bytes:
        """Watch for the bytes, which may come in pieces."""
        self._last = self._last[-len(self._after) :] + data
        self.is_losing = not self._is_mended and (self.is_losing or self._after in self._last)
        return data

    def answer(self, data: bytes) -> bytes:
        """Drop the answer while `is_losing`."""
        return b"" if self.is_losing else data


@dataclass(frozen=True)
class Watch:
    """One direction of one connection. Passes on the result of `change`."""

    change: Callable[[bytes], bytes]
    is_to_cut: bool = False

    async def passes(self, data: bytes) -> bytes:
        """Change the bytes."""
        return self.change(data)
