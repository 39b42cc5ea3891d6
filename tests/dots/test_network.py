"""Calls to Dots through a proxy, and with the operator's own certificates."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509

from app.dots import network
from app.dots.client import DotsAccess, DotsClient
from app.errors import DotsError, DotsUnreachableError, SettingsError
from tests.dots.fake_dots import now
from tests.dots.gates import open_gate, permit
from tests.dots.test_connection import FLOW, GOOD, answer
from tests.stack.certificates import Authority

WRONG_PROXIES = [
    "proxy:3128",
    "ftp://hunter2@proxy",
    "socks5://hunter2@proxy:1080",
    "http://",
    "http://user:hunter2@proxy:port",
    "http://user:hunter2@proxy/path",
    "http://user:hunter2@proxy?a=b",
    "http://user:hunter2@proxy#a",
    "http://hunter2\x00",
]


@asynccontextmanager
async def answering(reply: bytes, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Yield the port of a server that always gives this answer, and the heads of the requests."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(reply)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1], heads


def built(
    *, cert_file: Path | str | None = None, cert_dir: Path | str | None = None, proxy_url: str | None = None
) -> network.Network:
    """Build the network from these settings."""
    return network.build(
        cert_file=None if cert_file is None else str(cert_file),
        cert_dir=None if cert_dir is None else str(cert_dir),
        proxy_url=proxy_url,
    )


async def ask(base_url: str, way: network.Network) -> str:
    """Ask for a flow and return the id in the answer."""
    access = DotsAccess(app="default", base_url=base_url, client_id="pk", api_key="sk", app_id=None)
    async with DotsClient(access, gate=open_gate(now), network=way) as client:
        return (await client.get_flow(permit(client), FLOW)).id


async def test_calls_go_through_the_proxy() -> None:
    """The proxy gets the full URL, and the credentials from its own URL."""
    async with answering(answer(GOOD)) as (port, heads):
        found = await ask("http://dots.invalid/api", built(proxy_url=f"http://user:p%40ss@127.0.0.1:{port}"))

    assert found == FLOW
    assert heads[0].startswith(f"GET http://dots.invalid/api/v2/flows/{FLOW} HTTP/1.1\r\n".encode())
    assert b"Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in heads[0]


async def test_refusing_or_missing_proxy_is_unreachable() -> None:
    """Dots did not get the request, so a repeat is safe. A refusing proxy does not get Dots' credentials."""
    async with answering(answer(b"", status=b"407 Proxy Authentication Required")) as (port, heads):
        with pytest.raises(DotsUnreachableError):
            await ask("https://dots.invalid/api", built(proxy_url=f"http://127.0.0.1:{port}"))
        with pytest.raises(DotsUnreachableError):
            await ask("http://dots.invalid/api", built(proxy_url=f"http://127.0.0.1:{port}"))

    with pytest.raises(DotsUnreachableError):
        await ask("http://dots.invalid/api", built(proxy_url="http://127.0.0.1:1"))

    assert heads[0].startswith(b"CONNECT dots.invalid:443 HTTP/1.1\r\n")
    assert b"\r\nAuthorization" not in heads[0]


@pytest.mark.parametrize("proxy_url", WRONG_PROXIES)
def test_wrong_proxy_is_named_and_not_quoted(proxy_url: str) -> None:
    """The error names the setting and does not quote the URL, which may hold a password."""
    with pytest.raises(SettingsError) as caught:
        built(proxy_url=proxy_url)

    assert "DOTS_PROXY_URL" in caught.value.detail
    assert "hunter2" not in caught.value.detail


def test_proxy_is_not_shown() -> None:
    """A logged network shows no password."""
    assert "hunter2" not in repr(built(proxy_url="http://user:hunter2@proxy:3128"))


async def test_own_certificates_are_trusted(tmp_path: Path) -> None:
    """A server is trusted if its certificate authority is in the file or the directory, and not otherwise."""
    authority = Authority(tmp_path)
    directory = tmp_path / "certificates"
    directory.mkdir()
    pem = authority.trust_file().read_bytes()
    (directory / _file_name(pem)).write_bytes(pem)
    async with answering(answer(GOOD), tls=authority.server("127.0.0.1")) as (port, _):
        base_url = f"https://127.0.0.1:{port}/api"
        found = [
            await ask(base_url, built(cert_file=authority.trust_file())),
            await ask(base_url, built(cert_dir=directory)),
            await ask(base_url, built(cert_dir=f"{tmp_path}:{directory}")),
        ]
        with pytest.raises(DotsError):
            await ask(base_url, built())
        with pytest.raises(DotsError):
            await ask(base_url, built(cert_dir=tmp_path))

    assert found == [FLOW] * 3


def test_unreadable_certificates_stop_the_start(tmp_path: Path) -> None:
    """The error names the setting. OpenSSL would ignore it, and every call would fail."""
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense", encoding="utf-8")

    for path in (tmp_path / "missing.pem", tmp_path, nonsense, "a\x00b"):
        with pytest.raises(SettingsError, match="SSL_CERT_FILE"):
            built(cert_file=path)
    for path in (tmp_path / "missing", nonsense, f"{tmp_path}:{nonsense}", "a\x00b"):
        with pytest.raises(SettingsError, match="SSL_CERT_DIR"):
            built(cert_dir=path)


def _file_name(pem: bytes) -> str:
    """Return the name under which OpenSSL finds a certificate in a directory: a hash of its subject."""
    subject = x509.load_pem_x509_certificate(pem).subject.public_bytes()
    hashed = hashlib.sha1(subject[2:], usedforsecurity=False).digest()
    return f"{int.from_bytes(hashed[:4], 'little'):08x}.0"
