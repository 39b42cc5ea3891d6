"""Accepted forms of DATABASE_URL. Each means the same as in libpq."""

from dataclasses import replace
from typing import Any

import pytest

from app.storage import database_url
from app.storage.database_url import DatabaseAddress

PLAIN = database_url.parse("postgresql://shop:s3cret@db/payouts?sslmode=disable")
SOCKET = "/run/postgresql"

HOSTS: list[tuple[str, tuple[tuple[str, int], ...]]] = [
    ("postgresql://shop@db/payouts", (("db", 5432),)),
    ("postgres://shop@db:6432/payouts", (("db", 6432),)),
    ("postgresql+asyncpg://shop@db/payouts", (("db", 5432),)),
    ("POSTGRESQL://shop@db/payouts", (("db", 5432),)),
    ("postgresql://shop@db:/payouts", (("db", 5432),)),
    ("postgresql://shop@[::1]:6432/payouts", (("::1", 6432),)),
    ("postgresql://shop@[fe80::1]/payouts", (("fe80::1", 5432),)),
    ("postgresql://shop@a:1,b:2,[::1]/payouts", (("a", 1), ("b", 2), ("::1", 5432))),
    ("postgresql://shop@a,b:2/payouts", (("a", 5432), ("b", 2))),
    ("postgresql://shop@/payouts?host=a,b", (("a", 5432), ("b", 5432))),
    ("postgresql://shop@/payouts?host=a,b&port=1,2", (("a", 1), ("b", 2))),
    ("postgresql://shop@/payouts?host=a,b&port=1", (("a", 1), ("b", 1))),
    ("postgresql://shop@/payouts?host=a,b&port=1,", (("a", 1), ("b", 5432))),
    ("postgresql://shop@/payouts?host=a:1,[::1]:2,::1", (("a", 1), ("::1", 2), ("::1", 5432))),
    ("postgresql://shop@/payouts?port=6432&host=a", (("a", 6432),)),
    ("postgresql:///payouts?host=a&user=shop", (("a", 5432),)),
    ("postgresql://?host=a&user=shop", (("a", 5432),)),
    # A parameter overrides the same one before the question mark, as in libpq.
    (f"postgresql://shop@localhost/payouts?host={SOCKET}", ((SOCKET, 5432),)),
    ("postgresql://shop@localhost:6432/payouts?host=a", (("a", 6432),)),
    ("postgresql://shop@a:1/payouts?port=2", (("a", 2),)),
    ("postgresql://shop@%2Frun%2Fpostgresql:6432/payouts", ((SOCKET, 6432),)),
    (f"postgresql://shop@/payouts?host=%2Frun%2Fpostgresql,{SOCKET}&port=1,2", ((SOCKET, 1), (SOCKET, 2))),
    # The address is dialled instead of the name.
    ("postgresql://shop@/payouts?hostaddr=10.0.0.1", (("10.0.0.1", 5432),)),
    ("postgresql://shop@db:6432/payouts?hostaddr=::1", (("::1", 6432),)),
    ("postgresql://shop@a,b/payouts?hostaddr=10.0.0.1,10.0.0.2&port=1,2", (("10.0.0.1", 1), ("10.0.0.2", 2))),
]
CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("postgresql://us%3Aer:p%40s%2Fs%25+%C3%A9@db/pay%2Fouts%3F", {
        "user": "us:er", "password": "p@s/s%+é", "database": "pay/outs?",
    }),
    ("postgresql://shop:p@ss#word@db/payouts", {"password": "p@ss#word"}),
    ("postgresql://shop@db/payouts", {"password": None}),
    ("postgresql://shop:@db/payouts", {"password": None}),
    ("postgresql://shop:s3cret@db", {"database": "shop"}),
    ("postgresql://shop:s3cret@db/", {"database": "shop"}),
    ("postgresql://db/?user=shop&password=p%2526&dbname=payouts", {"password": "p%26"}),
    ("postgresql://you:that@db/other?user=shop&password=s3cret&dbname=payouts", {}),
    ("postgresql://shop:s3cret@db/payouts?connect_timeout=7", {"connect_timeout": 7.0}),
    ("postgresql://shop:s3cret@db/payouts?connect_timeout=0", {}),
    ("postgresql://shop:s3cret@db/payouts?application_name=my%20shop", {"application_name": "my shop"}),
    ("postgresql://shop:s3cret@db/payouts?fallback_application_name=f", {"application_name": "f"}),
    ("postgresql://shop:s3cret@db/payouts?fallback_application_name=f&application_name=a", {"application_name": "a"}),
    ("postgresql://shop:s3cret@db/payouts?options=-c%20Work_Mem%3D5MB%20--idle-session-timeout=0%20-cgeqo%3Doff", {
        "session_settings": {"work_mem": "5MB", "idle_session_timeout": "0", "geqo": "off"},
    }),
    ("postgresql://shop:s3cret@db/payouts?options=-c%20a.b=two%5C%20words%5C%5C", {
        "session_settings": {"a.b": "two words\\"},
    }),
    ("postgresql://shop:s3cret@db/payouts?target_session_attrs=any", {}),
    ("postgresql://shop:s3cret@db/payouts?target_session_attrs=primary", {"session_attributes": "primary"}),
    ("postgresql://shop:s3cret@db/payouts?target_session_attrs=read-write", {"session_attributes": "read-write"}),
    ("postgresql://shop:s3cret@db,db/payouts", {
        "session_attributes": "read-write", "hosts": (("db", 5432), ("db", 5432)),
    }),
    ("postgresql://shop:s3cret@db,db/payouts?target_session_attrs=any", {"hosts": (("db", 5432), ("db", 5432))}),
    ("postgresql://shop:s3cret@db/payouts?pgbouncer=true", {"is_pooled": True}),
    ("postgresql://shop:s3cret@db/payouts?pgbouncer=1", {"is_pooled": True}),
    ("postgresql://shop:s3cret@db/payouts?pgbouncer=YES", {"is_pooled": True}),
    ("postgresql://shop:s3cret@db/payouts?pgbouncer=false", {}),
]  # fmt: skip

