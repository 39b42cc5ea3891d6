"""Addresses that nothing is ever sent to, whatever the settings allow; no name is resolved here.

Sources: the special-purpose registries https://www.iana.org/assignments/iana-ipv4-special-registry and
https://www.iana.org/assignments/iana-ipv6-special-registry, and the clouds' own pages on instance metadata,
read 2026-11-23.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_METADATA = "a cloud metadata address"
_LINK_LOCAL = "a link-local address"
_RESERVED = "a reserved address"
_EMBEDDING = "an IPv6 address with an IPv4 address inside"

_NEVER_IPV4 = (
    (IPv4Network("100.100.100.200/32"), _METADATA),  # Alibaba
    (IPv4Network("168.63.129.16/32"), _METADATA),  # Azure: the host's agent
    (IPv4Network("192.0.0.192/32"), _METADATA),  # Oracle, classic
    (IPv4Network("169.254.169.254/32"), _METADATA),
    (IPv4Network("169.254.0.0/16"), _LINK_LOCAL),
    (IPv4Network("0.0.0.0/32"), "the unspecified address"),  # Linux takes it for 127.0.0.1
    (IPv4Network("0.0.0.0/8"), _RESERVED),
    (IPv4Network("192.0.0.0/24"), _RESERVED),
    (IPv4Network("192.88.99.0/24"), _RESERVED),  # the relays of 6to4
    (IPv4Network("224.0.0.0/4"), "a multicast address"),
    (IPv4Network("255.255.255.255/32"), "the broadcast address"),
    (IPv4Network("240.0.0.0/4"), _RESERVED),
)

_NEVER_IPV6 = (
    (IPv6Network("fd00:ec2::/32"), _METADATA),  # AWS: metadata, name server, clock, pod identities
    (IPv6Network("fd20:ce::254/128"), _METADATA),  # Google
    (IPv6Network("fd00:c1::a9fe:a9fe/128"), _METADATA),  # Oracle
    (IPv6Network("fd00:42::42/128"), _METADATA),  # Scaleway
    (IPv6Network("fe80::/10"), _LINK_LOCAL),
    (IPv6Network("ff00::/8"), "a multicast address"),
    (IPv6Network("::/128"), "the unspecified address"),
    (IPv6Network("64:ff9b::/96"), _EMBEDDING),  # NAT64
    (IPv6Network("64:ff9b:1::/48"), _EMBEDDING),  # NAT64 for local use
    (IPv6Network("2001::/32"), _EMBEDDING),  # Teredo
    (IPv6Network("2002::/16"), _EMBEDDING),  # 6to4
    (IPv6Network("::/64"), _EMBEDDING),  # compatible, translated; loopback has been let through before
)

# What is in none of these is unassigned, and a future use of it (or a tunnel) is not ours to guess.
_USABLE_IPV6 = (IPv6Network("2000::/3"), IPv6Network("fc00::/7"))

_ISATAP_MASK = 0xFCFFFFFF
_ISATAP = 0x00005EFE


def read(text: str) -> Address | None:
    """The address written here, or None; an IPv4 address mapped into IPv6 is given as the IPv4 address it is."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None and address.scope_id is None:
        return address.ipv4_mapped
    return address


def why_never(address: Address) -> str | None:
    """What the address is that nothing is ever sent to (`a multicast address`), or None for any other."""
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _NEVER_IPV4 if address in network), None)
    if address.scope_id is not None:
        return "an address bound to one network interface"
    if address.is_loopback:
        return None
    if _is_isatap(address):
        return _EMBEDDING
    never = next((kind for network, kind in _NEVER_IPV6 if address in network), None)
    return never or (None if any(address in network for network in _USABLE_IPV6) else _RESERVED)


def _is_isatap(address: IPv6Address) -> bool:
    """Whether the last half is `[02]00:5efe:` and an IPv4 address: ISATAP tunnels, under any prefix (RFC 5214)."""
    return (int(address) >> 32) & _ISATAP_MASK == _ISATAP
