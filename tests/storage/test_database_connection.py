"""Connections to Postgres: sslmode, several hosts, sockets."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import pytest

from app.errors import SettingsError
from app.storage import database_connection, database_url
from devstack.ports import free_port
from tests.stack.certificates import Authority
from tests.stack.waiting import eventually
from tests.storage.postgres_proxy import Proxy, running
from tests.storage.watched_loop import WatchedLoop, WatchedUvloop

READ_ONLY = b"default_transaction_read_only\0on\0"
UNCHECKED = (ssl.SSLError, ConnectionError)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority that issues the server's certificate."""
    return Authority(tmp_path)


@pytest.fixture
def server(database_server_url: str) -> tuple[str, int]:
    """The host and port of the real server."""
    parts = urlsplit(database_server_url)
    assert parts.hostname
    return parts.hostname, parts.port or 5432


@dataclass(frozen=True, kw_only=True)
class User:
    """The credentials of a connection and its kind of event loop: commands use asyncio, api and worker uvloop."""

    credentials: str
    new_loop: Callable[[], WatchedLoop | WatchedUvloop]

    def __str__(self) -> str:
        """The part of a URL before the @."""
        return self.credentials

    async def answer_from(self, url: str) -> Any:
        """Connect, run a query and close."""

        async def ask() -> Any:
            connection = await database_connection.connect(database_url.parse(url), timeout=10)
            try:
                return await connection.fetchval("SELECT 1")
            finally:
                await connection.close()

        def run() -> Any:
            loop = self.new_loop()
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                try:
                    return runner.run(ask())
                finally:
                    runner.run(eventually(loop.are_closed))

        return await asyncio.to_thread(run)


@pytest.fixture(params=[WatchedLoop, WatchedUvloop], ids=["asyncio", "uvloop"])
def user(request: pytest.FixtureRequest, database_server_url: str) -> User:
    """The user of the tests' server."""
    return User(credentials=urlsplit(database_server_url).netloc.rpartition("@")[0], new_loop=request.param)


@pytest.mark.parametrize(
    ("host", "query"),
    [
        ("localhost", "sslmode=verify-full&sslrootcert={ca}"),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert={ca}"),
        ("127.0.0.1", "sslmode=require&sslrootcert={ca}"),
        ("127.0.0.1", "sslmode=require"),
        ("127.0.0.1", "sslmode=prefer"),
        ("127.0.0.1", "ssl=true"),
        ("127.0.0.1", ""),
        ("127.0.0.1", "sslmode=require&ssl_max_protocol_version=TLSv1.2"),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert={ca}&sslcrl={crl_of_another}"),
    ],
)
async def test_connection_to_a_server_with_tls_is_encrypted(
    user: User, server: tuple[str, int], authority: Authority, host: str, query: str
) -> None:
    """Each mode accepts the certificates that libpq accepts in this mode."""
    other = authority.revoked_file(authority.certificate_file("other.test"))
    asked = query.format(ca=authority.trust_file(), crl_of_another=other)
    async with running(Proxy(server=server, tls=authority.server("localhost"))) as proxy:
        answer = await user.answer_from(f"postgresql://{user}@{host}:{proxy.port}/postgres?{asked}")

    assert answer == 1
    assert (proxy.encrypted, proxy.plain) == (1, 0)


