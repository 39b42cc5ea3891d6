import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dots import redirect_url

AS_PUBLISHED = [
    "https://shop.com",
    "http://shop.com/thanks?for=all#it",
    "https://shop.com:8443/x",
    "https://shop.com:/x",
    "https://SHOP.com/",
    "https://10.20.30.40:8080/x",
    "https://a_b.com/",
    "https://-shop.com/",
    "https://shop..com/",
    "https://a~b+c=d.com/",
    "https://shop.123/",
    "https://shop.com#it",
    "https://shop.com/?next=https://other.com/a@b%20c",
    "https://shop.com/%2525",
    "https://1.2.3.08/",  # Not an octal number, so browsers find no address in it.
    "https://shop.com:65535/",
    "https://shop.com/" + "a" * 2031,  # 2048 characters
]


@pytest.mark.parametrize("url", AS_PUBLISHED)
def test_url_of_the_published_pattern_passes_without_a_warning(url: str) -> None:
    """A URL that Dots' pattern matches is accepted."""
    assert redirect_url.check(url, allows_localhost=False) is None
    assert redirect_url.warning(url, allows_localhost=False) is None


ONLY_BROWSERS = [
    "https://a.technology/",
    "HTTPS://SHOP.COM/",
    "https://bücher.de/",
    "https://xn--bcher-kva.example/",
    "https://[2001:db8::1]:8443/",
]


@pytest.mark.parametrize("url", ONLY_BROWSERS)
def test_url_that_only_browsers_accept_passes_with_a_warning(url: str) -> None:
    """Dots may not enforce its pattern, so such a URL is not refused."""
    assert redirect_url.check(url, allows_localhost=False) is None
    assert redirect_url.warning(url, allows_localhost=False) in (
        "Dots' published pattern does not know this URL, so Dots may refuse it",
        "browsers show the host as xn--bcher-kva.de, and Dots' published pattern does not know it",
    )


def test_warning_shows_the_ascii_form_of_an_international_host() -> None:
    """Letters of another alphabet may look like Latin ones."""
    warning = redirect_url.warning("https://p\u0430ypal.com/", allows_localhost=False)

    assert "xn--pypal-4ve.com" in str(warning)


# The error texts, by a word of each.
REASONS = {
    "user name": "must not have a user name before the host: people read it as the host",
    "backslash": "must not have a backslash: browsers read it as a slash",
    "control": "must not have control characters",
    "white space": "must not have white space",
    "direction": "must not have characters that change the direction of the text",
    "invisible": "must not have invisible characters",
    "line break": "must not have an encoded line break (%0d, %0a)",
    "begin with http": "must begin with http:// or https://",
    "two slashes": "must have a host right after two slashes",
    "localhost": "must not be on localhost, unless DOTS_API_URL is too (a simulator)",
    "port": "must have a port of at most 65535, or none",
    "percent": "must not have a percent sign in the host: browsers read another host",
    "plain letters": "must have its host in plain letters and dots: browsers read another host",
    "127.0.0.1": "must name the address that browsers read there: 127.0.0.1",
    "1.0.0.2": "must name the address that browsers read there: 1.0.0.2",
    "0.0.0.1": "must name the address that browsers read there: 0.0.0.1",
    "letters, digits": "must have a host of letters, digits, dots and hyphens",
    "a dot": "must have a host with a dot and a top-level domain",
    "brackets": "must have an IPv6 address between the brackets",
    "look up": "must have a host that browsers can look up",
    "2048": "must be a URL of at most 2048 characters",
}

