from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.subscriptions.push import addresses
from tests.subscriptions.push.never_addresses import NEVER

# SUBSCRIBERS_ALLOWED decides about these.
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
def test_address_is_always_refused(text: str, kind: str) -> None:
    """The kind of a refused address is named."""
    address = addresses.read(text)

    assert address is not None
    assert addresses.why_never(address) == kind


@pytest.mark.parametrize("text", ORDINARY)
def test_address_is_left_to_the_settings(text: str) -> None:
    """The setting may allow private, loopback and public addresses."""
    address = addresses.read(text)

    assert address is not None
    assert addresses.why_never(address) is None


@pytest.mark.parametrize(
    "text",
    ["", "1", "127.1", "0177.0.0.1", "0x7f.0.0.1", "2130706433", "1.2.3.4.5", "1.2.3.256", "١.2.3.4", "::g", "[::1]"],
)
def test_other_text_is_not_an_address(text: str) -> None:
    """Only dotted quads and IPv6 are parsed, not short, octal, hexadecimal or decimal forms."""
    assert addresses.read(text) is None


@given(st.ip_addresses(v=4))
def test_mapped_address_is_parsed_as_ipv4(address: IPv4Address) -> None:
    """The rules for the IPv4 address apply to its IPv6-mapped form."""
    assert addresses.read(f"::ffff:{address}") == address


@given(st.ip_addresses(v=4), st.sampled_from(["::{}", "::ffff:0:{}", "64:ff9b::{}", "64:ff9b:1::{}", "fd00::5efe:{}"]))
def test_ipv6_address_with_ipv4_inside_is_refused(address: IPv4Address, form: str) -> None:
    """Translated forms of every IPv4 address are refused, except `::1`, which is loopback."""
    embedding = addresses.read(form.format(address))

    assert embedding is not None
    assert embedding.is_loopback or addresses.why_never(embedding) is not None
