import pytest

from app.errors import DestinationRefusedError
from app.subscriptions.push import urls
from app.subscriptions.push.urls import Destination, Endpoint

READ = [
    ("http://hooks.internal", "http", "hooks.internal", 80, "/"),
    ("https://hooks.internal", "https", "hooks.internal", 443, "/"),
    ("HTTPS://Hooks.Internal/A/b?C=d", "https", "hooks.internal", 443, "/A/b?C=d"),
    ("http://hooks:8080/x", "http", "hooks", 8080, "/x"),
    ("http://hooks?x=1", "http", "hooks", 80, "/?x=1"),
    ("http://my_hooks/a@b:c", "http", "my_hooks", 80, "/a@b:c"),
    ("http://10.0.0.1:65535/", "http", "10.0.0.1", 65535, "/"),
    ("http://[FD00::0001]:8080/", "http", "fd00::1", 8080, "/"),
    ("http://[::ffff:10.0.0.1]/", "http", "10.0.0.1", 80, "/"),
    ("http://xn--bcher-kva.example/", "http", "xn--bcher-kva.example", 80, "/"),
    ("http://1a.example/", "http", "1a.example", 80, "/"),
    ("http://10.0.0.1.example/", "http", "10.0.0.1.example", 80, "/"),
    ("http://hooks/%2e%2e/%00", "http", "hooks", 80, "/%2e%2e/%00"),
    ("http://hooks//evil.example/", "http", "hooks", 80, "//evil.example/"),
    ("http://hooks/" + "a" * 2035, "http", "hooks", 80, "/" + "a" * 2035),
]


@pytest.mark.parametrize(("url", "scheme", "host", "port", "target"), READ, ids=[case[0][:40] for case in READ])
def test_url_is_parsed(url: str, scheme: str, host: str, port: int, target: str) -> None:
    """Scheme and host become lower case, addresses canonical, and the path and query stay unchanged."""
    destination = urls.read(url)

    assert destination == Destination(scheme=scheme, endpoint=Endpoint(host=host, port=port), target=target)


AUTHORITIES = [
    ("http://hooks:80/", "hooks"),
    ("https://hooks:443/", "hooks"),
    ("http://hooks:443/", "hooks:443"),
    ("https://[fd00::1]:8443/", "[fd00::1]:8443"),
    ("http://[fd00::1]/", "[fd00::1]"),
]


@pytest.mark.parametrize(("url", "authority"), AUTHORITIES)
def test_host_header_names_the_port_unless_the_scheme_implies_it(url: str, authority: str) -> None:
    """IPv6 addresses have brackets (RFC 9110)."""
    assert urls.read(url).authority == authority


REFUSED = {
    "must start with http": [
        "ftp://h/",
        "file:///etc/passwd",
        "gopher://h/",
        "//h/",
        "h",
        "",
        "http:/h",
        "http:h",
        "javascript:1",
    ],
    "user name": ["http://a@h/", "http://a:b@h/", "http://h@10.0.0.1/", "http://@h/", "http://h:80@10.0.0.1:5432/"],
    "fragment": ["http://h/#a", "http://h#@10.0.0.1/", "http://10.0.0.1#.h/"],
    "ASCII": [
        "http://h /",
        " http://h/",
        "http://h/\t",
        "http://h\n/",
        "http://h/\r\nX-Injected: 1",
        "http://h\\@10.0.0.1/",
        "http:\\\\h\\",
        "http://h/\x00",
        "http://h/\x7f",
        "http://bücher.example/",
        "http://h/ü",
        "http://①②⑦.⓪.⓪.①/",
        "http://127。0。0。1/",
        "http://h\u200b.example/",
    ],
    "lacks a host": ["http:///", "http://:80/", "http://?h"],
    "end with a dot": ["http://h./", "http://10.0.0.1./", "http://localhost.:80/", "http://./", "http://h../"],
    "xn--": ["http://127%2e0%2e0%2e1/", "http://%31%30.0.0.1/", "http://h%00.example/", "http://h%25/"],
    "four decimal numbers": [
        "http://2130706433/",
        "http://017700000001/",
        "http://0x7f000001/",
        "http://0X7F000001/",
        "http://0x/",
        "http://0/",
        "http://127.1/",
        "http://127.0.1/",
        "http://0177.0.0.1/",
        "http://0x7f.0.0.1/",
        "http://127.0.0.0x1/",
        "http://127.0.0.01/",
        "http://127.0.0.256/",
        "http://1.2.3.4.5/",
        "http://a.1/",
        "http://a.0x1f/",
    ],
    "neither a name nor an address": [
        "http://-a/",
        "http://a-/",
        "http://a..b/",
        "http://.a/",
        "http://a,b/",
        "http://a;b/",
        "http://a!b/",
        "http://(a)/",
        "http://" + "a" * 64 + "/",
        "http://" + "a." * 127 + "aa/",
        "http://*.example/",
    ],
    "brackets": [
        "http://[::1%25eth0]/",
        "http://[::1%eth0]/",
        "http://[fe80::1%25lo]/",
        "http://[]/",
        "http://[10.0.0.1]/",
        "http://[v1.a]/",
        "http://[::1::]/",
        "http://[localhost]/",
    ],
    "malformed": ["http://[::1]a/", "http://a[::1]/", "http://[::1/", "http://[[::1]]/", "http://a]/"],
    "port": [
        "http://h:0/",
        "http://::1/",
        "http://h:65536/",
        "http://h:/",
        "http://h:080/",
        "http://h:-1/",
        "http://h:8x/",
        "http://h:80:80/",
        "http://h:99999999999999999999/",
        "http://h:+80/",
    ],
    "longer": ["http://h/" + "a" * 2040],
}


@pytest.mark.parametrize(
    ("word", "url"), [(word, url) for word, refused in REFUSED.items() for url in refused], ids=lambda value: value[:30]
)
def test_ambiguous_url_is_refused(word: str, url: str) -> None:
    """The error states the reason."""
    with pytest.raises(DestinationRefusedError, match=word):
        urls.read(url)


@pytest.mark.parametrize(
    "url", ["http://h:0/SECRET", "http://u:SECRET@h/", "http://h/?a=SECRET#", "http://SECRET..a/SECRET", "SECRET"]
)
def test_error_does_not_quote_the_url(url: str) -> None:
    """Paths, queries and passwords may be secret."""
    with pytest.raises(DestinationRefusedError) as raised:
        urls.read(url)

    assert "SECRET" not in str(raised.value)


def test_repr_hides_the_target() -> None:
    """A destination may be logged."""
    assert "SECRET" not in repr(urls.read("http://hooks/SECRET?token=SECRET"))
