"""The policy on where events may be sent. It opens no sockets and resolves no names.

Only destinations that SUBSCRIBERS_ALLOWED lists are allowed. Some are refused even if it lists them: the addresses of
`addresses.why_never`, the names of cloud metadata servers, and the gateway's own database and broker.
Our own names are resolved again for each new connection, because their addresses may have changed since the start.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from app.errors import DestinationRefusedError
from app.subscriptions.push import addresses, allowances, urls
from app.subscriptions.push.addresses import Address
from app.subscriptions.push.urls import Destination, Endpoint

_METADATA_HOSTS = frozenset(
    {
        "instance-data",
        "instance-data.ec2.internal",
        "metadata",
        "metadata.azure.internal",
        "metadata.goog",
        "metadata.google.internal",
        "metadata.platformequinix.com",
        "metadata.tencentyun.com",
    }
)
_NOT_ALLOWED = "SUBSCRIBERS_ALLOWED in the gateway's settings does not list this host and port."
_OWN = "Events are never sent to the gateway's own database or broker."


class Listener(NamedTuple):
    """The address and port at which our database or broker listens."""

    address: Address
    port: int


class Destinations:
    """Decides which URLs and addresses are allowed."""

    def __init__(self, allowed: Sequence[str], *, denied: Collection[Endpoint]) -> None:
        """Parse the entries of SUBSCRIBERS_ALLOWED. `denied` endpoints are always refused. Raises SettingsError."""
        self._allowances = allowances.read_all(allowed)
        known = [(endpoint, addresses.read(endpoint.host)) for endpoint in denied]
        self._denied = tuple(Listener(address, endpoint.port) for endpoint, address in known if address is not None)
        self.denied_names = tuple(
            Endpoint(host=endpoint.host.lower().rstrip("."), port=endpoint.port)
            for endpoint, address in known
            if address is None
        )

    def check_url(self, url: str) -> Destination:
        """Parse a URL, and refuse it if that is possible before its host is resolved.

        Raises DestinationRefusedError. `check_address` must still check the host's addresses.
        """
        destination = urls.read(url)
        endpoint = destination.endpoint
        address = addresses.read(endpoint.host)
        if address is None:
            self._check_name(endpoint)
        else:
            self.check_address(endpoint, address)
        return destination

    def check_address(self, endpoint: Endpoint, address: Address, *, denied: Iterable[Listener] = ()) -> None:
        """Refuse one address of the endpoint's host. `denied` holds the addresses of `denied_names`.

        Raises DestinationRefusedError.
        """
        never = addresses.why_never(address)
        if never is not None:
            raise DestinationRefusedError(f"Events are never sent to {never}.")
        if any(_is_reached(listener, address, endpoint.port) for listener in (*self._denied, *denied)):
            raise DestinationRefusedError(_OWN)
        if not any(
            entry.covers_host(endpoint.host, endpoint.port) or entry.covers_address(address, endpoint.port)
            for entry in self._allowances
        ):
            raise DestinationRefusedError(_NOT_ALLOWED)

    def _check_name(self, endpoint: Endpoint) -> None:
        if endpoint.host in _METADATA_HOSTS:
            raise DestinationRefusedError("Events are never sent to a cloud's metadata server.")
        if any(_is_same(denied, endpoint) for denied in self.denied_names):
            raise DestinationRefusedError(_OWN)
        if not any(
            entry.covers_host(endpoint.host, endpoint.port) if entry.network is None else endpoint.port in entry.ports
            for entry in self._allowances
        ):
            raise DestinationRefusedError(_NOT_ALLOWED)


def _is_reached(listener: Listener, address: Address, port: int) -> bool:
    """Whether a connection to this address and port may reach the listener, or another port of its machine.

    Other services run on this machine too, so on a loopback address only the port counts. It counts on every loopback
    address, because a service that listens on all interfaces is reached through each of them.
    """
    return port == listener.port if address.is_loopback else address == listener.address


def _is_same(denied: Endpoint, endpoint: Endpoint) -> bool:
    """Whether the name is one of ours: on any port, or on the same port if the name means this machine (RFC 6761)."""
    is_local = denied.host == "localhost" or denied.host.endswith(".localhost")
    return denied.host == endpoint.host and (not is_local or denied.port == endpoint.port)
