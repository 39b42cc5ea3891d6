"""Addresses that the gateway never sends to, whatever the settings allow. No name is resolved here.

Python's `ipaddress` knows most kinds. The few lists here hold what it does not know.
`is_private` and `is_global` are not used: their answers differ between patch releases of Python, and the allow-list
decides about private addresses.
Sources: https://www.iana.org/assignments/iana-ipv4-special-registry and the clouds' own pages on instance metadata,
read 2026-11-23.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

# Metadata servers outside the link-local networks.
_METADATA = (
    IPv4Network("100.100.100.200/32"),  # Alibaba
    IPv4Network("168.63.129.16/32"),  # Azure: the host's agent
    IPv6Network("fd00:ec2::/32"),  # AWS: metadata, name server, clock, pod identities
    IPv6Network("fd20:ce::254/128"),  # Google
    IPv6Network("fd00:c1::a9fe:a9fe/128"),  # Oracle
    IPv6Network("fd00:42::42/128"),  # Scaleway
)
_RESERVED = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("192.0.0.0/24"),  # Oracle's older metadata server is in it.
    IPv4Network("192.88.99.0/24"),  # the relays of 6to4
)

_ISATAP_MASK = 0xFCFFFFFF
_ISATAP = 0x00005EFE


def read(text: str) -> Address | None:
    """Parse an address. Returns None for other text, and the IPv4 address for an IPv4-mapped one."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None and address.scope_id is None:
        return address.ipv4_mapped
    return address


def why_never(address: Address) -> str | None:
    """The kind of an address that is always refused, such as `a multicast address`. None for other addresses."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return "an address bound to one network interface"
    if address.is_loopback:
        return None
    kinds = {
        "a cloud metadata address": any(address in network for network in _METADATA),
        "an IPv6 address with an IPv4 address inside": isinstance(address, IPv6Address) and _is_tunnel(address),
        "the unspecified address": address.is_unspecified,  # Linux treats it as loopback.
        "a link-local address": address.is_link_local,
        "a multicast address": address.is_multicast,
        "a reserved address": _is_reserved(address),
    }
    return next((kind for kind, holds in kinds.items() if holds), None)


def _is_reserved(address: Address) -> bool:
    """Whether the address is unassigned or deprecated. In IPv6 that includes every other form with IPv4 inside."""
    if isinstance(address, IPv6Address):
        return address.is_reserved or address.is_site_local
    return address.is_reserved or any(address in network for network in _RESERVED)


def _is_tunnel(address: IPv6Address) -> bool:
    """Whether it is 6to4, Teredo, or ISATAP: `[02]00:5efe:` and an IPv4 address under any prefix (RFC 5214)."""
    is_isatap = (int(address) >> 32) & _ISATAP_MASK == _ISATAP
    return is_isatap or address.sixtofour is not None or address.teredo is not None
