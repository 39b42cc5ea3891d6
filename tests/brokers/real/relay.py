"""Proxies in front of a broker that also hold for Kafka, whose clients dial the address that the server names."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.campaigns.proxy import Proxy


class Relay(Proxy):
    """Passes everything on, but replaces the server's own address by the relay's, or Kafka's client would use that."""

    def intercept(self) -> "Watch":
        """See what the client asks."""
        return Watch(self.ask)

    def intercept_answers(self) -> "Watch":
        """Replace the address, which Kafka writes as a host and the port in four bytes."""
        theirs, ours = (b"127.0.0.1" + port.to_bytes(4, "big") for port in (self.target, self.port))
        return Watch(lambda data: self.answer(data.replace(theirs, ours)))

    def ask(self, data: bytes) -> bytes:
        """What the server gets of this."""
        return data

    def answer(self, data: bytes) -> bytes:
        """What the client gets of this."""
        return data


class Recorder(Relay):
    """Keeps what the client says in `heard`."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.heard = b""

    def ask(self, data: bytes) -> bytes:
        """Keep it."""
        self.heard += data
        return data


class ProducerIdGranted(Relay):
    """Turns Tansu's refusal of a producer's id, an error with the id and epoch -1, into an id. Swallows records."""

    def ask(self, data: bytes) -> bytes:
        """Pass on every request but Produce, whose number is 0."""
        return b"" if data[4:6] == bytes(2) else data

    def answer(self, data: bytes) -> bytes:
        """Grant the id 0."""
        return data.replace(b"\xff" * 12, bytes(12))


class AcknowledgementsLost(Relay):
    """Passes on no answer of the server any more once these bytes have gone to it, until it is mended."""

    def __init__(self, target: int, *, after: bytes) -> None:
        super().__init__(target)
        self._after = after
        self._last = b""
        self.is_losing = self._is_mended = False

    def mend(self) -> None:
        """Cut off every client that waits for an answer; from now on nothing is lost."""
        self.is_losing, self._is_mended = False, True
        self.cut()

    def ask(self, data: bytes) -> bytes:
        """Watch for the bytes, which may come in pieces."""
        self._last = self._last[-len(self._after) :] + data
        self.is_losing = not self._is_mended and (self.is_losing or self._after in self._last)
        return data

    def answer(self, data: bytes) -> bytes:
        """Keep back what must not arrive."""
        return b"" if self.is_losing else data


@dataclass(frozen=True)
class Watch:
    """One connection, one way: passes on what `look` makes of it."""

    look: Callable[[bytes], bytes]
    is_to_cut: bool = False

    async def passes(self, data: bytes) -> bytes:
        """Look at it."""
        return self.look(data)
