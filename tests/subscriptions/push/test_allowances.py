import pytest

from app.errors import SettingsError
from app.subscriptions.push import addresses, allowances

ADDRESSES = [
    ("10.0.0.0/8:443", "10.1.2.3", 443, True),
    ("10.0.0.0/8:443", "10.1.2.3", 80, False),
    ("10.0.0.0/8:443", "11.0.0.0", 443, False),
    ("10.0.0.7:443", "10.0.0.7", 443, True),
    ("10.0.0.7:443", "10.0.0.8", 443, False),
    ("[fd00::/8]:8000-8999", "fd12::1", 8000, True),
    ("[fd00::/8]:8000-8999", "fd12::1", 8999, True),
    ("[fd00::/8]:8000-8999", "fd12::1", 9000, False),
    ("[fd00::1]:80", "fd00::1", 80, True),
    ("[::/0]:1-65535", "10.0.0.1", 80, False),
    ("0.0.0.0/0:1-65535", "fd00::1", 80, False),
    ("hooks:443", "10.0.0.7", 443, False),
]


@pytest.mark.parametrize(("entry", "address", "port", "covered"), ADDRESSES)
def test_network_covers_its_addresses_on_its_ports(entry: str, address: str, port: int, *, covered: bool) -> None:
    """Entries may be networks or addresses, with one port or a range."""
    (allowance,) = allowances.read_all([entry])
    known = addresses.read(address)

    assert known is not None
    assert allowance.covers_address(known, port) is covered


HOSTS = [
    ("hooks.internal:443", "hooks.internal", 443, True),
    ("Hooks.Internal:443", "hooks.internal", 443, True),
    ("hooks.internal:443", "hooks.internal", 444, False),
    ("hooks.internal:443", "a.hooks.internal", 443, False),
    ("hooks.internal:443", "hooks.internal.evil.example", 443, False),
    (".svc.cluster.local:80", "a.svc.cluster.local", 80, True),
    (".svc.cluster.local:80", "a.b.svc.cluster.local", 80, True),
    (".svc.cluster.local:80", "svc.cluster.local", 80, False),
    (".svc.cluster.local:80", "evilsvc.cluster.local", 80, False),
    (".svc.cluster.local:80", "a.svc.cluster.local.evil.example", 80, False),
    ("10.0.0.0/8:80", "10.0.0.1", 80, False),
]


@pytest.mark.parametrize(("entry", "host", "port", "covered"), HOSTS)
def test_name_covers_hosts_by_whole_labels(entry: str, host: str, port: int, *, covered: bool) -> None:
    """A name matches one host. With a leading dot it matches every host below, and no look-alike."""
    (allowance,) = allowances.read_all([entry])

    assert allowance.covers_host(host, port) is covered


MALFORMED = [
    "",
    "10.0.0.0/8",
    "10.0.0.0/8:",
    "10.0.0.0/8:0",
    "10.0.0.0/8:65536",
    "10.0.0.0/8:90-80",
    "10.0.0.0/8:80-",
    "10.0.0.0/8:http",
    "10.0.0.1/8:80",
    "10.0.0.0/33:80",
    "10.0.0/24:80",
    "10.0:80",
    "0x7f000001:80",
    "fd00::/8:80",
    "[10.0.0.0/8]:80",
    "[hooks]:80",
    "[fe80::1%eth0]:80",
    "*.internal:80",
    "..internal:80",
    ".:80",
    ":80",
    "hooks.:80",
    "http://hooks:80",
    "bücher.example:80",
    ".10.0.0.1:80",
    "user@hooks:80",
]


@pytest.mark.parametrize("entry", MALFORMED)
def test_malformed_entry_stops_the_start(entry: str) -> None:
    """The error names the setting and the entry's number."""
    with pytest.raises(SettingsError, match=r"SUBSCRIBERS_ALLOWED: entry 2 is malformed: "):
        allowances.read_all(["hooks:80", entry])


def test_malformed_entry_is_not_quoted() -> None:
    """The entry may be a URL with a password."""
    with pytest.raises(SettingsError) as raised:
        allowances.read_all(["https://user:SECRET@hooks/"])

    assert "SECRET" not in str(raised.value)
