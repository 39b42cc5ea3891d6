"""Refused forms of DATABASE_URL. The error is one line that names the parameter and contains no secret."""

import ctypes
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import SettingsError
from app.storage import database_url, libpq_parameters
from devstack import postgres_binaries

NOT_URLS = [
    "",
    "s3cret",
    "db:5432/payouts",
    "mysql://shop:s3cret@db/payouts",
    "postgresql+psycopg://shop:s3cret@db/payouts",
    "host=db password=s3cret",
]
# These characters end the password if they are not encoded. The error must not quote the rest of it.
HALF_PASSWORDS = [
    "postgresql://shop:abc/s3cret@db/payouts",
    "postgresql://shop:abc?s3cret@db/payouts",
    "postgresql://shop:abc/s3cret?s3cret=s3cret@db/payouts",
    "postgresql://shop:a@s3cret/s3cret@db/payouts",
    "postgresql://shop:%s3cret@db/payouts",
    "postgresql://shop:s3cret%ff@db/payouts",
    "postgresql://shop:s3cret%00@db/payouts",
    "postgresql://shop@db/payouts?s3cret%",
    "postgresql://shop@db/payouts?s3cret@x=1",
    "postgresql://shop@db/payouts?=s3cret",
]
PLACES = [
    ("postgresql://", "host"),
    ("postgresql:///payouts", "host"),
    ("postgresql://shop:s3cret@/payouts", "host"),
    ("postgresql://shop:s3cret@a,,b/payouts", "host"),
    ("postgresql://shop:s3cret@[::1/payouts", "host"),
    ("postgresql://shop:s3cret@[nonsense]/payouts", "host"),
    ("postgresql://shop:s3cret@a:1:2/payouts", "host"),
    ("postgresql://shop:s3cret@::1/payouts", "host"),
    ("postgresql://shop:s3cret@db%20x/payouts", "host"),
    ("postgresql://shop:s3cret@/payouts?host=@abstract", "host"),
    ("postgresql://shop:s3cret@db%0a/payouts", "host"),
    ("postgresql://shop:s3cret@db:s3cret/payouts", "port"),
    ("postgresql://shop:s3cret@db:0/payouts", "port"),
    ("postgresql://shop:s3cret@db:65536/payouts", "port"),
    ("postgresql://shop:s3cret@db:-1/payouts", "port"),
    ("postgresql://shop:s3cret@db/payouts?port=1,2", "port"),
    ("postgresql://shop:s3cret@a,b,c/payouts?port=1,2", "port"),
    ("postgresql://shop:s3cret@db/payouts?hostaddr=db", "hostaddr"),
    ("postgresql://shop:s3cret@db/payouts?hostaddr=10.0.0.1,10.0.0.2", "hostaddr"),
    ("postgresql://shop:s3cret@db/pay%zzouts", "dbname"),
]
QUERIES = [
    ("host=a&host=b", "host"),
    ("sslmode=require&sslmode=require", "sslmode"),
    ("sslmode=", "sslmode"),
    ("sslmode", "sslmode"),
    ("sslmode=on", "sslmode"),
    ("sslmode=require&ssl=require", "sslmode"),
    ("ssl=maybe", "ssl"),
    ("sslmode=verify-full", "sslrootcert"),
    ("sslmode=verify-ca", "sslrootcert"),
    ("sslrootcert=/ca.pem", "sslrootcert"),
    ("sslmode=prefer&sslrootcert=/ca.pem", "sslrootcert"),
    ("sslmode=require&sslrootcert=system", "sslmode"),
    ("sslmode=require&sslcrl=/crl.pem", "sslcrl"),
    ("sslmode=require&sslkey=/key.pem", "sslkey"),
    ("sslmode=disable&sslcert=/cert.pem", "sslcert"),
    ("sslmode=require&sslcertmode=require&sslcert=/cert.pem", "sslcertmode"),
    ("sslrootcert=system&hostaddr=10.0.0.1", "hostaddr"),
    ("sslnegotiation=direct", "sslnegotiation"),
    ("sslmode=require&sslnegotiation=soon", "sslnegotiation"),
    ("sslmode=require&ssl_min_protocol_version=TLSv1.1", "ssl_min_protocol_version"),
    ("sslmode=require&ssl_max_protocol_version=SSLv3", "ssl_max_protocol_version"),
    ("ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2", "ssl_min_protocol_version"),
    ("connect_timeout=soon", "connect_timeout"),
    ("connect_timeout=-1", "connect_timeout"),
    ("connect_timeout=1.5", "connect_timeout"),
    ("connect_timeout=99999", "connect_timeout"),
    ("connect_timeout=%C2%B2", "connect_timeout"),
    ("target_session_attrs=read-only", "target_session_attrs"),
    ("target_session_attrs=standby", "target_session_attrs"),
    ("target_session_attrs=prefer-standby", "target_session_attrs"),
    ("target_session_attrs=master", "target_session_attrs"),
    ("pgbouncer=perhaps", "pgbouncer"),
    ("options=endpoint%3Ds3cret", "options"),
    ("options=-c%20s3cret", "options"),
    ("options=-c", "options"),
    ("options=-c+geqo%3Doff", "options"),
    ("options=-B%20100", "options"),
    ("options=-c%20search_path%3Ds3cret", "search_path"),
    ("options=--default-transaction-isolation%3Dserializable", "default_transaction_isolation"),
    ("options=-c%20geqo%3Don%20-c%20GEQO%3Doff", "geqo"),
    ("application_name=two%0alines", "application_name"),
    ("client_encoding=latin1", "client_encoding"),
    ("gssdelegation=1", "gssdelegation"),
    ("gssencmode=require", "gssencmode"),
    ("keepalives=0", "keepalives"),
    ("load_balance_hosts=random", "load_balance_hosts"),
    ("max_protocol_version=4", "max_protocol_version"),
    ("min_protocol_version=3.2", "min_protocol_version"),
    ("replication=database", "replication"),
    ("sslcompression=1", "sslcompression"),
    ("sslsni=0", "sslsni"),
    *((f"{name}=s3cret", name) for name in libpq_parameters.REFUSED),
    ("unheard_of=s3cret", "unheard_of"),
]