REFUSED = [
    ("https://paypal.com@evil.com", "user name"),
    ("https://paypal.com:443@evil.com/", "user name"),
    ("https://@evil.com/", "user name"),
    ("https://paypal.com\\@evil.com", "backslash"),
    ("https:/\\evil.com", "backslash"),
    ("https://shop.com/\\evil", "backslash"),
    ("https://shop.com/\x00", "control"),
    ("ht\ttps://shop.com/", "control"),
    ("https://shop.com/\r\nSet-Cookie:a", "control"),
    ("https://shop.com/\x85", "control"),
    ("https://shop.com/\ud800", "control"),
    ("https://shop.com/a b", "white space"),
    (" https://shop.com/", "white space"),
    ("https://shop.com/\u00a0", "white space"),
    ("https://shop.com/\u2028", "white space"),
    ("https://shop.com/\u202egpj.exe", "direction"),
    ("https://shop.com/\u2066x", "direction"),
    ("https://shop.com/\u200f", "direction"),
    ("https://sh\u200bop.com/", "invisible"),
    ("https://sh\u00adop.com/", "invisible"),
    ("https://shop.com/\ufeff", "invisible"),
    ("https://shop.com/\u3164", "invisible"),
    ("https://shop.com/\ufe0f", "invisible"),
    ("https://shop.com/%0d%0aSet-Cookie:a", "line break"),
    ("https://shop.com/?a=%0A", "line break"),
    ("https://shop.com/#%0D", "line break"),
    ("https://shop.com%0d.evil.com/", "line break"),
    ("https://shop.com/%250a", "line break"),
    ("https://shop.com/%25250D", "line break"),
    ("https://shop.com/%25%30a", "line break"),
    ("https://shop.com/%%30%61", "line break"),
    ("ftp://shop.com/", "begin with http"),
    ("javascript:alert(1)//shop.com", "begin with http"),
    ("xhttps://shop.com/", "begin with http"),
    ("//shop.com/", "begin with http"),
    ("shop.com", "begin with http"),
    ("https:shop.com", "two slashes"),
    ("https:/shop.com", "two slashes"),
    ("https:///evil.com", "two slashes"),
    ("https://", "two slashes"),
    ("https://?a=shop.com", "two slashes"),
    ("https://:80/", "two slashes"),
    ("http://localhost/?next=https://a.com", "localhost"),
    ("http://localhost#a.b", "localhost"),
    ("http://app.localhost/", "localhost"),
    ("http://localhost./", "localhost"),
    ("https://intranet/?next=https://a.com", "a dot"),
    ("https://shop.com:99999/", "port"),
    ("https://shop.com:0000099999/", "port"),
    ("https://shop.com:80.evil.com/", "port"),
    ("https://shop.com:-1/", "port"),
    ("https://shop.com:\u0668/", "port"),
    ("https://evil%2ecom.shop.com/", "percent"),
    ("https://%65vil.com/", "percent"),
    ("https://shop\u3002com/", "plain letters"),
    ("https://shop\uff0ecom/", "plain letters"),
    ("https://\uff53hop.com/", "plain letters"),
    ("https://evil.com\uff0f.shop.com/", "plain letters"),
    ("https://\u2100.com/", "plain letters"),
    ("https://bücher/", "look up"),
    ("https://" + "ü" * 64 + ".de/", "look up"),
    ("https://bücher%20.de/", "look up"),
    ("https://0x7f.1/", "127.0.0.1"),
    ("https://0X7F.1/", "127.0.0.1"),
    ("https://127.0.0.1./", "127.0.0.1"),
    ("https://0x.1/", "0.0.0.1"),
    ("https://0177.0.0.1/", "127.0.0.1"),
    ("https://1.2/", "1.0.0.2"),
    ("https://2130706433/", "127.0.0.1"),
    ("https://sho!p.com/", "letters, digits"),
    ("https://shop", "a dot"),
    ("https://shop.technology-/", "a dot"),
    ("https://[::1/", "two slashes"),
    ("https://[evil.com]/", "brackets"),
    ("https://[fe80::1%eth0]/", "brackets"),
    ("http://localhost:3000/x", "localhost"),
    ("http://shop.localhost/", "localhost"),
    ("http://[::1]/", "localhost"),
    ("https://shop.com/" + "a" * 2048, "2048"),
    ("", "2048"),
    (17, "2048"),
]


@pytest.mark.parametrize(("url", "reason"), REFUSED, ids=ascii)
def test_url_that_is_read_as_another_host_is_refused(url: object, reason: str) -> None:
    """The reason names the kind of problem."""
    assert redirect_url.check(url, allows_localhost=False) == REASONS[reason]


LOCAL = ["http://localhost:3000/x", "http://127.0.0.1/", "http://[::1]:8080/", "http://shop.localhost/"]


@pytest.mark.parametrize("url", LOCAL)
def test_localhost_is_for_a_simulator(url: str) -> None:
    """If Dots is a simulator on this machine, a redirect may lead to this machine too."""
    assert redirect_url.check(url, allows_localhost=True) is None
    assert redirect_url.warning(url, allows_localhost=True) is None


def test_loopback_address_passes_with_a_warning() -> None:
    """Dots' pattern matches every IPv4 address, also this one."""
    url = "http://127.0.0.1:3000/"

    assert redirect_url.check(url, allows_localhost=False) is None
    assert redirect_url.warning(url, allows_localhost=False) == "127.0.0.1 is the payee's own machine"


def test_a_warning_needs_no_checked_url() -> None:
    """`warning` accepts unreadable URLs too."""
    unknown = "Dots' published pattern does not know this URL, so Dots may refuse it"

    assert redirect_url.warning("nonsense", allows_localhost=False) == unknown
    assert redirect_url.warning("https://[::1/", allows_localhost=False) == unknown
    assert redirect_url.warning("http://LOCALHOST/", allows_localhost=False) == "localhost is the payee's own machine"


@settings(deadline=None, max_examples=40)
@given(host=st.from_regex(re.compile(r"[-a-zA-Z_+~=]{1,60}\.[a-zA-Z]{1,6}", re.ASCII), fullmatch=True))
def test_every_plain_host_of_the_pattern_passes(host: str) -> None:
    """A plain host that Dots' pattern matches is accepted."""
    assert redirect_url.check(f"https://{host}/", allows_localhost=False) is None
