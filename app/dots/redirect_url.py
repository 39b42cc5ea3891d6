"""Checks redirect URLs: Dots would accept them, and browsers and people read the same host in them.

Source: the pattern in the schema of docs.dots.dev (read July 2026); https://url.spec.whatwg.org/#host-parsing for how
browsers read a host (read November 2026).
"""

import ipaddress
import re
import unicodedata
from urllib.parse import unquote

URL_LIMIT_CHARACTERS = 2048
_LAST_PORT = 65535
_ONLY_SIMULATED = "must not be on localhost, unless DOTS_API_URL is too (a simulator)"

_PUBLISHED = re.compile(r"https?://[-a-zA-Z0-9@:%._+~#=]{1,256}\.[a-zA-Z0-9]{1,6}\b", re.ASCII)
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*):(?P<slashes>/*)(?P<authority>[^/?#]*)", re.ASCII | re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)
_ASCII_HOST = re.compile(r"[-a-z0-9._+~=]+", re.ASCII | re.IGNORECASE)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+", re.ASCII)
_BIDIRECTIONAL = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f")
# Invisible letters and marks. All other invisible characters are in category Cf.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


class _RefusedError(Exception):
    """The URL is refused. The text gives the reason."""


def check(url: object, *, allows_localhost: bool) -> str | None:
    """Return why the URL is refused, or None. `allows_localhost`: Dots is a simulator on this machine."""
    try:
        if not isinstance(url, str) or not 0 < len(url) <= URL_LIMIT_CHARACTERS:
            return f"must be a URL of at most {URL_LIMIT_CHARACTERS} characters"
        _require_plain(url)
        _require_no_line_break(url)
        host = _require_host(url)
        if not (allows_localhost and is_local(host)):
            _require_public(host, is_published=bool(_PUBLISHED.match(url)))
    except _RefusedError as refusal:
        return str(refusal)
    return None


def warning(url: str, *, allows_localhost: bool) -> str | None:
    """Return a warning about a URL that `check` accepts, or None."""
    host = _host_of(url)
    if allows_localhost and is_local(host):
        return None
    if is_local(host):
        return f"{host} is the payee's own machine"
    if not host.isascii():
        return f"browsers show the host as {_in_ascii(host)}, and Dots' published pattern does not know it"
    if not _PUBLISHED.match(url):
        return "Dots' published pattern does not know this URL, so Dots may refuse it"
    return None


def _require_plain(url: str) -> None:
    for character in url:
        category = unicodedata.category(character)
        if character == "\\":
            raise _RefusedError("must not have a backslash: browsers read it as a slash")
        if category in ("Cc", "Cs"):
            raise _RefusedError("must not have control characters")
        if category.startswith("Z"):
            raise _RefusedError("must not have white space")
        if unicodedata.bidirectional(character) in _BIDIRECTIONAL or character in _DIRECTION_MARKS:
            raise _RefusedError("must not have characters that change the direction of the text")
        if category == "Cf" or character in _BLANK or "VARIATION SELECTOR" in unicodedata.name(character, ""):
            raise _RefusedError("must not have invisible characters")


def _require_no_line_break(url: str) -> None:
    """Check every layer of percent-encoding. The loop ends, because each layer is shorter than the last."""
    layer = url
    while (inner := unquote(layer)) != layer:
        if "\r" in inner or "\n" in inner:
            raise _RefusedError("must not have an encoded line break (%0d, %0a)")
        layer = inner


def _require_host(url: str) -> str:
    """Return the host as written. Refuses URLs in which browsers or people would read another one."""
    found = _URL.match(url)
    if found is None or found["scheme"].lower() not in ("http", "https"):
        raise _RefusedError("must begin with http:// or https://")
    authority = found["authority"]
    if "@" in authority:
        raise _RefusedError("must not have a user name before the host: people read it as the host")
    place = _HOST_AND_PORT.fullmatch(authority)
    if len(found["slashes"]) != len("//") or place is None or not place["host"]:
        raise _RefusedError("must have a host right after two slashes")
    port = place["port"] or "0"
    if not (port.isascii() and port.isdigit() and int(port) <= _LAST_PORT):
        raise _RefusedError(f"must have a port of at most {_LAST_PORT}, or none")
    return place["host"]


def _require_public(host: str, *, is_published: bool) -> None:
    if host.startswith("["):
        _require_ipv6(host)
    elif not host.isascii():
        _require_international(host)
    elif "%" in host:
        raise _RefusedError("must not have a percent sign in the host: browsers read another host")
    elif not _ASCII_HOST.fullmatch(host):
        raise _RefusedError("must have a host of letters, digits, dots and hyphens")
    elif (address := _address_of(host)) not in (None, host):
        raise _RefusedError(f"must name the address that browsers read there: {address}")
    elif is_local(host) and address is None:
        raise _RefusedError(_ONLY_SIMULATED)
    elif not is_published:
        labels = host.removesuffix(".").split(".")
        if len(labels) == 1 or not all(_LABEL.fullmatch(label) for label in labels):
            raise _RefusedError("must have a host with a dot and a top-level domain")


def _require_ipv6(host: str) -> None:
    try:
        address = ipaddress.IPv6Address(host[1:-1].replace("%", " "))
    except ValueError:
        raise _RefusedError("must have an IPv6 address between the brackets") from None
    if address.is_loopback:
        raise _RefusedError(_ONLY_SIMULATED)


def _require_international(host: str) -> None:
    """Refuse characters that browsers replace before they look up a host: full-width letters, ligatures, other dots."""
    plain = unicodedata.normalize("NFKC", host).replace("\u3002", ".")
    if plain.lower() != host.lower():
        raise _RefusedError("must have its host in plain letters and dots: browsers read another host")
    if "." not in host or "%" in host or not _in_ascii(host):
        raise _RefusedError("must have a host that browsers can look up")


def _in_ascii(host: str) -> str:
    """Return the host as browsers look it up (`xn--…`); empty if it cannot be encoded."""
    try:
        return host.encode("idna").decode("ascii").lower()
    except ValueError:
        return ""


def _address_of(host: str) -> str | None:
    """Return the IPv4 address that browsers read in one to four decimal, octal or hexadecimal numbers (`0x7f.1`)."""
    parts = host.removesuffix(".").split(".")
    if not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    try:
        *front, last = [_number(part) for part in parts]
        in_front = bytes(front)
        return str(ipaddress.IPv4Address(in_front + last.to_bytes(4 - len(in_front))))
    except (ValueError, OverflowError):
        return None


def _number(text: str) -> int:
    if text[:2] in ("0x", "0X"):
        return int(text[2:] or "0", 16)
    return int(text, 8 if text.startswith("0") and len(text) > 1 else 10)


def _host_of(url: str) -> str:
    found = _URL.match(url)
    place = _HOST_AND_PORT.fullmatch(found["authority"]) if found else None
    return place["host"].lower() if place else ""


def is_local(host: str) -> bool:
    """Whether a host, with or without brackets, is the browser's own machine."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