class _Option(ctypes.Structure):
    """Libpq's PQconninfoOption."""

    _fields_ = (
        ("keyword", ctypes.c_char_p),
        ("environment_variable", ctypes.c_char_p),
        ("compiled", ctypes.c_char_p),
        ("value", ctypes.c_char_p),
        ("label", ctypes.c_char_p),
        ("display", ctypes.c_char_p),
        ("display_size", ctypes.c_int),
    )


def refusal_of(url: str) -> str:
    """The error for the URL: one line without a secret."""
    with pytest.raises(SettingsError) as caught:
        database_url.parse(url)

    assert "DATABASE_URL" in caught.value.detail
    assert "\n" not in caught.value.detail
    assert "s3cret" not in caught.value.detail
    return caught.value.detail


@pytest.mark.parametrize("url", NOT_URLS)
def test_other_text_than_a_postgres_url_is_refused(url: str) -> None:
    """The error names only the setting."""
    assert refusal_of(url) in {
        "DATABASE_URL is not a database URL.",
        "DATABASE_URL must begin with postgresql://.",
    }


@pytest.mark.parametrize("url", HALF_PASSWORDS)
def test_character_that_must_be_encoded_is_explained(url: str) -> None:
    """The error says how to encode it, and does not show the rest of the password."""
    assert "as %40 %3A %2F %3F %23 %25" in refusal_of(url)


@pytest.mark.parametrize(("url", "named"), PLACES)
def test_malformed_place_is_refused_by_name(url: str, named: str) -> None:
    """Malformed hosts, ports and database names are refused."""
    assert named in refusal_of(url)


@pytest.mark.parametrize(("query", "named"), QUERIES)
def test_parameter_without_translation_is_refused_by_name(query: str, named: str) -> None:
    """No parameter is ignored silently, accepted twice, or passed to a driver that does not know it."""
    assert named in re.findall(r"\w+", refusal_of(f"postgresql://shop:s3cret@db/payouts?{query}"))


@pytest.mark.parametrize("version", postgres_binaries.INSTALLATIONS)
def test_every_parameter_of_libpq_is_translated_or_refused(version: int) -> None:
    """The list of parameters comes from libpq itself."""
    library = ctypes.CDLL(str(postgres_binaries.find(version).parent / "lib" / "libpq.so.5"))
    library.PQconndefaults.restype = ctypes.POINTER(_Option)
    options = library.PQconndefaults()
    known: set[str] = set()
    while options[len(known)].keyword:
        known.add(options[len(known)].keyword.decode())

    assert len(known) >= 40
    assert known <= libpq_parameters.TRANSLATED | libpq_parameters.REFUSED.keys()


def test_channel_binding_is_refused_with_advice() -> None:
    """Hosted databases put it into their URLs, but the driver does not support it. The error names the alternative."""
    refusal = refusal_of("postgresql://shop:s3cret@db/payouts?sslmode=require&channel_binding=require")

    assert "sslmode=verify-full" in refusal
    assert "sslrootcert=system" in refusal


WORDS = [
    "db",
    "::1",
    "10.0.0.1",
    "5432",
    "host=",
    "hostaddr=",
    "port=",
    "sslmode=",
    "require",
    "options=",
    "-c",
    "user=",
    "%2F",
    "%zz",
    "%00",
]
PIECES = st.sampled_from([*WORDS, *"@:/?&=,[]%#+ \n\\\ud800é"])


@settings(deadline=None)
@given(st.lists(PIECES, max_size=15))
def test_any_text_is_parsed_or_refused_in_one_line(pieces: list[str]) -> None:
    """No text makes the parser fail in another way."""
    refusal = "DATABASE_URL"
    try:
        database_url.parse("postgresql://" + "".join(pieces))
    except SettingsError as error:
        refusal = error.detail

    assert "DATABASE_URL" in refusal
    assert "\n" not in refusal
