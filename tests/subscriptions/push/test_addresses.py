from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.subscriptions.push import addresses
from tests.subscriptions.push.never_addresses import NEVER

# These are a matter of the settings.
ORDINARY = (
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "100.64.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.253.255.255",
    "169.255.0.0",
    "223.255.255.255",
    "8.8.8.8",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "fc00::1",
    "fd12:3456:789a::1",
    "2a00:1450:4001::1",
    "2001:4860:4860::8888",
)


@pytest.mark.parametrize(("text", "kind"), NEVER.items(), ids=NEVER)
def test_address_is_never_sent_to(text: str, kind: str) -> None:
    """Link-local, metadata, multicast, reserved and embedding addresses are told by their kind."""
    address = addresses.read(text)

    assert address is not None
    assert addresses.why_never(address) == kind


@pytest.mark.parametrize("text", ORDINARY)
def test_address_is_left_to_the_settings(text: str) -> None:
    """Private, loopback and public addresses may be listed."""
    address = addresses.read(text)

    assert address is not None
    assert addresses.why_never(address) is None


@pytest.mark.parametrize(
    "text",
    ["", "1", "127.1", "0177.0.0.1", "0x7f.0.0.1", "2130706433", "1.2.3.4.5", "1.2.3.256", "١.2.3.4", "::g", "[::1]"],
)
def test_other_spellings_are_no_address(text: str) -> None:
    """Only dotted quads and IPv6 are read; short, octal, hexadecimal and decimal forms are not."""
    assert addresses.read(text) is None


@given(st.ip_addresses(v=4))
def test_mapped_address_is_judged_as_the_ipv4_address_it_is(address: IPv4Address) -> None:
    """No IPv4 address becomes more reachable by being mapped into IPv6."""
    assert addresses.read(f"::ffff:{address}") == address


@given(st.ip_addresses(v=4), st.sampled_from(["::{}", "::ffff:0:{}", "64:ff9b::{}", "64:ff9b:1::{}", "fd00::5efe:{}"]))
def test_ipv4_address_inside_another_is_never_sent_to(address: IPv4Address, form: str) -> None:
    """Whatever the address inside, a translating form of it is refused; `::1` is loopback, and only looks like one."""
    embedding = addresses.read(form.format(address))

    assert embedding is not None
    assert embedding.is_loopback or addresses.why_never(embedding) is not None