@pytest.mark.parametrize(
    ("host", "query"),
    [
        ("127.0.0.1", "sslmode=verify-full&sslrootcert={ca}"),
        ("localhost", "sslmode=verify-full&sslrootcert={stranger}"),
        ("localhost", "sslmode=verify-ca&sslrootcert={stranger}"),
        ("localhost", "sslmode=require&sslrootcert={stranger}"),
        ("localhost", "sslmode=verify-full&sslrootcert=system"),
        ("localhost", "sslrootcert=system"),
        ("localhost", "sslmode=verify-ca&sslrootcert={ca}&sslcrl={crl}"),
    ],
)
async def test_invalid_certificate_is_refused(
    user: User, server: tuple[str, int], tmp_path: Path, host: str, query: str
) -> None:
    """A wrong name, a wrong authority or a revoked certificate ends the connection before the password is sent."""
    authority = Authority(tmp_path)
    certificate = authority.certificate_file("localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    stranger = Authority(tmp_path).trust_file()
    asked = query.format(ca=authority.trust_file(), stranger=stranger, crl=authority.revoked_file(certificate))
    async with running(Proxy(server=server, tls=tls)) as proxy:
        with pytest.raises(ssl.SSLCertVerificationError):
            await user.answer_from(f"postgresql://{user}@{host}:{proxy.port}/postgres?{asked}")

    assert (proxy.encrypted, proxy.plain) == (0, 0)


async def test_server_without_an_allowed_encryption_is_refused(
    user: User, server: tuple[str, int], authority: Authority
) -> None:
    """A server without TLS and a server that requires a newer TLS than is allowed are refused."""
    newest = authority.server("localhost")
    newest.minimum_version = ssl.TLSVersion.TLSv1_3
    async with running(Proxy(server=server)) as without, running(Proxy(server=server, tls=newest)) as new:
        with pytest.raises(ConnectionError):
            await user.answer_from(f"postgresql://{user}@127.0.0.1:{without.port}/postgres?sslmode=require")
        with pytest.raises(UNCHECKED):
            await user.answer_from(
                f"postgresql://{user}@127.0.0.1:{new.port}/postgres?sslmode=require&ssl_max_protocol_version=TLSv1.2"
            )

    assert (without.plain, new.plain, new.encrypted) == (0, 0, 0)


async def test_prefer_and_allow_fall_back(user: User, server: tuple[str, int], authority: Authority) -> None:
    """`prefer` falls back to a plain connection and `allow` to TLS, only if the server refuses the first choice."""
    tls = authority.server("localhost")
    broken = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # It has no certificate, so no handshake succeeds.
    async with (
        running(Proxy(server=server)) as without,
        running(Proxy(server=server, tls=broken)) as handshakes_fail,
        running(Proxy(server=server, tls=tls)) as both,
        running(Proxy(server=server, tls=tls, has_plain=False)) as only_tls,
    ):
        for proxy, mode in [
            (without, "prefer"),
            (handshakes_fail, "prefer"),
            (both, "allow"),
            (only_tls, "allow"),
        ]:
            await user.answer_from(f"postgresql://{user}@127.0.0.1:{proxy.port}/postgres?sslmode={mode}")

    assert [(each.encrypted, each.plain) for each in (without, handshakes_fail, both, only_tls)] == [
        (0, 1),
        (0, 1),
        (0, 1),
        (1, 0),
    ]


async def test_direct_tls_is_supported(user: User, server: tuple[str, int], authority: Authority) -> None:
    """With sslnegotiation=direct, TLS starts without a request and names the protocol."""
    tls = authority.server("localhost")
    tls.set_alpn_protocols(["postgresql"])
    async with running(Proxy(server=server, tls=tls, is_direct=True)) as proxy:
        answer = await user.answer_from(
            f"postgresql://{user}@localhost:{proxy.port}/postgres"
            f"?sslmode=verify-full&sslnegotiation=direct&sslrootcert={authority.trust_file()}"
        )

    assert (answer, proxy.encrypted) == (1, 1)


async def test_client_certificate_is_sent(user: User, server: tuple[str, int], authority: Authority) -> None:
    """A server that requires a client certificate gets it, unless sslcertmode is disable."""
    tls = authority.server("localhost")
    tls.load_verify_locations(authority.trust_file())
    tls.verify_mode = ssl.CERT_REQUIRED
    own = authority.certificate_file("gateway.test")
    async with running(Proxy(server=server, tls=tls)) as proxy:
        url = f"postgresql://{user}@127.0.0.1:{proxy.port}/postgres?sslmode=require"
        answers = [
            await user.answer_from(f"{url}&sslcert={own}&sslkey={own}"),
            await user.answer_from(f"{url}&sslcert={own}"),
        ]
        for without in (url, f"{url}&sslcert={own}&sslcertmode=disable"):
            with pytest.raises((OSError, asyncpg.ConnectionDoesNotExistError)):
                await user.answer_from(without)

    assert answers == [1, 1]


@pytest.mark.parametrize("name", ["sslrootcert", "sslcrl", "sslcert", "sslkey"])
def test_unusable_file_is_named(authority: Authority, tmp_path: Path, name: str) -> None:
    """The error names the parameter and the file if it is missing, a directory or not a certificate."""
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    good = {"sslmode": "verify-ca", "sslrootcert": authority.trust_file()}
    good |= {"sslcert": authority.certificate_file("gateway.test")} if name == "sslkey" else {}
    for path in (tmp_path / "missing.pem", tmp_path, nonsense):
        query = "&".join(f"{key}={quote(str(value))}" for key, value in {**good, name: path}.items())
        with pytest.raises(SettingsError) as caught:
            database_url.parse(f"postgresql://shop@db/payouts?{query}")

        assert f"{name} names {path}" in caught.value.detail or f"{name} {path}" in caught.value.detail


async def test_socket_is_connected_to_without_tls(user: User, server: tuple[str, int], tmp_path: Path) -> None:
    """As in libpq, sslmode does not apply to sockets."""
    async with running(Proxy(server=server), socket=tmp_path / ".s.PGSQL.6432") as proxy:
        answers = [
            await user.answer_from(f"postgresql://{user}@/postgres?host={tmp_path}&port=6432"),
            await user.answer_from(
                f"postgresql://{user}@{quote(str(tmp_path), safe='')}:6432/postgres?sslmode=require"
            ),
        ]

    assert (answers, proxy.plain, proxy.encrypted) == ([1, 1], 2, 0)


async def test_next_host_is_tried_when_one_is_unreachable(user: User, server: tuple[str, int]) -> None:
    """The first reachable host is used, and the later hosts are not contacted."""
    async with running(Proxy(server=server)) as second, running(Proxy(server=server)) as third:
        hosts = f"127.0.0.1:{free_port()},127.0.0.1:{second.port},127.0.0.1:{third.port}"
        answer = await user.answer_from(f"postgresql://{user}@{hosts}/postgres")

    assert (answer, second.plain, third.plain) == (1, 1, 0)


async def test_read_only_server_is_skipped(user: User, server: tuple[str, int]) -> None:
    """With several hosts, the default is the first writable one."""
    async with (
        running(Proxy(server=server, startup=READ_ONLY)) as first,
        running(Proxy(server=server)) as second,
    ):
        url = f"postgresql://{user}@127.0.0.1:{first.port},127.0.0.1:{second.port}/postgres?sslmode=disable"
        await user.answer_from(url)
        await user.answer_from(f"{url}&target_session_attrs=any")
        with pytest.raises(asyncpg.TargetServerAttributeNotMatched):
            await user.answer_from(
                f"postgresql://{user}@127.0.0.1:{first.port}/postgres?sslmode=disable&target_session_attrs=read-write"
            )

    assert (first.plain, second.plain) == (3, 1)


async def test_wrong_password_is_final(user: User, server: tuple[str, int], authority: Authority) -> None:
    """It is not sent again without encryption, nor to the next host, so the error names the host that refused it."""
    async with (
        running(Proxy(server=server, tls=authority.server("localhost"))) as first,
        running(Proxy(server=server)) as second,
    ):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await user.answer_from(f"postgresql://nobody:wrong@127.0.0.1:{first.port},127.0.0.1:{second.port}/postgres")

    assert (first.encrypted, first.plain, second.plain) == (1, 0, 0)
