from ipaddress import ip_address

import pytest

from app.errors import DestinationRefusedError
from app.subscriptions.push.destinations import Destinations, Listener
from app.subscriptions.push.urls import Endpoint

DATABASE = Endpoint(host="10.0.0.5", port=5432)
LOCAL_DATABASE = Endpoint(host="127.0.0.1", port=5432)
BROKER = Endpoint(host="Broker.internal.", port=4222)
LOCAL_BROKER = Endpoint(host="localhost", port=4222)
EVERYTHING = ("0.0.0.0/0:1-65535", "[::/0]:1-65535", ".internal:1-65535", ".localhost:1-65535", ".goog:1-65535")


def refusal(destinations: Destinations, url: str) -> str | None:
    """The reason for the refusal, or None."""
    try:
        destinations.check_url(url)
    except DestinationRefusedError as error:
        return str(error)
    return None


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://[::1]/", "http://10.0.0.1/", "https://hooks.internal/"])
def test_nothing_is_allowed_by_default(url: str) -> None:
    """Without entries every destination is refused, and the error names the setting."""
    destinations = Destinations([], denied=())

    assert "SUBSCRIBERS_ALLOWED" in (refusal(destinations, url) or "")


URLS = [
    (["10.0.0.0/8:443"], "https://10.1.2.3/", True),
    (["10.0.0.0/8:443"], "http://10.1.2.3/", False),
    (["10.0.0.0/8:443"], "https://[::ffff:10.1.2.3]/", True),
    (["10.0.0.0/8:443"], "https://11.0.0.1/", False),
    (["10.0.0.0/8:443"], "https://anything.example/", True),  # Its addresses decide later.
    (["10.0.0.0/8:443"], "http://anything.example/", False),
    (["hooks:80"], "http://HOOKS/", True),
    (["hooks:80"], "http://other/", False),
    (["hooks:80"], "http://10.0.0.1/", False),
    ([".internal:80"], "http://hooks.internal/", True),
    ([".internal:80"], "http://internal/", False),
    (["10.0.0.0/8:80", "hooks:81"], "http://hooks:81/", True),
    (["127.0.0.0/8:1-65535"], "http://127.0.0.1:49152/", True),
]


@pytest.mark.parametrize(("allowed", "url", "is_allowed"), URLS)
def test_url_is_checked_against_the_setting(allowed: list[str], url: str, *, is_allowed: bool) -> None:
    """This check does not resolve names."""
    assert (refusal(Destinations(allowed, denied=()), url) is None) is is_allowed


ADDRESSES = [
    (["10.0.0.0/8:443"], "hooks", "10.0.0.1", True),
    (["10.0.0.0/8:443"], "hooks", "192.168.0.1", False),
    (["hooks:443"], "hooks", "192.168.0.1", True),
    (["hooks:443"], "hooks", "fd00::1", True),
    (["hooks:443"], "hooks", "127.0.0.1", True),
    (["hooks:443"], "hooks", "169.254.169.254", False),
    (["hooks:443"], "other", "192.168.0.1", False),
    (["hooks:80"], "hooks", "192.168.0.1", False),
]


@pytest.mark.parametrize(("allowed", "host", "address", "is_allowed"), ADDRESSES)
def test_resolved_address_is_checked_against_the_setting(
    allowed: list[str], host: str, address: str, *, is_allowed: bool
) -> None:
    """An allowed name may have any address that is not always refused. Other names need an allowed address."""
    destinations = Destinations(allowed, denied=())
    endpoint = Endpoint(host=host, port=443)

    if is_allowed:
        assert destinations.check_address(endpoint, ip_address(address)) is None  # type: ignore[func-returns-value]  # it must not raise
    else:
        with pytest.raises(DestinationRefusedError):
            destinations.check_address(endpoint, ip_address(address))


METADATA_HOSTS = ["metadata.google.internal", "METADATA.google.internal", "metadata.goog", "metadata.azure.internal"]


@pytest.mark.parametrize("host", METADATA_HOSTS)
def test_metadata_host_is_refused_by_its_name(host: str) -> None:
    """It is refused even if its domain is allowed."""
    assert refusal(Destinations(EVERYTHING, denied=()), f"http://{host}/") == (
        "Events are never sent to a cloud's metadata server."
    )


OWN = [
    (DATABASE, "http://10.0.0.5:5432/", True),
    (DATABASE, "http://10.0.0.5:80/", True),
    (DATABASE, "http://[::ffff:10.0.0.5]:5432/", True),
    (DATABASE, "http://10.0.0.6:5432/", False),
    (DATABASE, "http://127.0.0.1:5432/", True),  # It may listen on all interfaces of this machine.
    (DATABASE, "http://127.0.0.1:80/", False),
    (LOCAL_DATABASE, "http://127.0.0.1:5432/", True),
    (LOCAL_DATABASE, "http://127.1.2.3:5432/", True),
    (LOCAL_DATABASE, "http://[::1]:5432/", True),
    (LOCAL_DATABASE, "http://[::ffff:127.0.0.1]:5432/", True),
    (LOCAL_DATABASE, "http://127.0.0.1:5433/", False),
    (BROKER, "http://broker.internal:4222/", True),
    (BROKER, "http://broker.internal:80/", True),
    (BROKER, "http://other.internal:4222/", False),
    (LOCAL_BROKER, "http://localhost:4222/", True),
    (LOCAL_BROKER, "http://localhost:80/", False),
]


@pytest.mark.parametrize(("denied", "url", "is_refused"), OWN)
def test_own_database_and_broker_are_refused(denied: Endpoint, url: str, *, is_refused: bool) -> None:
    """Their host is refused on every port, and this machine on their ports, whatever the setting allows."""
    found = refusal(Destinations(EVERYTHING, denied=[denied]), url)

    assert found == ("Events are never sent to the gateway's own database or broker." if is_refused else None)


def test_resolved_address_of_an_own_name_is_refused() -> None:
    """Every host with the address of the broker is refused."""
    destinations = Destinations(EVERYTHING, denied=[BROKER])
    own = [Listener(ip_address("10.0.0.9"), 4222)]

    with pytest.raises(DestinationRefusedError, match="own database or broker"):
        destinations.check_address(Endpoint(host="hooks.internal", port=80), ip_address("10.0.0.9"), denied=own)


def test_denied_names_are_canonical() -> None:
    """They are in lower case without a final dot. Endpoints with addresses are not among them."""
    destinations = Destinations([], denied=[BROKER, DATABASE])

    assert destinations.denied_names == (Endpoint(host="broker.internal", port=4222),)
