"""The entries of SUBSCRIBERS_ALLOWED: the addresses and hosts that events may be sent to, with their ports."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from app.errors import DestinationRefusedError, SettingsError
from app.subscriptions.push import addresses, urls
from app.subscriptions.push.addresses import Address

SETTING = "SUBSCRIBERS_ALLOWED"

_ENTRY = re.compile(r"(?P<what>\[[^\[\]]+\]|[^:\[\]]+):(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?")
_HIGHEST_PORT = 65535
_EXAMPLES = "10.0.0.0/8:443, [fd00::/8]:8000-8999, hooks.internal:443 or .svc.cluster.local:80"


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """One entry: a network or a name. A name with a leading dot matches every host below it."""

    network: IPv4Network | IPv6Network | None
    name: str | None
    ports: range

    def covers_address(self, address: Address, port: int) -> bool:
        """Whether the entry is a network that contains the address."""
        return self.network is not None and port in self.ports and address in self.network

    def covers_host(self, host: str, port: int) -> bool:
        """Whether the entry is a matching name. The host may then have any address that is not always refused."""
        if self.name is None or port not in self.ports:
            return False
        return host.endswith(self.name) if self.name.startswith(".") else host == self.name


def read_all(entries: Sequence[str]) -> tuple[Allowance, ...]:
    """Parse the entries in order. Raises SettingsError, which names the entry's number and does not quote it."""
    return tuple(_read(entry.strip(), number) for number, entry in enumerate(entries, start=1))


def _read(entry: str, number: int) -> Allowance:
    parts = _ENTRY.fullmatch(entry)
    if parts is None:
        raise _malformed(number, f"it must look like {_EXAMPLES}")
    ports = range(int(parts["first"]), int(parts["last"] or parts["first"]) + 1)
    if not ports or ports[0] < 1 or ports[-1] > _HIGHEST_PORT:
        raise _malformed(number, "its ports must be one number or a range, from 1 to 65535")
    what = parts["what"]
    if "/" in what or ":" in what:
        return Allowance(network=_read_network(what, number), name=None, ports=ports)
    try:
        host = urls.read_host(what.removeprefix("."))
    except DestinationRefusedError as error:
        raise _malformed(number, f"it must look like {_EXAMPLES}") from error
    if addresses.read(host) is not None:
        return Allowance(network=_read_network(what, number), name=None, ports=ports)
    return Allowance(network=None, name=f".{host}" if what.startswith(".") else host, ports=ports)


def _read_network(text: str, number: int) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise _malformed(number, "its network is invalid, or has bits set after the prefix") from None
    if "%" in text:
        raise _malformed(number, "its network is bound to an interface")
    if text.startswith("[") != (network.version == 6):  # noqa: PLR2004 - the version of IP
        raise _malformed(number, "IPv6 networks need brackets, and IPv4 networks have none")
    return network


def _malformed(number: int, problem: str) -> SettingsError:
    return SettingsError(f"{SETTING}: entry {number} is malformed: {problem}.")