HARMLESS = [
    "channel_binding=prefer",
    "channel_binding=disable",
    "client_encoding=UTF8",
    "gssdelegation=0",
    "gssencmode=prefer",
    "keepalives=1",
    "load_balance_hosts=disable",
    "max_protocol_version=latest",
    "min_protocol_version=3.0",
    "replication=false",
    "sslcompression=0",
    "sslsni=1",
]


@pytest.mark.parametrize(("url", "hosts"), HOSTS)
def test_hosts_and_ports_are_read_in_order(url: str, hosts: tuple[tuple[str, int], ...]) -> None:
    """Every form of hosts and ports gives the addresses that libpq dials."""
    assert database_url.parse(url).hosts == hosts


@pytest.mark.parametrize(("url", "changes"), CHANGES)
def test_parameter_is_translated(url: str, changes: dict[str, Any]) -> None:
    """Each parameter changes only its own fields."""
    found = replace(database_url.parse(url), ssl=False, ssl_fallback=None)

    assert found == replace(PLAIN, **changes)


@pytest.mark.parametrize("parameter", HARMLESS)
def test_parameter_without_effect_is_accepted(parameter: str) -> None:
    """Such parameters occur in URLs of hosted databases, and change nothing."""
    assert database_url.parse(f"postgresql://shop:s3cret@db/payouts?sslmode=disable&{parameter}") == PLAIN


def test_repr_of_an_address_contains_no_password() -> None:
    """A log or a message may show an address."""
    assert "s3cret" not in repr(PLAIN)


def test_sockets_have_no_endpoint() -> None:
    """`endpoints` lists only hosts that are reached over TCP."""
    url = f"postgresql://shop@a:1,[::1]/payouts?host=a,{SOCKET},::1&port=1,2,3"

    assert database_url.parse(url).endpoints == [("a", 1), ("::1", 3)]


def test_no_argument_is_left_for_asyncpg_to_look_up() -> None:
    """The driver fills arguments that are None from the environment or from files in HOME."""
    arguments = DatabaseAddress.connect_arguments(replace(PLAIN, password=None))

    assert arguments == {
        "user": "shop",
        "password": "",
        "database": "payouts",
        "ssl": False,
        "direct_tls": False,
        "target_session_attrs": "any",
        "krbsrvname": "postgres",
        "gsslib": "gssapi",
    }
